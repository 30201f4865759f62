//! All topics against a post in one pass: the words of every query go into one automaton, so the time per post hardly
//! depends on how many topics there are. Gives the same answers as [`Query::matches`] topic by topic.

use super::Topic;
use super::mistake::QueryError;
use super::query::{Expression, Query, Subject, Term};
use super::text::{Ending, fold, stands_alone};
use crate::error::{Error, Result};
use crate::post::Post;
use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::BTreeMap;

/// The compiled queries of all topics.
#[derive(Debug)]
pub struct TopicMatcher {
    names: Vec<String>,
    expressions: Vec<Indexed>,
    /// `None` when no query holds a word.
    words: Option<AhoCorasick>,
    /// For each pattern of `words`: the terms that it stands for.
    by_pattern: Vec<Vec<(usize, Ending)>>,
    /// Terms that look at the author or the language.
    others: Vec<(usize, Term)>,
    /// For each term: the topics in which it occurs without negation.
    topics_of: Vec<Vec<usize>>,
}

/// An expression over numbered terms.
#[derive(Debug)]
enum Indexed {
    And(Vec<Indexed>),
    Or(Vec<Indexed>),
    Not(Box<Indexed>),
    Term(usize),
}

impl Indexed {
    fn holds(&self, found: &[bool]) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(found)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(found)),
            Self::Not(part) => !part.holds(found),
            Self::Term(term) => found[*term],
        }
    }
}

impl TopicMatcher {
    /// Compiles the topics. One query that can't be read is named in the error, with the place of its mistake.
    pub fn new(topics: Vec<Topic>) -> Result<Self> {
        let mut parsed = Vec::with_capacity(topics.len());
        for topic in topics {
            let query = Query::parse(&topic.query)
                .map_err(|error: QueryError| Error::reject(format!("topic {:?}: {}", topic.name, error)))?;
            parsed.push((topic.name, query));
        }
        Self::compile(parsed)
    }

    /// Compiles the topics whose queries can be read, with what is wrong with the others: a query that was saved when
    /// more was allowed does not hold the rest up.
    pub fn of_readable(topics: Vec<Topic>) -> Result<(Self, Vec<String>)> {
        let (mut parsed, mut problems) = (Vec::with_capacity(topics.len()), Vec::new());
        for topic in topics {
            match Query::parse(&topic.query) {
                Ok(query) => parsed.push((topic.name, query)),
                Err(error) => problems.push(format!("topic {:?} is left out: {}", topic.name, error.message)),
            }
        }
        Ok((Self::compile(parsed)?, problems))
    }

    /// Compiles queries that were read before, each with its topic's name.
    pub fn compile(queries: Vec<(String, Query)>) -> Result<Self> {
        let mut index = Index::default();
        let (mut names, mut expressions) = (Vec::new(), Vec::new());
        for (topic, (name, query)) in queries.into_iter().enumerate() {
            expressions.push(index.add(query.expression(), topic, true));
            names.push(name);
        }
        index.finish(names, expressions)
    }

    /// Names of the topics of which the post is a mention, in the order given to `new`. `language`: the language found
    /// in its text.
    pub fn matches(&self, post: &Post, language: Option<&str>) -> Vec<String> {
        self.positions(post, language).into_iter().map(|topic| self.names[topic].clone()).collect()
    }

    /// How many topics are compiled in.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no topic at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn positions(&self, post: &Post, language: Option<&str>) -> Vec<usize> {
        let mut found = vec![false; self.topics_of.len()];
        if let Some(words) = &self.words {
            let text = fold(&post.text);
            for hit in words.find_overlapping_iter(&text) {
                for (term, ending) in &self.by_pattern[hit.pattern().as_usize()] {
                    found[*term] = found[*term] || stands_alone(&text, hit.start(), hit.end(), *ending);
                }
            }
        }
        if !self.others.is_empty() {
            let subject = Subject::new(post, language);
            for (term, what) in &self.others {
                found[*term] = subject.is(what);
            }
        }
        // Every query asks for something, so a topic without a positive hit can't match.
        let mut candidates: Vec<usize> = (0..found.len())
            .filter(|term| found[*term])
            .flat_map(|term| self.topics_of[term].iter().copied())
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates.retain(|topic| self.expressions[*topic].holds(&found));
        candidates
    }
}

/// Numbers the terms, one number for the same term in several topics.
#[derive(Default)]
struct Index {
    numbers: BTreeMap<(String, Option<Ending>), usize>,
    terms: Vec<Term>,
    topics_of: Vec<Vec<usize>>,
}

impl Index {
    fn add(&mut self, expression: &Expression, topic: usize, wanted: bool) -> Indexed {
        match expression {
            Expression::And(parts) => Indexed::And(parts.iter().map(|part| self.add(part, topic, wanted)).collect()),
            Expression::Or(parts) => Indexed::Or(parts.iter().map(|part| self.add(part, topic, wanted)).collect()),
            Expression::Not(part) => Indexed::Not(Box::new(self.add(part, topic, !wanted))),
            Expression::Term(term) => {
                let number = self.number(term);
                if wanted && self.topics_of[number].last() != Some(&topic) {
                    self.topics_of[number].push(topic);
                }
                Indexed::Term(number)
            }
        }
    }

    fn number(&mut self, term: &Term) -> usize {
        let key = match term {
            Term::Text { folded, ending, .. } => (folded.clone(), Some(*ending)),
            Term::From(account) => (format!("from:{account}"), None),
            Term::Lang(code) => (format!("lang:{code}"), None),
        };
        let next = self.terms.len();
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.terms.push(term.clone());
            self.topics_of.push(Vec::new());
        }
        number
    }

    fn finish(self, names: Vec<String>, expressions: Vec<Indexed>) -> Result<TopicMatcher> {
        let mut patterns: BTreeMap<String, Vec<(usize, Ending)>> = BTreeMap::new();
        let mut others = Vec::new();
        for (number, term) in self.terms.into_iter().enumerate() {
            match term {
                Term::Text { folded, ending, .. } => patterns.entry(folded).or_default().push((number, ending)),
                other => others.push((number, other)),
            }
        }
        let words = (!patterns.is_empty())
            .then(|| AhoCorasick::builder().match_kind(MatchKind::Standard).build(patterns.keys()))
            .transpose()
            .map_err(|error| Error::reject(format!("the topics hold too many words together: {error}")))?;
        Ok(TopicMatcher {
            names,
            expressions,
            words,
            by_pattern: patterns.into_values().collect(),
            others,
            topics_of: self.topics_of,
        })
    }
}
