//! Multinomial logistic regression over sparse features, trained in process: L2-regularised, by L-BFGS on the whole set,
//! so that the same examples in the same order always give the same weights. Serves the categories that a user defines
//! and the training of the language tables. Relies on nothing but arithmetic.

use std::collections::VecDeque;

/// Sparse features of one example: positions and values. A position may occur more than once; its values add up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    pub positions: Vec<u32>,
    pub values: Vec<f32>,
}

impl Features {
    pub fn push(&mut self, position: u32, value: f32) {
        self.positions.push(position);
        self.values.push(value);
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, f32)> + '_ {
        self.positions.iter().map(|&p| p as usize).zip(self.values.iter().copied())
    }
}

/// One example to learn from.
#[derive(Debug, Clone)]
pub struct Example {
    pub features: Features,
    pub class: usize,
    /// How much it counts; 1 is the usual.
    pub weight: f32,
}

/// How to train.
#[derive(Debug, Clone, Copy)]
pub struct Training {
    /// Number of classes.
    pub classes: usize,
    /// Number of feature positions.
    pub width: usize,
    /// Weight of the L2 penalty against the mean loss.
    pub l2: f32,
    pub iterations_max: usize,
}

/// Trained weights: `width` rows of `classes`, then one row of biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    pub classes: usize,
    pub width: usize,
    pub weights: Vec<f32>,
}

impl Linear {
    /// Scores before the softmax. Positions beyond the width are left out.
    pub fn scores(&self, features: &Features) -> Vec<f32> {
        scores(&self.weights, self.classes, features)
    }

    /// Probabilities; they add up to 1.
    pub fn probabilities(&self, features: &Features) -> Vec<f32> {
        let mut scores = self.scores(features);
        softmax(&mut scores);
        scores
    }
}

/// Scores before the softmax, from weights as [`Linear`] keeps them.
pub fn scores(weights: &[f32], classes: usize, features: &Features) -> Vec<f32> {
    let (rows, biases) = weights.split_at(weights.len().saturating_sub(classes));
    let mut scores = biases.to_vec();
    for (position, value) in features.pairs() {
        if let Some(row) = rows.get(position * classes..(position + 1) * classes) {
            scores.iter_mut().zip(row).for_each(|(s, w)| *s += w * value);
        }
    }
    scores
}

/// Turns scores into probabilities, in place.
pub fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// Learns from examples. Features or classes out of range are left out of the sum.
pub fn train(examples: &[Example], training: Training) -> Linear {
    let Training { classes, width, l2, iterations_max } = training;
    let mut weights = vec![0.0_f32; (width + 1) * classes];
    let total: f32 = examples.iter().map(|e| e.weight).sum();
    if total > 0.0 && classes > 1 {
        let penalised = width * classes;
        minimise(&mut weights, iterations_max, |weights, gradient| {
            loss(examples, classes, total, weights, gradient) + penalty(&weights[..penalised], l2, gradient)
        });
    }
    Linear { classes, width, weights }
}

/// Mean cross-entropy; writes its gradient.
fn loss(examples: &[Example], classes: usize, total: f32, weights: &[f32], gradient: &mut [f32]) -> f64 {
    gradient.fill(0.0);
    let bias = weights.len() - classes;
    let mut sum = 0.0_f64;
    let mut scores = vec![0.0_f32; classes];
    for example in examples {
        scores.copy_from_slice(&weights[bias..]);
        for (position, value) in example.features.pairs() {
            if let Some(row) = weights[..bias].get(position * classes..(position + 1) * classes) {
                scores.iter_mut().zip(row).for_each(|(s, w)| *s += w * value);
            }
        }
        softmax(&mut scores);
        let Some(right) = scores.get_mut(example.class) else { continue };
        sum -= f64::from(right.max(1e-12).ln() * example.weight);
        *right -= 1.0;
        let scale = example.weight / total;
        scores.iter_mut().for_each(|s| *s *= scale);
        gradient[bias..].iter_mut().zip(&scores).for_each(|(g, s)| *g += s);
        for (position, value) in example.features.pairs() {
            if let Some(row) = gradient[..bias].get_mut(position * classes..(position + 1) * classes) {
                row.iter_mut().zip(&scores).for_each(|(g, s)| *g += s * value);
            }
        }
    }
    sum / f64::from(total)
}

/// `l2/2 * |w|^2`; adds its gradient.
fn penalty(weights: &[f32], l2: f32, gradient: &mut [f32]) -> f64 {
    gradient.iter_mut().zip(weights).for_each(|(g, w)| *g += l2 * w);
    0.5 * f64::from(l2) * dot(weights, weights)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Partial sums of f32 over short runs keep the speed; their sum in f64 keeps the accuracy.
    a.chunks(64).zip(b.chunks(64)).map(|(a, b)| f64::from(a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>())).sum()
}

/// A step of the past: the change of the point and of the gradient, and one over their product.
struct Step {
    point: Vec<f32>,
    gradient: Vec<f32>,
    rho: f64,
}

/// L-BFGS (Nocedal and Wright, algorithm 7.5) with backtracking; eight past steps.
fn minimise(point: &mut Vec<f32>, iterations_max: usize, mut objective: impl FnMut(&[f32], &mut [f32]) -> f64) {
    let mut gradient = vec![0.0; point.len()];
    let mut value = objective(point, &mut gradient);
    let mut history: VecDeque<Step> = VecDeque::new();
    for iteration in 0..iterations_max {
        if dot(&gradient, &gradient).sqrt() < 1e-5 {
            return;
        }
        let mut direction = descent(&gradient, &history);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            history.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = dot(&direction, &gradient);
        }
        let mut length = if iteration == 0 { (1.0 / (-slope).sqrt()).min(1.0) } else { 1.0 };
        let (mut next, mut next_gradient) = (point.clone(), vec![0.0; point.len()]);
        let mut found = None;
        for _ in 0..20 {
            next.iter_mut().zip(point.iter()).zip(&direction).for_each(|((n, p), d)| *n = p + length as f32 * d);
            let candidate = objective(&next, &mut next_gradient);
            if candidate <= value + 1e-4 * length * slope {
                found = Some(candidate);
                break;
            }
            length *= 0.5;
        }
        let Some(candidate) = found else { return };
        remember(&mut history, &next, point, &next_gradient, &gradient);
        let gain = value - candidate;
        (*point, gradient, value) = (next, next_gradient, candidate);
        if gain < 1e-7 * value.abs().max(1e-3) {
            return;
        }
    }
}

fn remember(history: &mut VecDeque<Step>, next: &[f32], point: &[f32], next_gradient: &[f32], gradient: &[f32]) {
    let difference = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x - y).collect::<Vec<f32>>();
    let (moved, turned) = (difference(next, point), difference(next_gradient, gradient));
    let product = dot(&moved, &turned);
    if product > 1e-12 {
        if history.len() == 8 {
            history.pop_front();
        }
        history.push_back(Step { point: moved, gradient: turned, rho: 1.0 / product });
    }
}

/// The two-loop recursion: minus the inverse Hessian, as far as the past tells it, times the gradient.
fn descent(gradient: &[f32], history: &VecDeque<Step>) -> Vec<f32> {
    let mut q: Vec<f32> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(history.len());
    for step in history.iter().rev() {
        let alpha = step.rho * dot(&step.point, &q);
        q.iter_mut().zip(&step.gradient).for_each(|(q, y)| *q -= alpha as f32 * y);
        alphas.push(alpha);
    }
    if let Some(last) = history.back() {
        let scale = (1.0 / (last.rho * dot(&last.gradient, &last.gradient))) as f32;
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (step, alpha) in history.iter().zip(alphas.into_iter().rev()) {
        let beta = step.rho * dot(&step.gradient, &q);
        q.iter_mut().zip(&step.point).for_each(|(q, s)| *q += (alpha - beta) as f32 * s);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(values: &[f32], class: usize) -> Example {
        let mut features = Features::default();
        values.iter().enumerate().for_each(|(i, &v)| features.push(i as u32, v));
        Example { features, class, weight: 1.0 }
    }

    #[test]
    fn it_finds_the_known_optimum_of_a_one_dimensional_problem() {
        // Two points at +1 and -1 with penalty l2: the optimum w of each class solves 2*l2*w = 1/(1+exp(2w)) ... symmetric.
        let examples = [example(&[1.0], 0), example(&[-1.0], 1)];
        let model = train(&examples, Training { classes: 2, width: 1, l2: 0.1, iterations_max: 100 });
        let w = f64::from(model.weights[0]);
        assert!((f64::from(model.weights[1]) + w).abs() < 1e-3);
        assert!((0.1 * w - 1.0 / (1.0 + (2.0 * w).exp())).abs() < 1e-3, "{w}");
    }

    #[test]
    fn it_separates_what_can_be_separated_and_is_deterministic() {
        let examples: Vec<Example> = (0..60)
            .map(|i| {
                let class = i % 3;
                let mut values = [0.1 * ((i * 7 % 10) as f32 / 10.0); 3];
                values[class] += 1.0;
                example(&values, class)
            })
            .collect();
        let training = Training { classes: 3, width: 3, l2: 1e-3, iterations_max: 100 };
        let model = train(&examples, training);
        for example in &examples {
            let probabilities = model.probabilities(&example.features);
            assert!(probabilities[example.class] > 0.8, "{probabilities:?}");
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert_eq!(model, train(&examples, training));
    }

    #[test]
    fn nothing_to_learn_from_gives_even_odds() {
        let model = train(&[], Training { classes: 2, width: 4, l2: 1.0, iterations_max: 10 });
        let mut far = Features::default();
        far.push(900, 3.0);
        assert_eq!(model.probabilities(&far), [0.5, 0.5]);
    }
}
