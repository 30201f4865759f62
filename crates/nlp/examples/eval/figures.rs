//! The figures that models are judged by, as the field defines them.

use nlp::categories::Evaluation;

/// Bins of the calibration error.
const BINS: usize = 15;

/// An entity in words: the first, the one after the last, its kind.
pub(crate) type Named = (usize, usize, String);

/// Mean over classes of recall, in percent.
pub(crate) fn macro_recall(figures: &Evaluation) -> f64 {
    let sum: f64 = figures.classes.iter().map(|class| f64::from(class.recall)).sum();
    100.0 * sum / figures.classes.len().max(1) as f64
}

/// Figures of (right, said) class numbers.
pub(crate) fn of_pairs(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Evaluation {
    Evaluation::of((0..classes).map(|class| class.to_string()).collect(), pairs)
}

/// Expected calibration error: |confidence - accuracy| over equal bins, weighted by their posts.
pub(crate) fn calibration_error(answers: &[(f32, bool)]) -> f64 {
    let mut gaps = [0f64; BINS];
    for (confidence, right) in answers {
        let bin = ((confidence * BINS as f32) as usize).min(BINS - 1);
        gaps[bin] += f64::from(*confidence) - f64::from(u8::from(*right));
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / answers.len().max(1) as f64
}

/// Entities of tagged words; an inside without its beginning opens one. Kinds are renamed; those without a name are
/// left out.
pub(crate) fn entities<'a>(tags: &'a [String], rename: impl Fn(&'a str) -> Option<&'a str>) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut open: Option<(usize, &str)> = None;
    for (i, tag) in tags.iter().map(String::as_str).chain(["O"]).enumerate() {
        let (mark, kind) = tag.split_once('-').unwrap_or(("O", ""));
        if let Some((begin, of)) = open
            && !(mark == "I" && kind == of)
        {
            found.extend(rename(of).map(|name| (begin, i, name.to_owned())));
            open = None;
        }
        if mark != "O" && open.is_none() {
            open = Some((i, kind));
        }
    }
    found
}

/// Counts of entities: right in range and kind, said, true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Strict {
    right: usize,
    said: usize,
    gold: usize,
}

impl Strict {
    /// Adds a post.
    pub(crate) fn add(&mut self, gold: &[Named], said: &[Named]) {
        self.right += said.iter().filter(|named| gold.contains(named)).count();
        self.said += said.len();
        self.gold += gold.len();
    }

    /// F1, precision and recall in percent.
    pub(crate) fn percent(self) -> [f64; 3] {
        let (right, said, gold) = (self.right as f64, self.said as f64, self.gold as f64);
        [200.0 * right / (said + gold).max(1.0), 100.0 * right / said.max(1.0), 100.0 * right / gold.max(1.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_weighs_bins_by_their_posts() {
        assert_eq!(calibration_error(&[(1.0, true), (1.0, true)]), 0.0);
        let half = calibration_error(&[(0.9, true), (0.9, false)]);
        assert!((half - 0.4).abs() < 1e-6, "{half}");
    }

    #[test]
    fn entities_match_in_range_and_kind_or_not_at_all() {
        let tags = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let tagged = tags("B-PER I-PER O B-LOC B-LOC I-ORG");
        let gold = entities(&tagged, Some);
        let named = |b, e, k: &str| (b, e, k.to_owned());
        assert_eq!(gold, [named(0, 2, "PER"), named(3, 4, "LOC"), named(4, 5, "LOC"), named(5, 6, "ORG")]);
        let mut strict = Strict::default();
        strict.add(&gold, &[named(0, 2, "PER"), named(3, 5, "LOC")]);
        assert_eq!(strict, Strict { right: 1, said: 2, gold: 4 });
        assert_eq!(strict.percent(), [100.0 / 3.0, 50.0, 25.0]);
        let tagged = tags("B-OTH B-PER");
        assert_eq!(entities(&tagged, |kind| (kind == "PER").then_some("person")), [named(1, 2, "person")]);
    }
}
