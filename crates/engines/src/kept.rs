//! Answers that are remembered, in two generations: when the young one is full it becomes the old one, and what was in
//! the old one is forgotten unless it was asked for again. So memory is bounded and what comes often stays.

use std::collections::HashMap;
use std::hash::Hash;

pub(crate) struct Kept<Q, A> {
    young: HashMap<Q, A>,
    old: HashMap<Q, A>,
    half: usize,
}

impl<Q: Clone + Eq + Hash, A: Clone> Kept<Q, A> {
    pub(crate) fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (max / 2).max(1) }
    }

    pub(crate) fn get(&mut self, question: &Q) -> Option<A> {
        if let Some(answer) = self.young.get(question) {
            return Some(answer.clone());
        }
        let (question, answer) = self.old.remove_entry(question)?;
        self.put(question, answer.clone());
        Some(answer)
    }

    pub(crate) fn put(&mut self, question: Q, answer: A) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(question, answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_again_stays_and_the_rest_is_forgotten() {
        let mut kept = Kept::new(4);
        for question in ["a", "b", "c"] {
            kept.put(question, ());
        }
        assert!(kept.get(&"a").is_some(), "moves to the young");
        kept.put("d", ());
        kept.put("e", ());
        assert!(kept.get(&"a").is_some());
        assert!(kept.get(&"b").is_none());
        assert!(kept.young.len() + kept.old.len() <= 4);
    }
}
