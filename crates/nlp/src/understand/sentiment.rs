//! Sentiment from a head's three probabilities, and what "mixed" means.

use domain::{Sentiment, SentimentLabel};

/// Which of a classifier's labels speaks for which pole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Poles(Vec<SentimentLabel>);

impl Poles {
    /// Reads labels as sentiment models name them: by word (`negative`, `NEG`, `positivo`), by stars, or nameless in the
    /// order negative, (neutral,) positive. None when they are no sentiment labels.
    pub(crate) fn of(labels: &[String]) -> Option<Self> {
        let named: Option<Vec<_>> = labels.iter().map(|label| named(&label.to_lowercase())).collect();
        let nameless = labels.iter().enumerate().all(|(i, label)| *label == format!("LABEL_{i}"));
        let poles = match (named, labels.len()) {
            (Some(poles), _) => poles,
            (None, 2) if nameless => vec![SentimentLabel::Negative, SentimentLabel::Positive],
            (None, 3) if nameless => vec![SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Positive],
            _ => return None,
        };
        let has = |pole| poles.contains(&pole);
        (has(SentimentLabel::Negative) && has(SentimentLabel::Positive)).then_some(Self(poles))
    }

    /// Sums the probabilities of each pole and derives the rest.
    pub(crate) fn sentiment(&self, probabilities: &[f32]) -> Sentiment {
        let sum = |pole| self.0.iter().zip(probabilities).filter(|(p, _)| **p == pole).map(|(_, v)| v).sum::<f32>();
        derive(sum(SentimentLabel::Negative), sum(SentimentLabel::Neutral), sum(SentimentLabel::Positive))
    }
}

fn named(label: &str) -> Option<SentimentLabel> {
    if let Some(rest) = label.strip_suffix(" stars").or_else(|| label.strip_suffix(" star")) {
        return match rest.parse().ok()? {
            1 | 2 => Some(SentimentLabel::Negative),
            3 => Some(SentimentLabel::Neutral),
            4 | 5 => Some(SentimentLabel::Positive),
            _ => None,
        };
    }
    [("neg", SentimentLabel::Negative), ("neu", SentimentLabel::Neutral), ("pos", SentimentLabel::Positive)]
        .into_iter()
        .find(|(word, _)| label.contains(word))
        .map(|(_, pole)| pole)
}

/// The four scores from calibrated probabilities of three.
///
/// No training set labels "mixed" as such. A model that has learned three labels shows a text with both feelings by
/// giving both poles nearly the same, high probability, where a text without feeling goes to neutral. So, with the
/// poles' mass s = negative + positive and their balance b = 2 min(negative, positive) / s, both 0 to 1:
///
/// mixed = s^3 b^8
///
/// is taken from the poles in proportion, and the four scores add up to 1. The powers make "mixed" the strongest score
/// only where the poles lie within about a tenth of each other and neutral is unlikely; elsewhere the order of the
/// three stays as the model has it.
pub(crate) fn derive(negative: f32, neutral: f32, positive: f32) -> Sentiment {
    let total = negative + neutral + positive;
    if !(total.is_finite() && total > 0.0) {
        return Sentiment { label: SentimentLabel::Neutral, positive: 0.0, negative: 0.0, neutral: 1.0, mixed: 0.0 };
    }
    let (negative, neutral, positive) = (negative / total, neutral / total, positive / total);
    let mass = negative + positive;
    let balance = if mass > 0.0 { 2.0 * negative.min(positive) / mass } else { 0.0 };
    let mixed = mass.powi(3) * balance.powi(8);
    let rest = if mass > 0.0 { 1.0 - mixed / mass } else { 0.0 };
    let (negative, positive) = (negative * rest, positive * rest);
    let scores = [
        (SentimentLabel::Negative, negative),
        (SentimentLabel::Neutral, neutral),
        (SentimentLabel::Positive, positive),
        (SentimentLabel::Mixed, mixed),
    ];
    let best = scores.into_iter().fold(scores[0], |best, score| if score.1 > best.1 { score } else { best });
    Sentiment { label: best.0, positive, negative, neutral, mixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poles(labels: &[&str]) -> Option<Vec<SentimentLabel>> {
        Poles::of(&labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>()).map(|p| p.0)
    }

    #[test]
    fn labels_of_common_models_are_understood() {
        use SentimentLabel::{Negative, Neutral, Positive};
        assert_eq!(poles(&["Negative", "Neutral", "Positive"]), Some(vec![Negative, Neutral, Positive]));
        assert_eq!(poles(&["POS", "NEG"]), Some(vec![Positive, Negative]));
        assert_eq!(poles(&["LABEL_0", "LABEL_1", "LABEL_2"]), Some(vec![Negative, Neutral, Positive]));
        let stars = poles(&["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]);
        assert_eq!(stars, Some(vec![Negative, Negative, Neutral, Positive, Positive]));
        assert_eq!(poles(&["joy", "anger"]), None);
    }

    #[test]
    fn scores_add_up_and_only_a_tie_of_the_poles_is_mixed() {
        for (negative, neutral, positive, label) in [
            (0.9, 0.05, 0.05, SentimentLabel::Negative),
            (0.1, 0.8, 0.1, SentimentLabel::Neutral),
            (0.33, 0.34, 0.33, SentimentLabel::Neutral),
            (0.35, 0.1, 0.55, SentimentLabel::Positive),
            (0.46, 0.06, 0.48, SentimentLabel::Mixed),
            (0.0, 0.0, 1.0, SentimentLabel::Positive),
        ] {
            let s = derive(negative, neutral, positive);
            assert_eq!(s.label, label, "{negative} {neutral} {positive}");
            assert!((s.positive + s.negative + s.neutral + s.mixed - 1.0).abs() < 1e-6);
        }
        assert_eq!(derive(f32::NAN, 0.0, 0.0).label, SentimentLabel::Neutral);
    }
}
