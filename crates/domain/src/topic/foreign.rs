//! What people bring from the query languages of other tools: refused with what to write instead, because read as words
//! it would find nothing and say nothing.

/// For words near each other.
pub(super) const DISTANCE: &str = "there is no search for words near each other: write a AND b for both anywhere in the post, or a \
    phrase in quotation marks for both side by side";

/// The operators of other tools, that would be read as words here and then find nothing: the place within the word, and
/// what to write instead.
pub(super) fn foreign(word: &str) -> Option<(usize, &'static str)> {
    let upper = word.to_ascii_uppercase();
    let near = upper.trim_start_matches("NOT").trim_start_matches('O');
    let near = ["NEAR", "WITHIN", "W", "N", "PRE", "P"].iter().find_map(|name| near.strip_prefix(name));
    if near.is_some_and(|rest| rest.strip_prefix('/').is_some_and(is_number)) || matches!(word, "NEAR" | "ONEAR") {
        return Some((0, DISTANCE));
    }
    if matches!(word, "ANDNOT" | "XOR" | "NOR") {
        return Some((0, "this operator is not known; there are AND, OR, NOT and parentheses"));
    }
    let chars: Vec<char> = word.chars().collect();
    let letter = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
    for (at, c) in chars.iter().enumerate() {
        let (before, after) = (letter(at.checked_sub(1)), letter(Some(at + 1)));
        let hint = match c {
            '?' if after && !word.contains("//") => {
                "a ? for any letter is not known: write both spellings, as in gray OR grey, or a * at the end"
            }
            '%' if before && !chars[at - 1].is_ascii_digit() => {
                "a % for any letters is not known: use a * at the end of a word, as in cancel*"
            }
            '~' if before => {
                "there is no search for similar words: write the spellings with OR, or a * at the end of a word"
            }
            '^' if before && after => "words have no weights here: leave out the ^ and the number",
            '|' if before || after => "write OR in capital letters between the words",
            '+' if at == 0 && after && !chars[1].is_ascii_digit() => {
                "leave out the +: words side by side are all needed"
            }
            '!' if at == 0 && after => "write a - before the word to leave out, as in -refund",
            '/' if at == 0 && chars.len() > 2 && chars.last() == Some(&'/') => {
                "patterns between slashes are not known: write words, or a * at the end of a word"
            }
            '[' | '{' if at == 0 && !chars.contains(&']') && !chars.contains(&'}') => {
                "ranges in brackets are not known: topics look at words, accounts and languages"
            }
            _ => continue,
        };
        return Some((at, hint));
    }
    None
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What to write instead of a word that people mean as an operator.
pub(super) fn instead(word: &str) -> Option<String> {
    let operator = match word {
        "AND" | "OR" => return Some(format!("{word} needs a word before it: add one, or remove the {word}")),
        "or" | "Or" | "|" | "||" => "OR",
        "and" | "And" | "&" | "&&" | "+" => "AND",
        "not" | "Not" | "!" => "NOT",
        _ => return None,
    };
    let quoted = if word.chars().all(char::is_alphabetic) {
        format!("; to search for the word itself, put it in quotation marks: \"{word}\"")
    } else {
        String::new()
    };
    Some(format!("write {operator} in capital letters{quoted}"))
}
