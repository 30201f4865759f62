//! How good a trained head is, by cross-validation on the user's own examples: each part of them is told by a head that
//! has not seen it.

use super::head::{directions, fit_fusion, fused, held_out, readings};
use super::{CategorySet, EXAMPLES_TO_TRAIN, Embed};
use crate::error::{Error, Result};
use serde::Serialize;

/// Figures of a trained head, each between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    pub accuracy: f32,
    pub macro_f1: f32,
    pub classes: Vec<ClassFigures>,
    /// `confusion[actual][predicted]`, counts.
    pub confusion: Vec<Vec<u32>>,
}

/// Figures of one category.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    pub name: String,
    pub precision: f32,
    pub recall: f32,
    pub f1: f32,
    /// Examples of it.
    pub support: u32,
}

/// Cross-validates a set whose classes have eight examples each.
pub fn evaluate(set: &CategorySet, embed: &impl Embed) -> Result<Evaluation> {
    if !set.can_train() {
        let few: Vec<&str> =
            set.categories.iter().filter(|c| c.examples.len() < EXAMPLES_TO_TRAIN).map(|c| c.name.as_str()).collect();
        return Err(Error::Invalid(format!(
            "categories: {} need at least {EXAMPLES_TO_TRAIN} examples to be evaluated",
            few.join(", ")
        )));
    }
    let answers = held_out(&readings(set, embed)?, &directions(set, embed, false)?);
    // One weight chosen among six on the same answers: the figures are better than the truth by next to nothing.
    let (likeness, _) = fit_fusion(&answers);
    let best = |scores: &[f32]| (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
    let pairs = answers.iter().map(|held| (held.class, best(&fused(&held.trained, &held.alike, likeness))));
    Ok(Evaluation::of(set.categories.iter().map(|c| c.name.clone()).collect(), pairs))
}

impl Evaluation {
    /// Figures of (actual, predicted) pairs of class numbers.
    pub fn of(names: Vec<String>, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut confusion = vec![vec![0_u32; names.len()]; names.len()];
        for (actual, predicted) in pairs {
            if let Some(cell) = confusion.get_mut(actual).and_then(|row| row.get_mut(predicted)) {
                *cell += 1;
            }
        }
        let share = |part: u32, whole: u32| if whole == 0 { 0.0 } else { part as f32 / whole as f32 };
        let total: u32 = confusion.iter().flatten().sum();
        let right: u32 = (0..names.len()).map(|i| confusion[i][i]).sum();
        let classes: Vec<ClassFigures> = names
            .into_iter()
            .enumerate()
            .map(|(i, name)| {
                let support = confusion[i].iter().sum();
                let claimed = confusion.iter().map(|row| row[i]).sum();
                let hits = confusion[i][i];
                ClassFigures {
                    name,
                    precision: share(hits, claimed),
                    recall: share(hits, support),
                    f1: share(2 * hits, support + claimed),
                    support,
                }
            })
            .collect();
        let macro_f1 = classes.iter().map(|c| c.f1).sum::<f32>() / classes.len().max(1) as f32;
        Self { accuracy: share(right, total), macro_f1, classes, confusion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_field_s() {
        let names = vec!["a".to_owned(), "b".to_owned()];
        let evaluation = Evaluation::of(names, [(0, 0), (0, 0), (0, 1), (1, 1), (9, 0)]);
        assert_eq!(evaluation.confusion, [[2, 1], [0, 1]]);
        assert_eq!(evaluation.accuracy, 0.75);
        assert_eq!(evaluation.classes[0].recall, 2.0 / 3.0);
        assert_eq!(evaluation.classes[0].precision, 1.0);
        assert!((evaluation.macro_f1 - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn cross_validation_tells_signal_from_noise() {
        let embed = |texts: &[&str]| -> Result<Vec<Vec<f32>>> { Ok(vec![vec![1.0, 0.0]; texts.len()]) };
        let set = |words: [[&str; 2]; 2]| {
            let category = |name: &str, words: [&str; 2]| {
                let examples: Vec<String> = (0..10).map(|i| format!("'{} {}'", words[i % 2], i * 7919)).collect();
                format!("[[category]]\nname='{name}'\nexamples=[{}]\n", examples.join(","))
            };
            CategorySet::parse(&(category("one", words[0]) + &category("two", words[1]))).unwrap()
        };
        let signal = evaluate(&set([["late plane", "plane delayed"], ["lost bag", "bag gone"]]), &embed).unwrap();
        assert!(signal.macro_f1 > 0.95, "{signal:?}");
        let noise = evaluate(&set([["same words", "same words"], ["same words", "same words"]]), &embed).unwrap();
        assert!(noise.macro_f1 < 0.75, "{noise:?}");
        let few = CategorySet::parse("[[category]]\nname='a'\n[[category]]\nname='b'").unwrap();
        assert!(evaluate(&few, &embed).unwrap_err().to_string().contains("at least 8"));
    }
}
