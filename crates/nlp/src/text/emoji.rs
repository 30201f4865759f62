//! Emoji as people see them: one flag, one family, one waving hand of any skin tone is one emoji. Relies on Unicode's
//! grapheme clusters and emoji properties (UTS #51).

use unicode_properties::UnicodeEmoji;
use unicode_properties::emoji::EmojiStatus;
use unicode_segmentation::UnicodeSegmentation;

/// Length in bytes of the emoji at the head of `rest`, if there is one.
pub(super) fn emoji_length(rest: &str) -> Option<usize> {
    let first = rest.chars().next()?;
    if first.is_ascii() {
        return keycap_length(rest, first);
    }
    // Nothing below the arrows and signs block is an emoji by itself; copyright and the like are letters to people.
    if (first as u32) < 0x203C || !first.is_emoji_char() {
        return None;
    }
    let cluster = rest.graphemes(true).next()?;
    let second = cluster.chars().nth(1);
    let is_emoji = match first.emoji_status() {
        _ if is_regional_indicator(first) => second.is_some_and(is_regional_indicator),
        EmojiStatus::EmojiPresentation
        | EmojiStatus::EmojiPresentationAndModifierBase
        | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent
        | EmojiStatus::EmojiPresentationAndEmojiComponent => second != Some('\u{FE0E}'),
        // Hearts, suns and faces of the old symbol blocks are posted without a selector and meant as emoji.
        _ => second == Some('\u{FE0F}') || ((0x2600..0x27C0).contains(&(first as u32)) && second != Some('\u{FE0E}')),
    };
    is_emoji.then_some(cluster.len())
}

fn is_regional_indicator(c: char) -> bool {
    matches!(c, '\u{1F1E6}'..='\u{1F1FF}')
}

/// `1️⃣`: a digit, `#` or `*`, perhaps a selector, and the enclosing keycap.
fn keycap_length(rest: &str, first: char) -> Option<usize> {
    if !(first.is_ascii_digit() || first == '#' || first == '*') {
        return None;
    }
    let after = rest.get(1..)?;
    let after_selector = after.strip_prefix('\u{FE0F}').unwrap_or(after);
    let end = after_selector.strip_prefix('\u{20E3}')?;
    Some(rest.len() - end.len())
}

#[cfg(test)]
mod tests {
    use super::emoji_length;

    #[test]
    fn what_people_see_as_one_emoji_is_one() {
        for emoji in ["😀", "❤️", "❤", "👍🏽", "👨‍👩‍👧‍👦", "🇩🇪", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "🏳️‍🌈", "☀", "‼️", "👩🏾‍💻"]
        {
            assert_eq!(emoji_length(emoji), Some(emoji.len()), "{emoji}");
            let followed = format!("{emoji}x");
            assert_eq!(emoji_length(&followed), Some(emoji.len()), "{followed}");
        }
    }

    #[test]
    fn two_flags_are_two() {
        assert_eq!(emoji_length("🇩🇪🇫🇷"), Some("🇩🇪".len()));
    }

    #[test]
    fn signs_that_are_text_are_not_emoji() {
        for text in ["1", "#", "©", "®", "™", "a", "字", "→", "🇩", "😀\u{FE0E}", "", "\u{FE0F}", "\u{200D}"]
        {
            assert_eq!(emoji_length(text), None, "{text:?}");
        }
    }
}
