//! Facts about scripts and codes: which script a letter belongs to, which language owns a script, how often languages are
//! posted, and how fastText's labels and platforms' hints become ISO codes.

/// Scripts that matter for telling languages apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    /// Chinese characters and kana together: Japanese mixes them.
    East,
    Kana,
    /// Owned by one language, which is all there is to know.
    Owned(&'static str),
    /// Shared by several languages; told apart by the number.
    Shared(u8),
}

/// The script of a letter; none for digits and signs.
pub(super) fn of(c: char) -> Option<Script> {
    use Script::{East, Kana, Latin, Owned, Shared};
    if c.is_ascii() {
        return c.is_ascii_alphabetic().then_some(Latin);
    }
    let script = match c as u32 {
        0xAA | 0xBA | 0xC0..=0x24F | 0x1E00..=0x1EFF | 0x2C60..=0x2C7F | 0xA720..=0xA7FF | 0xFF21..=0xFF5A => Latin,
        0x370..=0x3FF | 0x1F00..=0x1FFF => Owned("el"),
        0x400..=0x52F => Shared(0),
        0x530..=0x58F => Owned("hy"),
        0x590..=0x5FF => Shared(1),
        0x600..=0x6FF | 0x750..=0x77F | 0x8A0..=0x8FF | 0xFB50..=0xFDFF | 0xFE70..=0xFEFC => Shared(2),
        0x700..=0x74F => Owned("syc"),
        0x780..=0x7BF => Owned("dv"),
        0x900..=0x97F => Shared(3),
        0x980..=0x9FF => Shared(4),
        0xA00..=0xA7F => Owned("pa"),
        0xA80..=0xAFF => Owned("gu"),
        0xB00..=0xB7F => Owned("or"),
        0xB80..=0xBFF => Owned("ta"),
        0xC00..=0xC7F => Owned("te"),
        0xC80..=0xCFF => Owned("kn"),
        0xD00..=0xD7F => Owned("ml"),
        0xD80..=0xDFF => Owned("si"),
        0xE00..=0xE7F => Owned("th"),
        0xE80..=0xEFF => Owned("lo"),
        0xF00..=0xFFF => Shared(5),
        0x1000..=0x109F => Owned("my"),
        0x10A0..=0x10FF | 0x1C90..=0x1CBF => Shared(6),
        0x1100..=0x11FF | 0x3130..=0x318F | 0xAC00..=0xD7AF => Owned("ko"),
        0x1200..=0x139F => Owned("am"),
        0x1780..=0x17FF => Owned("km"),
        0x3041..=0x3096 | 0x30A1..=0x30FA | 0x31F0..=0x31FF | 0xFF66..=0xFF9D => Kana,
        0x3005 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x3134F => East,
        _ if c.is_alphabetic() => Shared(99),
        _ => return None,
    };
    // The kana lengthener and marks inside the blocks above that are no letters change nothing.
    Some(script)
}

/// How much a letter says: a Chinese character is about a word, a Korean one a syllable.
pub(super) fn weight(script: Script) -> usize {
    match script {
        Script::East | Script::Kana => 3,
        Script::Owned("ko") => 2,
        _ => 1,
    }
}

/// fastText's labels follow Wikipedia's names; these are not ISO 639, or name a part of what people mean.
pub(super) fn iso(label: &str) -> &str {
    match label {
        "als" => "gsw",
        "bh" => "bho",
        "eml" => "egl",
        "azb" => "az",
        "no" => "nb",
        other => other,
    }
}

/// The code meant by a platform's claim; none where it claims nothing.
pub(super) fn hinted(hint: &str) -> Option<String> {
    let primary = hint.split(['-', '_']).next()?.to_ascii_lowercase();
    match primary.as_str() {
        "" | "und" | "zxx" | "art" | "qam" | "qct" | "qht" | "qme" | "qst" => None,
        "in" => Some("id".into()),
        "iw" => Some("he".into()),
        _ => Some(primary),
    }
}

/// How common a language is among posts, in nats below English: orders of magnitude, as public counts agree on them.
pub(super) fn frequency(code: &str) -> f32 {
    match code {
        "en" => 0.0,
        "ja" | "es" | "ar" | "pt" => -1.0,
        "id" | "fr" | "tr" | "ko" | "th" | "ru" => -1.5,
        "de" | "it" | "hi" | "hi-Latn" | "tl" | "nl" | "zh" | "fa" | "pl" => -2.0,
        "sv" | "vi" | "uk" | "el" | "he" | "ms" | "ur" | "bn" | "ta" | "ro" | "ca" | "fi" | "da" | "nb" | "cs"
        | "hu" => -3.0,
        _ => -4.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_know_their_script() {
        assert_eq!(of('ß'), Some(Script::Latin));
        assert_eq!(of('の'), Some(Script::Kana));
        assert_eq!(of('語'), Some(Script::East));
        assert_eq!(of('ก'), Some(Script::Owned("th")));
        assert_eq!(of('ש'), Some(Script::Shared(1)));
        for none in ['1', '!', '😀', ' ', '、', '\0'] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn hints_become_codes() {
        assert_eq!(hinted("pt-BR").as_deref(), Some("pt"));
        assert_eq!(hinted("in").as_deref(), Some("id"));
        assert_eq!(hinted("und"), None);
        assert_eq!(hinted(""), None);
    }
}
