//! How [`super::posts`] is trained: stochastic gradient descent with Adagrad on texts whose language is known. Pure and
//! deterministic: texts in, model out. The example `train_language` reads the data and writes the file.

use super::evidence::Evidence;
use super::fasttext::FastText;
use super::ngrams;
use super::posts::{PostModel, label_value};
use crate::error::Result;
use crate::linear::softmax;
use crate::text::scan;
use std::collections::HashMap;

/// The class of languages that have none of their own.
pub(super) const REST: &str = "xx";
const EPOCHS: usize = 6;
const RATE: f32 = 0.3;
/// Of the weights of fastText's labels: larger ones trust fastText more, and it is surer than it should be.
const LABEL_RATE: f32 = 0.02;
/// Decay of a feature's weights at each use, as a part of the rate.
const DECAY: f32 = 3e-3;
/// Weights that are kept, the largest ones; of a feature at most 255.
const WEIGHTS_MAX: usize = 1_200_000;
/// Unit of the stored weights.
const SCALE: f32 = 0.05;

/// A text and the code of its language; how much it counts.
pub struct Sample {
    pub text: String,
    pub code: String,
    pub weight: f32,
}

/// A sample as the classifier sees it.
struct Example {
    features: Vec<(u32, f32)>,
    labels: Vec<(u8, f32)>,
    class: usize,
    weight: f32,
}

/// Weights during training: a row of classes for each feature, for each label, and the biases.
struct Tables {
    classes: usize,
    features: Vec<f32>,
    labels: Vec<f32>,
    biases: Vec<f32>,
    /// Adagrad's sums of squares, one a row.
    squares: [Vec<f32>; 3],
}

/// Trains a model on samples, with the bytes of `lid.176.ftz`. Texts in a script that one language owns are left out.
/// `importance` weighs a language against others, which count by the power -0.7 of the number of their samples.
pub fn train(samples: &[Sample], lid: &[u8], temperature: f32, importance: impl Fn(&str) -> f32) -> Result<Vec<u8>> {
    let fasttext = FastText::parse(lid)?;
    let seen: Vec<(usize, Evidence)> = samples
        .iter()
        .enumerate()
        .map(|(i, sample)| (i, Evidence::read(&sample.text, &scan(&sample.text))))
        .filter(|(_, evidence)| evidence.owner.is_none() && evidence.letters > 0)
        .collect();
    let mut classes: Vec<&str> = seen.iter().map(|(i, _)| samples[*i].code.as_str()).collect();
    classes.sort_unstable();
    classes.dedup();
    let hashes = frequent(seen.iter().map(|(_, evidence)| evidence.words.as_str()));
    let index: HashMap<u32, u32> = hashes.iter().copied().zip(0..).collect();
    let mut examples: Vec<Example> = seen
        .iter()
        .map(|(i, evidence)| {
            let class = classes.iter().position(|class| *class == samples[*i].code).unwrap_or_default();
            example(&evidence.words, &index, &fasttext, class, samples[*i].weight)
        })
        .collect();
    weigh(&mut examples, &classes, importance);
    let tables = fit(&examples, classes.len(), hashes.len(), fasttext.labels().len());
    Ok(tables.compressed(&hashes, &classes, fasttext.labels(), temperature).encode())
}

/// Hashes of features that occur in two texts or more, sorted.
fn frequent<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u32> {
    let mut counts: HashMap<u32, u32> = HashMap::new();
    for words in texts {
        let mut own = Vec::new();
        ngrams::visit(words, |hash| own.push(hash));
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|hash| *counts.entry(hash).or_default() += 1);
    }
    let mut hashes: Vec<u32> = counts.into_iter().filter(|(_, count)| *count > 1).map(|(hash, _)| hash).collect();
    hashes.sort_unstable();
    hashes
}

fn example(words: &str, index: &HashMap<u32, u32>, fasttext: &FastText, class: usize, weight: f32) -> Example {
    let (mut found, mut count) = (Vec::new(), 0_u32);
    ngrams::visit(words, |hash| {
        count += 1;
        found.extend(index.get(&hash).copied());
    });
    found.sort_unstable();
    let unit = 1.0 / (count.max(1) as f32).sqrt();
    let features = found.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f32 * unit)).collect();
    let mut probabilities = Vec::new();
    fasttext.probabilities(words, &mut probabilities);
    let values = probabilities.iter().map(|p| label_value(*p));
    let labels = (0..=u8::MAX).zip(values).filter(|(_, value)| *value > 0.0).collect();
    Example { features, labels, class, weight }
}

fn weigh(examples: &mut [Example], classes: &[&str], importance: impl Fn(&str) -> f32) {
    let mut counts = vec![0_usize; classes.len()];
    examples.iter().for_each(|example| counts[example.class] += 1);
    for example in examples.iter_mut() {
        example.weight *= importance(classes[example.class]) * (counts[example.class] as f32).powf(-0.7);
    }
    let mean = examples.iter().map(|example| example.weight).sum::<f32>() / examples.len().max(1) as f32;
    examples.iter_mut().for_each(|example| example.weight /= mean);
}

fn fit(examples: &[Example], classes: usize, features: usize, labels: usize) -> Tables {
    let mut tables = Tables {
        classes,
        features: vec![0.0; features * classes],
        labels: vec![0.0; labels * classes],
        biases: vec![0.0; classes],
        squares: [vec![1e-6; features], vec![1e-6; labels], vec![1e-6]],
    };
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut state = 12_345_u64;
    for epoch in 0..EPOCHS {
        for i in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            order.swap(i, (state >> 33) as usize % (i + 1));
        }
        let pace = (1.0 - epoch as f32 / EPOCHS as f32).max(0.05);
        order.iter().for_each(|&i| tables.learn(&examples[i], pace));
    }
    tables
}

impl Tables {
    fn learn(&mut self, example: &Example, pace: f32) {
        let classes = self.classes;
        let mut errors = self.biases.clone();
        let mut add = |row: &[f32], value: f32| errors.iter_mut().zip(row).for_each(|(e, w)| *e += value * w);
        example.features.iter().for_each(|&(f, value)| add(row(&self.features, f as usize, classes), value));
        example.labels.iter().for_each(|&(l, value)| add(row(&self.labels, l as usize, classes), value));
        softmax(&mut errors);
        errors[example.class] -= 1.0;
        errors.iter_mut().for_each(|error| *error *= example.weight);
        let square: f32 = errors.iter().map(|error| error * error).sum();
        let [features, labels, bias] = &mut self.squares;
        for &(f, value) in &example.features {
            let rate = step(&mut features[f as usize], square * value * value, RATE * pace);
            let kept = 1.0 - rate * DECAY;
            let weights = &mut self.features[f as usize * classes..][..classes];
            weights.iter_mut().zip(&errors).for_each(|(w, e)| *w = *w * kept - rate * value * e);
        }
        for &(l, value) in &example.labels {
            let rate = step(&mut labels[l as usize], square * value * value, LABEL_RATE * pace);
            let weights = &mut self.labels[l as usize * classes..][..classes];
            weights.iter_mut().zip(&errors).for_each(|(w, e)| *w -= rate * value * e);
        }
        let rate = step(&mut bias[0], square, LABEL_RATE * pace);
        self.biases.iter_mut().zip(&errors).for_each(|(w, e)| *w -= rate * e);
    }

    /// The largest weights in eight bits each.
    fn compressed(self, hashes: &[u32], classes: &[&str], labels: &[String], temperature: f32) -> PostModel {
        let mut sizes: Vec<f32> = self.features.iter().map(|weight| weight.abs()).collect();
        let small = sizes.len().saturating_sub(WEIGHTS_MAX);
        let least = match small {
            0 => 0.0,
            _ => *sizes.select_nth_unstable_by(small, f32::total_cmp).1,
        };
        let mut model = PostModel {
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
            labels: labels.to_vec(),
            temperature,
            scale: SCALE,
            biases: self.biases,
            label_weights: self.labels,
            starts: vec![0],
            ..PostModel::default()
        };
        for (hash, row) in hashes.iter().zip(self.features.chunks_exact(self.classes)) {
            let kept = (0_u8..).zip(row).filter(|(_, weight)| weight.abs() >= least);
            let stored = kept.map(|(class, weight)| (class, (weight / SCALE).round().clamp(-127.0, 127.0) as i8));
            let stored: Vec<(u8, i8)> = stored.filter(|(_, weight)| *weight != 0).collect();
            if !stored.is_empty() {
                model.hashes.push(*hash);
                model.weights.extend(stored);
                model.starts.push(model.weights.len() as u32);
            }
        }
        model
    }
}

fn row(table: &[f32], at: usize, classes: usize) -> &[f32] {
    &table[at * classes..][..classes]
}

fn step(sum: &mut f32, square: f32, rate: f32) -> f32 {
    *sum += square;
    rate / sum.sqrt()
}

/// Sentences made of the stop words of languages without a class of their own, so that the model knows that there are
/// other languages in Latin letters. Drawn by a counter, so always the same.
pub fn stop_word_samples(without: &[&str], per_language: usize) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    };
    for code in stop_words::available_languages() {
        let words: Vec<&str> = stop_words::lookup(code).unwrap_or_default().to_vec();
        let latin = words.iter().filter(|w| w.chars().all(|c| c.is_ascii() || c < '\u{250}')).count();
        // `hinglish` is Hindi in Latin letters under a name of its own.
        if without.contains(code) || *code == "hinglish" || words.len() < 30 || latin * 10 < words.len() * 9 {
            continue;
        }
        for _ in 0..per_language {
            let length = 3 + next(10);
            let text = (0..length).map(|_| words[next(words.len())]).collect::<Vec<_>>().join(" ");
            samples.push(Sample { text, code: REST.into(), weight: 1.0 });
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    const LID: &[u8] = include_bytes!("../../../../models/lid.176.ftz");

    fn sample(text: &str, code: &str) -> Sample {
        Sample { text: text.into(), code: code.into(), weight: 1.0 }
    }

    #[test]
    fn a_model_survives_the_way_to_bytes_and_back() {
        let samples: Vec<Sample> = (0..20)
            .flat_map(|i| {
                [
                    sample(&format!("the train is late again today {}", ["now", "ok"][i % 2]), "en"),
                    sample(&format!("der zug ist heute wieder verspätet {}", ["jetzt", "gut"][i % 2]), "de"),
                ]
            })
            .collect();
        let bytes = train(&samples, LID, 1.0, |_| 1.0).unwrap();
        let model = PostModel::parse(&bytes).unwrap();
        assert_eq!(model.classes, ["de", "en"]);
        let nothing = vec![0.0; model.labels.len()];
        for (text, class) in [("der zug ist verspätet", 0), ("the train is late", 1)] {
            let mut scores = model.scores(text, &nothing);
            softmax(&mut scores);
            assert!(scores[class] > 0.7, "{text}: {scores:?}");
        }
        assert_eq!(model.encode(), bytes);
        assert_eq!(bytes, train(&samples, LID, 1.0, |_| 1.0).unwrap());
    }

    #[test]
    fn a_damaged_model_is_refused_or_read_but_never_a_panic() {
        let bytes = train(&[sample("good morning", "en"), sample("guten morgen", "de")], LID, 1.0, |_| 1.0).unwrap();
        assert!(PostModel::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(PostModel::parse(b"OLNG1").is_err());
        for at in (0..bytes.len()).step_by(7) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xFF;
            if let Ok(model) = PostModel::parse(&damaged) {
                model.scores("good morgen", &[0.5; 300]);
            }
        }
    }

    #[test]
    fn stop_word_sentences_leave_out_what_was_asked() {
        let samples = stop_word_samples(&["en"], 2);
        assert!(samples.len() > 20);
        assert!(samples.iter().all(|s| s.code == REST && !s.text.is_empty()));
    }
}
