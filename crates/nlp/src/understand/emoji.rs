//! Sentiment of posts that hold emoji and no words. The model was trained on sentences and calls most of them neutral; the
//! table `emoji.txt` says how much more often an emoji stands in positive posts than in negative ones (the logarithm of
//! the ratio, counted by `training/emoji.py`).

use super::sentiment::derive;
use crate::linear::softmax;
use crate::text::{Span, stand_in};
use domain::{EntityKind, Sentiment};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Score of neutral where the poles have the sum of the polarities, halved, for and against. A guess: labelled posts of
/// emoji alone are too few to fit it.
const NEUTRAL: f32 = 0.1;
/// Bound of the sum: some emoji of the same mood make no certainty.
const SUM_MAX: f32 = 4.0;

/// By the first character: skin tones and joined signs do not change the mood.
static POLARITIES: LazyLock<HashMap<char, f32>> = LazyLock::new(|| {
    let entry = |line: &'static str| {
        let (emoji, polarity) = line.split_once(' ')?;
        Some((emoji.chars().next()?, polarity.parse().ok()?))
    };
    include_str!("emoji.txt").lines().filter_map(entry).collect()
});

/// The sentiment of a post without words, from its emoji; none where there are words, or no emoji that is known.
pub(super) fn sentiment(text: &str, spans: &[Span]) -> Option<Sentiment> {
    let (mut at, mut sum, mut known) = (0, 0.0, false);
    for span in spans {
        if has_words(&text[at..span.bytes.start]) || span.kind == EntityKind::Hashtag {
            return None;
        }
        if span.kind == EntityKind::Emoji {
            let polarity = polarity(&text[span.bytes.clone()]);
            known |= polarity.is_some();
            sum += polarity.unwrap_or(0.0);
        }
        at = span.bytes.end;
    }
    if !known || has_words(&text[at..]) {
        return None;
    }
    let sum = f32::clamp(sum, -SUM_MAX, SUM_MAX);
    let mut shares = [-sum / 2.0, NEUTRAL, sum / 2.0];
    softmax(&mut shares);
    Some(derive(shares[0], shares[1], shares[2]))
}

fn polarity(emoji: &str) -> Option<f32> {
    let of = |emoji: &str| POLARITIES.get(&emoji.chars().next()?).copied();
    of(emoji).or_else(|| of(stand_in(emoji)?))
}

fn has_words(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::scan;
    use domain::SentimentLabel;

    fn judged(text: &str) -> Option<SentimentLabel> {
        sentiment(text, &scan(text)).map(|found| found.label)
    }

    #[test]
    fn emoji_alone_have_a_sentiment() {
        for text in ["🤬🤮", "😡", "@united 👎👎 http://t.co/x", "😭😭😭", "🖕🏿"] {
            assert_eq!(judged(text), Some(SentimentLabel::Negative), "{text}");
        }
        for text in ["😂😂", "❤️", "👍🏽", "@user 🎉🎉!", "🥳"] {
            assert_eq!(judged(text), Some(SentimentLabel::Positive), "{text}");
        }
    }

    #[test]
    fn words_and_unknown_emoji_are_left_to_the_model() {
        for text in ["", "late again 😡", "#fail 😡", "😡 2", "🗿", "♀️", "@user", "日本 😡"] {
            assert_eq!(judged(text), None, "{text}");
        }
        let found = sentiment("😡👍😡👍", &scan("😡👍😡👍")).unwrap();
        assert!((found.positive + found.negative + found.neutral + found.mixed - 1.0).abs() < 1e-5);
    }
}
