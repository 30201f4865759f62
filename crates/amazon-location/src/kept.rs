//! Answers that are remembered, in two generations: when the young one is full it becomes the old one, and what was in
//! the old one is forgotten unless it was asked for again. So memory is bounded and what comes often stays.

use crate::service::Question;
use domain::Place;
use std::collections::HashMap;

pub(crate) struct Kept {
    young: HashMap<Question, Vec<Place>>,
    old: HashMap<Question, Vec<Place>>,
    half: usize,
}

impl Kept {
    pub(crate) fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (max / 2).max(1) }
    }

    pub(crate) fn get(&mut self, question: &Question) -> Option<Vec<Place>> {
        if let Some(places) = self.young.get(question) {
            return Some(places.clone());
        }
        let places = self.old.remove(question)?;
        self.put(question.clone(), places.clone());
        Some(places)
    }

    pub(crate) fn put(&mut self, question: Question, places: Vec<Place>) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(question, places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_again_stays_and_the_rest_is_forgotten() {
        let question = |text: &str| Question::text(text).unwrap();
        let mut kept = Kept::new(4);
        for text in ["a", "b", "c"] {
            kept.put(question(text), Vec::new());
        }
        assert!(kept.get(&question("a")).is_some(), "moves to the young");
        kept.put(question("d"), Vec::new());
        kept.put(question("e"), Vec::new());
        assert!(kept.get(&question("a")).is_some());
        assert!(kept.get(&question("b")).is_none());
        assert!(kept.young.len() + kept.old.len() <= 4);
    }
}
