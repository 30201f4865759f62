//! The query language of topics, read into a tree. What it knows:
//!
//! | write | to find |
//! |---|---|
//! | `delta` | the word, in any case, with or without accents, also after `#`, `@` or `$` |
//! | `delta united`, `delta AND united` | both |
//! | `delta OR united` | either; `AND` binds before `OR` |
//! | `delta -dawn`, `delta NOT dawn`, `delta -(dawn OR force)` | the first without the second |
//! | `"customer service"` | the words in this order, side by side |
//! | `cancel*` | words that begin so |
//! | `#fail` `@united` `$UAL` | the hashtag, the mention, the cashtag |
//! | `from:united` | posts of this account |
//! | `lang:de` | posts in this language (ISO 639-1) or a variety of it: `lang:ar` finds Egyptian, `lang:no` Bokmål |
//!
//! Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese and Tibetan words are found inside longer runs, because these
//! scripts do not part words (Korean: because its particles stick to them). An emoji is found with any skin tone, but not
//! as a part of a joined one, nor a flag across two others. What other tools know besides (`NEAR/5`, `"…"~5`, `gr?y`) is
//! refused with what to write instead, never read as words. How words are compared is in [`super::text`].

use super::foreign::{DISTANCE, foreign, instead};
use super::mistake::QueryError;
use super::text::{Class, Ending, class, contains, fold};
use crate::enrichment::macrolanguage;
use crate::post::Post;
use std::fmt;

/// Longest query, in characters.
pub const LENGTH_MAX_CHARS: usize = 4_096;
/// Most words, phrases and operators with a value.
pub const TERMS_MAX: usize = 256;
/// Deepest nesting of parentheses and negations.
pub const DEPTH_MAX: usize = 32;
/// Fewest characters before a `*`.
pub const STEM_MIN_CHARS: usize = 2;

/// A checked query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    source: String,
    expression: Expression,
}

/// A query as a tree, for translation into the query language of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Term(Term),
}

/// One condition on a post.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Term {
    /// A word, phrase, hashtag, mention or cashtag.
    Text {
        /// Folded, as it is searched.
        folded: String,
        ending: Ending,
        /// As the user wrote it, without quotation marks and star.
        written: String,
    },
    /// The author's username, lower case, without `@`.
    From(String),
    /// A language, lower case, without region.
    Lang(String),
}

impl Query {
    /// Parses a query; an error says where the mistake is and how to fix it.
    ///
    /// ```
    /// use domain::topic::Query;
    ///
    /// assert!(Query::parse(r#"(delta OR united) "customer service" -jobs"#).is_ok());
    /// let error = Query::parse("delta (late OR").unwrap_err();
    /// assert_eq!(error.at, 14);
    /// println!("{error}"); // the reason, the query, and a caret below the mistake
    /// ```
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let expression = Parser::new(query).query()?;
        Ok(Self { source: query.to_owned(), expression })
    }

    /// The query as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The query as a tree.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Whether the post is a mention. `language`: the language found in its text; without one, the platform's claim
    /// counts for `lang:`. For many topics at once use [`super::TopicMatcher`].
    pub fn matches(&self, post: &Post, language: Option<&str>) -> bool {
        let subject = Subject::new(post, language);
        let text = fold(&post.text);
        self.expression.holds(&|term| match term {
            Term::Text { folded, ending, .. } => contains(&text, folded, *ending),
            other => subject.is(other),
        })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Expression {
    /// The value of the expression when `holds` tells that of every term.
    pub(crate) fn holds(&self, holds: &impl Fn(&Term) -> bool) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(holds)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(holds)),
            Self::Not(part) => !part.holds(holds),
            Self::Term(term) => holds(term),
        }
    }

    /// Whether every post that matches has at least one term that is not negated.
    pub(crate) fn asks_for_something(&self) -> bool {
        self.positive(true)
    }

    fn positive(&self, wanted: bool) -> bool {
        match self {
            // Under a negation AND and OR change places.
            Self::And(parts) if wanted => parts.iter().any(|part| part.positive(wanted)),
            Self::Or(parts) if !wanted => parts.iter().any(|part| part.positive(wanted)),
            Self::And(parts) | Self::Or(parts) => parts.iter().all(|part| part.positive(wanted)),
            Self::Not(part) => part.positive(!wanted),
            Self::Term(_) => wanted,
        }
    }
}

/// What `from:` and `lang:` look at.
pub(crate) struct Subject {
    username: Option<String>,
    language: Option<String>,
}

impl Subject {
    pub(crate) fn new(post: &Post, language: Option<&str>) -> Self {
        let known = language.filter(|code| *code != "und");
        Self {
            username: post.author.as_ref().and_then(|author| author.username.as_deref()).map(account),
            language: known.or(post.language_hint.as_deref()).map(primary),
        }
    }

    pub(crate) fn is(&self, term: &Term) -> bool {
        match term {
            Term::Text { .. } => false,
            Term::From(username) => self.username.as_ref() == Some(username),
            Term::Lang(wanted) => {
                self.language.as_deref().is_some_and(|code| code == wanted || macrolanguage(code) == wanted)
            }
        }
    }
}

fn account(name: &str) -> String {
    name.trim_start_matches('@').to_lowercase()
}

/// `pt` of `pt-BR`.
fn primary(language: &str) -> String {
    language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    terms: usize,
}

const QUOTES: [char; 7] = ['"', '“', '”', '„', '«', '»', '＂'];

impl Parser {
    fn new(query: &str) -> Self {
        Self { chars: query.chars().collect(), at: 0, terms: 0 }
    }

    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Result<T, QueryError> {
        Err(QueryError::new(&self.chars, at, message.into()))
    }

    fn query(mut self) -> Result<Expression, QueryError> {
        let length = self.chars.len();
        if length > LENGTH_MAX_CHARS {
            return self.fail(
                LENGTH_MAX_CHARS,
                format!(
                    "the query has {length} characters; at most {LENGTH_MAX_CHARS} are accepted: make two topics of it"
                ),
            );
        }
        self.skip_blank();
        if self.at == length {
            return self
                .fail(0, "the query is empty: write the words to listen for, such as united OR \"united airlines\"");
        }
        let expression = self.or(0)?;
        if self.at < length {
            return self.fail(self.at, "this ) closes nothing: remove it, or open a ( before it");
        }
        if !expression.asks_for_something() {
            return self.fail(
                0,
                "this asks only for what must not be there and would match nearly every post: add a word to listen for",
            );
        }
        Ok(expression)
    }

    fn or(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let mut parts = vec![self.and(depth)?];
        while self.take_operator("OR") {
            self.expect_operand("OR")?;
            parts.push(self.and(depth)?);
        }
        Ok(flat(parts, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let mut parts = vec![self.unary(depth)?];
        loop {
            self.skip_blank();
            if self.take_operator("AND") {
                self.expect_operand("AND")?;
            } else if self.at == self.chars.len() || self.is_close() || self.peek_operator("OR") {
                return Ok(flat(parts, Expression::And));
            }
            parts.push(self.unary(depth)?);
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Expression, QueryError> {
        self.skip_blank();
        let begin = self.at;
        if depth >= DEPTH_MAX {
            return self.fail(begin, format!("more than {DEPTH_MAX} levels of parentheses and NOTs: write it flatter"));
        }
        if self.take_operator("NOT") {
            self.expect_operand("NOT")?;
            return Ok(Expression::Not(Box::new(self.unary(depth + 1)?)));
        }
        if matches!(self.peek(), Some('-' | '−' | '–')) {
            self.at += 1;
            return match self.peek() {
                Some(c) if !c.is_whitespace() && !self.is_close() => {
                    Ok(Expression::Not(Box::new(self.unary(depth + 1)?)))
                }
                _ => self.fail(begin, "this - stands alone: put it right before the word to leave out, as in -refund"),
            };
        }
        match self.peek() {
            Some('(' | '（') => self.group(depth),
            Some(c) if QUOTES.contains(&c) => self.phrase(),
            _ => self.word(),
        }
    }

    fn group(&mut self, depth: usize) -> Result<Expression, QueryError> {
        let open = self.at;
        self.at += 1;
        self.skip_blank();
        if self.is_close() {
            return self.fail(open, "these parentheses are empty: write a word inside, or remove them");
        }
        if self.at == self.chars.len() {
            return self.fail(open, "this ( is never closed: add a )");
        }
        let inside = self.or(depth + 1)?;
        if !self.is_close() {
            return self.fail(open, "this ( is never closed: add a )");
        }
        self.at += 1;
        Ok(inside)
    }

    fn phrase(&mut self) -> Result<Expression, QueryError> {
        let open = self.at;
        self.at += 1;
        let begin = self.at;
        while self.peek().is_some_and(|c| !QUOTES.contains(&c)) {
            self.at += 1;
        }
        if self.peek().is_none() {
            return self.fail(open, "this quotation mark is never closed: add one after the phrase");
        }
        let written: String = self.chars[begin..self.at].iter().collect();
        self.at += 1;
        let star = self.peek() == Some('*');
        if star {
            self.at += 1;
        }
        if self.peek() == Some('~') {
            return self.fail(self.at, DISTANCE);
        }
        self.text(written.trim(), star, open)
    }

    fn word(&mut self) -> Result<Expression, QueryError> {
        let begin = self.at;
        while self
            .peek()
            .is_some_and(|c| !c.is_whitespace() && !matches!(c, '(' | '（' | ')' | '）') && !QUOTES.contains(&c))
        {
            self.at += 1;
        }
        let word: String = self.chars[begin..self.at].iter().collect();
        if let Some(hint) = instead(&word) {
            return self.fail(begin, hint);
        }
        if let Some((place, hint)) = foreign(&word) {
            return self.fail(begin + place, hint);
        }
        match word.split_once(':') {
            Some((name, value)) if is_operator_name(name) && !value.starts_with("//") => {
                self.operator(name, value, begin)
            }
            _ => self.text(&word, false, begin),
        }
    }

    fn operator(&mut self, name: &str, value: &str, begin: usize) -> Result<Expression, QueryError> {
        let inside = begin + name.chars().count() + 1;
        let value = match (value, self.peek()) {
            ("", Some(c)) if QUOTES.contains(&c) => {
                return self
                    .fail(self.at, format!("{name}: takes one word without quotation marks, right after the colon"));
            }
            ("", _) => {
                return self
                    .fail(inside, format!("{name}: needs a value right after the colon, as in {}", example(name)));
            }
            (value, _) => value,
        };
        let term = match name.to_ascii_lowercase().as_str() {
            "from" => {
                let account = account(value);
                let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | ':');
                if account.is_empty() || !account.chars().all(fits) {
                    return self
                        .fail(inside, format!("{value:?} is not an account name; write for example from:united"));
                }
                Term::From(account)
            }
            "lang" => {
                let code = primary(value);
                if !(2..=3).contains(&code.len()) || !code.chars().all(|c| c.is_ascii_lowercase()) {
                    return self.fail(
                        inside,
                        format!("{value:?} is not a language code; use two letters, for example lang:en or lang:pt"),
                    );
                }
                Term::Lang(code)
            }
            _ => {
                return self.fail(begin, format!(
                    "{name}: is not known here; there are from: and lang:. To search for the words, put them in quotation marks"
                ));
            }
        };
        self.count(begin)?;
        Ok(Expression::Term(term))
    }

    /// A word or phrase; `begin` is its place in the query.
    fn text(&mut self, written: &str, mut star: bool, begin: usize) -> Result<Expression, QueryError> {
        let stem = written.trim_end_matches('*');
        star |= stem.len() < written.len();
        if let Some(inner) = stem.chars().position(|c| c == '*') {
            return self.fail(begin + inner, "a * is understood only at the end of a word, as in cancel*");
        }
        let folded = fold(stem);
        if !folded.chars().any(|c| class(c) != Class::Separator && !matches!(c, '#' | '@' | '$')) {
            return self.fail(
                begin,
                "nothing here can be searched for: punctuation is not compared. Write a word, a tag or an emoji",
            );
        }
        if star && folded.chars().count() < STEM_MIN_CHARS {
            return self.fail(
                begin,
                format!("at least {STEM_MIN_CHARS} characters are needed before a *, else nearly every post matches"),
            );
        }
        let tag = folded.starts_with('#') && !folded.contains(' ');
        let ending = if star {
            Ending::Open
        } else if tag {
            Ending::Tag
        } else {
            Ending::Whole
        };
        self.count(begin)?;
        Ok(Expression::Term(Term::Text { folded, ending, written: stem.to_owned() }))
    }

    fn count(&mut self, begin: usize) -> Result<(), QueryError> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return self.fail(begin, format!("more than {TERMS_MAX} words: make two topics of it"));
        }
        Ok(())
    }

    fn expect_operand(&mut self, operator: &str) -> Result<(), QueryError> {
        self.skip_blank();
        let missing =
            self.at == self.chars.len() || self.is_close() || self.peek_operator("OR") || self.peek_operator("AND");
        if missing {
            let at = self.at.min(self.chars.len());
            return self.fail(at, format!("{operator} needs a word after it: add one, or remove the {operator}"));
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn is_close(&self) -> bool {
        matches!(self.peek(), Some(')' | '）'))
    }

    fn skip_blank(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Whether the operator stands here as a word of its own.
    fn peek_operator(&self, operator: &str) -> bool {
        let length = operator.len();
        let same = self.chars[self.at..].iter().take(length).copied().eq(operator.chars());
        let next = self.chars.get(self.at + length).copied();
        same && next.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '（' | ')' | '）') || QUOTES.contains(&c))
    }

    fn take_operator(&mut self, operator: &str) -> bool {
        self.skip_blank();
        let here = self.peek_operator(operator);
        if here {
            self.at += operator.len();
        }
        here
    }
}

/// One part stands for itself; nested lists of the same kind are joined.
fn flat(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    join(parts)
}

fn is_operator_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

fn example(name: &str) -> &'static str {
    if name.eq_ignore_ascii_case("lang") { "lang:en" } else { "from:united" }
}
