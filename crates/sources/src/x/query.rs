//! A topic's query as rules of X's filtered stream. X lacks some of what our queries can say, so the rules may let
//! through more than the query asks for (never less, but for X's own reading of accents and languages, see the
//! notes): what arrives is matched again by us, and each widening is told in words.
//!
//! What X asks for, and how it is met: a space is AND and binds before OR; `-` stands only before single operators, so
//! negations are carried inwards; a negation can't be an alternative of its own, so such an OR is multiplied out;
//! `lang:` needs a word beside it; a rule has at most 1,024 characters, so a long query becomes several rules.
//! X's stream tells accents apart: an accented word is asked for in both forms.

use domain::topic::text::{Class, Ending, class, fold};
use domain::topic::{Expression, Query, Term};
use std::collections::BTreeSet;
use std::fmt;

/// Longest rule of the pay-per-use plan, in characters.
pub const RULE_LENGTH_MAX_CHARS: usize = 1_024;
/// Most rules that one topic may take of the plan's thousand.
pub const RULES_PER_TOPIC_MAX: usize = 50;
/// Bounds the work of multiplying out.
const NODES_MAX: usize = 20_000;
/// Languages that X's `lang:` knows.
const X_LANGUAGES: &str = " am ar bg bn bo bs ca ckb cs cy da de dv el en es et eu fa fi fr gu ht hu hy id in is it iw \
    ja ka km kn ko lo lt lv ml mr my ne nl no or pa pl ps pt ro ru sd si sk sl sr sv ta te th tl tr ug uk ur vi zh hi ";

/// Rules for X's filtered stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XRules {
    /// Values of the rules; a post that any of them lets through may be a mention.
    pub rules: Vec<String>,
    /// Where the rules let through more (or, for `lang:`, other) posts than the query asks for, in words.
    pub notes: Vec<String>,
}

/// The query can't be asked of X.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotExpressible {
    /// The part in question.
    pub what: String,
    /// Why X can't do it, and what to write instead.
    pub why: String,
}

impl fmt::Display for NotExpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X can't be asked for {}: {}", self.what, self.why)
    }
}

impl std::error::Error for NotExpressible {}

/// The rules that bring (at least) the query's posts from X's filtered stream.
pub fn rules(query: &Query) -> Result<XRules, NotExpressible> {
    rules_within(query, RULE_LENGTH_MAX_CHARS)
}

/// The same for another limit on the length: X's search takes 512 characters, larger plans 2,048.
pub fn rules_within(query: &Query, length_max: usize) -> Result<XRules, NotExpressible> {
    let mut notes = BTreeSet::new();
    let wide = widen(query.expression(), true, &mut notes);
    let rule = spread(wide, &mut notes);
    match &rule {
        Rule::Anything => return Err(too_wide(query.as_str(), &notes)),
        Rule::Nothing => {
            return Err(NotExpressible {
                what: query.as_str().to_owned(),
                why: "it asks for accounts that can't exist on X".into(),
            });
        }
        _ => {}
    }
    if let Some(loose) = rule.loose() {
        return Err(NotExpressible {
            what: loose.render(false),
            why: "X wants a word, phrase, tag or account beside it in every alternative".into(),
        });
    }
    let mut rules = Vec::new();
    split(rule, length_max, &mut rules, &mut notes)?;
    if rules.len() > RULES_PER_TOPIC_MAX {
        return Err(NotExpressible {
            what: query.as_str().to_owned(),
            why: format!("it would take {} rules, more than {RULES_PER_TOPIC_MAX}: make it shorter", rules.len()),
        });
    }
    Ok(XRules { rules, notes: notes.into_iter().collect() })
}

fn too_wide(query: &str, notes: &BTreeSet<String>) -> NotExpressible {
    let why = notes.iter().next().cloned().unwrap_or_else(|| "nothing in it can be asked of X".into());
    NotExpressible { what: query.to_owned(), why: format!("{why}; add a whole word beside it") }
}

/// What X can be asked for; negations stand only at operators.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    And(Vec<Rule>),
    Or(Vec<Rule>),
    /// A keyword, phrase, tag, mention, cashtag or `from:`.
    Standalone(String),
    /// An operator that X wants another beside.
    Conjoined(String),
    Not(String),
    /// Lets every post through: what X can't be asked for.
    Anything,
    /// Lets no post of X through.
    Nothing,
}

impl Rule {
    fn and(parts: Vec<Rule>) -> Rule {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Rule::Nothing => return Rule::Nothing,
                Rule::Anything => {}
                Rule::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        dedup(&mut flat);
        one_or(flat, Rule::And, Rule::Anything)
    }

    fn or(parts: Vec<Rule>) -> Rule {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Rule::Anything => return Rule::Anything,
                Rule::Nothing => {}
                Rule::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        dedup(&mut flat);
        one_or(flat, Rule::Or, Rule::Nothing)
    }

    fn only_negations(&self) -> bool {
        match self {
            Rule::And(parts) | Rule::Or(parts) => parts.iter().all(Rule::only_negations),
            Rule::Not(_) => true,
            _ => false,
        }
    }

    /// The first alternative without a standalone operator.
    fn loose(&self) -> Option<&Rule> {
        match self {
            Rule::Standalone(_) => None,
            Rule::Or(parts) => parts.iter().find_map(Rule::loose),
            Rule::And(parts) if parts.iter().any(|part| part.loose().is_none()) => None,
            other => Some(other),
        }
    }

    fn nodes(&self) -> usize {
        match self {
            Rule::And(parts) | Rule::Or(parts) => 1 + parts.iter().map(Rule::nodes).sum::<usize>(),
            _ => 1,
        }
    }

    /// X's syntax; `inner`: an OR needs parentheses.
    fn render(&self, inner: bool) -> String {
        match self {
            Rule::And(parts) => parts.iter().map(|part| part.render(true)).collect::<Vec<_>>().join(" "),
            Rule::Or(parts) => {
                let joined = parts.iter().map(Rule::as_alternative).collect::<Vec<_>>().join(" OR ");
                if inner { format!("({joined})") } else { joined }
            }
            Rule::Standalone(text) | Rule::Conjoined(text) => text.clone(),
            Rule::Not(text) => format!("-{text}"),
            Rule::Anything | Rule::Nothing => String::new(),
        }
    }

    fn as_alternative(&self) -> String {
        match self {
            Rule::And(_) => format!("({})", self.render(true)),
            other => other.render(true),
        }
    }

    fn length(&self) -> usize {
        self.render(false).chars().count()
    }
}

fn dedup(parts: &mut Vec<Rule>) {
    let mut kept: Vec<Rule> = Vec::with_capacity(parts.len());
    for part in parts.drain(..) {
        if !kept.contains(&part) {
            kept.push(part);
        }
    }
    *parts = kept;
}

fn one_or(mut parts: Vec<Rule>, join: fn(Vec<Rule>) -> Rule, none: Rule) -> Rule {
    match parts.len() {
        0 => none,
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// The narrowest rule of X that lets through all that the expression (or its negation) asks for.
fn widen(expression: &Expression, wanted: bool, notes: &mut BTreeSet<String>) -> Rule {
    match expression {
        Expression::Not(part) => widen(part, !wanted, notes),
        Expression::And(parts) | Expression::Or(parts) => {
            let conjunction = matches!(expression, Expression::And(_)) == wanted;
            let parts = parts.iter().map(|part| widen(part, wanted, notes)).collect();
            if conjunction { Rule::and(parts) } else { Rule::or(parts) }
        }
        Expression::Term(Term::Text { folded, ending, written }) => widen_text(folded, *ending, written, wanted, notes),
        Expression::Term(Term::From(account)) => {
            let fits = account.len() <= 15 && account.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            match (fits, wanted) {
                (true, true) => Rule::Standalone(format!("from:{account}")),
                (true, false) => Rule::Not(format!("from:{account}")),
                (false, true) => Rule::Nothing,
                (false, false) => Rule::Anything,
            }
        }
        Expression::Term(Term::Lang(code)) => widen_language(code, wanted, notes),
    }
}

fn widen_language(code: &str, wanted: bool, notes: &mut BTreeSet<String>) -> Rule {
    // X keeps two codes that the standard has given up.
    let code = match code {
        "he" => "iw",
        "nb" | "nn" => "no",
        other => other,
    };
    if !X_LANGUAGES.contains(&format!(" {code} ")) {
        notes.insert(format!("X doesn't know lang:{code}; it is left out of the rules and checked here"));
        return Rule::Anything;
    }
    notes.insert("for lang: X's own detection of the language decides what it sends".into());
    if wanted { Rule::Conjoined(format!("lang:{code}")) } else { Rule::Not(format!("lang:{code}")) }
}

fn widen_text(folded: &str, ending: Ending, written: &str, wanted: bool, notes: &mut BTreeSet<String>) -> Rule {
    let mut written = written;
    if ending == Ending::Open {
        notes.insert(format!("X has no wildcard: {written}* is left out of the rules and checked here"));
        match written.rsplit_once(char::is_whitespace) {
            Some((whole, _)) if wanted && !fold(whole).is_empty() => written = whole.trim(),
            _ => return Rule::Anything,
        }
    }
    let mut forms = vec![literal(written)];
    if letters(&written.to_lowercase()) != letters(folded) && ending != Ending::Open {
        forms.push(literal(folded));
    }
    if wanted {
        Rule::or(forms.into_iter().map(Rule::Standalone).collect())
    } else {
        notes.insert("X also looks into the quoted post when it leaves out posts by a NOT word".into());
        Rule::and(forms.into_iter().map(Rule::Not).collect())
    }
}

/// What is left of a text when only accents can make a difference.
fn letters(text: &str) -> String {
    text.chars().filter(|c| class(*c) == Class::Word).collect()
}

/// A text as X's operator: bare when it is one plain word, tag or emoji, else in quotation marks.
fn literal(text: &str) -> String {
    let plain = |c: char| matches!(class(c), Class::Word | Class::Unspaced) || c.is_alphanumeric();
    let body = text.strip_prefix(['#', '@', '$']).unwrap_or(text);
    let emoji = !text.is_ascii() && text.chars().all(|c| !c.is_whitespace() && class(c) == Class::Symbol);
    let reserved = matches!(text, "AND" | "OR" | "NOT");
    if (!body.is_empty() && body.chars().all(plain) && !reserved) || emoji {
        return text.to_owned();
    }
    let inside: String =
        text.chars().map(|c| if c == '\\' || c.is_whitespace() || c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", inside.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Multiplies out every OR that has a negation as an alternative of its own.
fn spread(rule: Rule, notes: &mut BTreeSet<String>) -> Rule {
    match rule {
        Rule::Or(parts) => Rule::or(parts.into_iter().map(|part| spread(part, notes)).collect()),
        Rule::And(parts) => {
            let parts: Vec<Rule> = parts.into_iter().map(|part| spread(part, notes)).collect();
            let bare = |part: &Rule| matches!(part, Rule::Or(ways) if ways.iter().any(Rule::only_negations));
            let Some(place) = parts.iter().position(bare) else {
                return Rule::and(parts);
            };
            let mut rest = parts;
            let Rule::Or(ways) = rest.remove(place) else {
                return Rule::and(rest);
            };
            let size: usize = rest.iter().map(Rule::nodes).sum();
            if size.saturating_mul(ways.len()) > NODES_MAX {
                notes.insert("alternatives with NOT are too many to multiply out and are checked here".into());
                return spread(Rule::and(rest), notes);
            }
            let branches = ways.into_iter().map(|way| {
                let mut branch = rest.clone();
                branch.push(way);
                Rule::and(branch)
            });
            let branches: Vec<Rule> = branches.collect();
            let whole = Rule::or(branches);
            if whole.nodes() > NODES_MAX { Rule::and(rest) } else { spread(whole, notes) }
        }
        leaf => leaf,
    }
}

/// Cuts a rule into rules that are short enough.
fn split(rule: Rule, max: usize, rules: &mut Vec<String>, notes: &mut BTreeSet<String>) -> Result<(), NotExpressible> {
    if rules.len() > RULES_PER_TOPIC_MAX {
        return Ok(());
    }
    if rule.length() <= max {
        rules.push(rule.render(false));
        return Ok(());
    }
    match rule {
        Rule::Or(ways) => split_alternatives(ways, max, rules, notes),
        Rule::And(parts) => split_conjunction(parts, max, rules, notes),
        other => Err(NotExpressible {
            what: other.render(false).chars().take(60).collect::<String>() + "…",
            why: format!("one rule has at most {max} characters: make the phrase shorter"),
        }),
    }
}

/// Fills each rule with as many alternatives as fit.
fn split_alternatives(
    ways: Vec<Rule>,
    max: usize,
    rules: &mut Vec<String>,
    notes: &mut BTreeSet<String>,
) -> Result<(), NotExpressible> {
    let mut filling: Vec<Rule> = Vec::new();
    let mut length = 0;
    for way in ways {
        let added = way.as_alternative().chars().count() + " OR ".len();
        if !filling.is_empty() && length + added > max {
            split(Rule::or(std::mem::take(&mut filling)), max, rules, notes)?;
            length = 0;
        }
        if way.length() > max {
            split(way, max, rules, notes)?;
        } else {
            length += added;
            filling.push(way);
        }
    }
    if filling.is_empty() { Ok(()) } else { split(Rule::or(filling), max, rules, notes) }
}

/// Halves the longest OR inside; without one, leaves out what narrows, the negations first.
fn split_conjunction(
    mut parts: Vec<Rule>,
    max: usize,
    rules: &mut Vec<String>,
    notes: &mut BTreeSet<String>,
) -> Result<(), NotExpressible> {
    let longest = (0..parts.len())
        .filter(|place| matches!(&parts[*place], Rule::Or(ways) if ways.len() > 1))
        .max_by_key(|place| parts[*place].length());
    if let Some(place) = longest {
        let Rule::Or(mut ways) = parts.remove(place) else {
            return Ok(());
        };
        let second = ways.split_off(ways.len() / 2);
        for half in [ways, second] {
            let mut narrowed = parts.clone();
            narrowed.insert(place, Rule::or(half));
            split(Rule::and(narrowed), max, rules, notes)?;
        }
        return Ok(());
    }
    let anchor = parts.iter().position(|part| part.loose().is_none()).unwrap_or(0);
    let victim = parts.iter().rposition(|part| matches!(part, Rule::Not(_)));
    let victim = victim.or_else(|| (0..parts.len()).rfind(|place| *place != anchor));
    let Some(victim) = victim else {
        return split(Rule::and(parts), max, rules, notes);
    };
    notes.insert(format!(
        "the query is longer than a rule of X; {} is left out of the rules and checked here",
        parts[victim].render(false)
    ));
    parts.remove(victim);
    split(Rule::and(parts), max, rules, notes)
}
