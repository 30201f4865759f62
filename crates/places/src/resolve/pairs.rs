//! Names that settle each other because one place lies within the other: "Austin, TX" and "Nigeria, Lagos".

use super::{Line, Pair, contains};
use crate::index::{CODE, NICKNAME, Posting, QUALIFIED_ONLY};
use crate::mention::{Mention, is_filler};
use crate::sphere::distance_km;
use crate::text::Gap;
use domain::PlaceKind;

/// Towns this near belong to the city named beside them.
const SUBURB_KM: f64 = 60.0;

/// A meaning this much rarer than the first is not meant in a list.
const RARE: f64 = 0.05;

impl Line<'_> {
    /// Mention `i` lies in mention `i + 1` ("Austin, TX"), which may lie in a third ("USA").
    pub(super) fn forward(&self, i: usize) -> Option<Pair> {
        let between = self.between(i).filter(|b| !b.foreign)?;
        let (child, parent) = (&self.mentions[i], &self.mentions[i + 1]);
        if !self.may_nest(child, parent, between.gap) || self.is_street_or_county(child) {
            return None;
        }
        let mut best = self.best_pair(child, parent, between.gap)?;
        if let Some(next) = self.between(i + 1).filter(|b| !b.foreign && b.gap <= Gap::Comma) {
            let third = &self.mentions[i + 2];
            if let Some(pair) = self.best_triple(child, parent, third, between.gap.max(next.gap)) {
                best = pair;
            } else if self.index.kind(best.parent.place) == PlaceKind::City
                && self.forward(i + 1).is_some_and(|next| next.child.place != best.parent.place)
            {
                // "Great Abington, Cambridge, GB": that is not the Cambridge near Abington, Massachusetts.
                return None;
            }
        }
        Some(best)
    }

    fn best_pair(&self, child: &Mention, parent: &Mention, gap: Gap) -> Option<Pair> {
        let top = self.top(child);
        let parent_is_city = self.top(parent).is_some_and(|(p, ..)| self.index.kind(p.place) == PlaceKind::City);
        let parents: Vec<_> = self.index.meanings(parent.name).map(|p| (p, self.weight(p))).collect();
        let mut best: Option<Pair> = None;
        for c in self.index.meanings(child.name) {
            if c.has(QUALIFIED_ONLY) {
                continue;
            }
            let weight = self.weight(c);
            let rare = top.is_some_and(|(_, most, _)| weight < most * RARE);
            if rare && (gap == Gap::Hard || (parent_is_city && !self.is_town_of_note(c, gap))) {
                continue;
            }
            for &(p, parent_weight) in &parents {
                let most = weight * parent_weight;
                if best.as_ref().is_some_and(|b| most <= b.score) {
                    continue;
                }
                let Some(confidence) = self.nests(c, p, rare) else { continue };
                // A town near a city is a weaker reading than a town in a state.
                let score = most * if confidence < 0.9 { 0.05 } else { 1.0 };
                if best.as_ref().is_none_or(|b| score > b.score) {
                    best = Some(Pair { child: c, parent: p, score, used: 2, confidence });
                }
            }
        }
        best
    }

    fn best_triple(&self, child: &Mention, parent: &Mention, third: &Mention, gap: Gap) -> Option<Pair> {
        let mut best: Option<Pair> = None;
        for g in self.index.meanings(third.name).filter(|g| self.index.kind(g.place) != PlaceKind::City) {
            for p in self.index.meanings(parent.name) {
                if p.place != g.place && !contains(self.index, g.place, p.place) {
                    continue;
                }
                let outer = self.weight(p) * self.weight(g);
                for c in self.index.meanings(child.name).filter(|c| !c.has(QUALIFIED_ONLY)) {
                    let score = self.weight(c) * outer;
                    if best.as_ref().is_some_and(|b| score <= b.score) {
                        continue;
                    }
                    let Some(confidence) = self.nests(c, p, gap == Gap::Hard) else { continue };
                    if best.as_ref().is_none_or(|b| score > b.score) {
                        best = Some(Pair { child: c, parent: p, score, used: 3, confidence: confidence + 0.02 });
                    }
                }
            }
        }
        best
    }

    /// Whether `c` lies in `p`, and how sure a line that says so is.
    fn nests(&self, c: Posting, p: Posting, rare: bool) -> Option<f32> {
        if c.place == p.place || contains(self.index, p.place, c.place) {
            return Some(0.95);
        }
        let cities = self.index.kind(c.place) == PlaceKind::City && self.index.kind(p.place) == PlaceKind::City;
        (cities
            && !rare
            && self.index.country(c.place) == self.index.country(p.place)
            && self.index.population(p.place) > self.index.population(c.place)
            && distance_km(self.index.coordinates(c.place), self.index.coordinates(p.place)) < SUBURB_KM)
            .then_some(0.85)
    }

    /// "Rome, New York" is a town in the state; "Boston, New York" is two cities.
    fn is_town_of_note(&self, c: Posting, gap: Gap) -> bool {
        gap == Gap::Comma && self.index.population(c.place) >= 10_000
    }

    /// A word of every day is a place beside its country or state when it is written like one; it gives no other word
    /// a place to lie in unless it stands in capitals or after a comma ("Portland, OR").
    fn may_nest(&self, child: &Mention, parent: &Mention, gap: Gap) -> bool {
        let (inner, outer) = (&self.words.tokens[child.first], &self.words.tokens[parent.first]);
        let own = self.foreign_in(child.first, child.end) + self.foreign_in(parent.first, parent.end);
        // Half words are rounded up in each part, so the parts may have more than the whole.
        let foreign = self.foreign.saturating_sub(own);
        let child_counts = !child.name.is_common()
            || (gap == Gap::Comma && (foreign == 0 || (inner.capital && foreign <= 2)))
            || (foreign == 0 && inner.capital && !is_filler(self.words.text(inner)));
        child_counts
            && (!parent.name.is_common()
                || outer.upper
                || gap == Gap::Comma
                || (outer.capital && outer.end - outer.start > 2))
    }

    /// Mention `i + 1` lies in mention `i` ("Texas, Dallas"), unless it opens a pair of its own.
    pub(super) fn backward(&self, i: usize) -> Option<Pair> {
        let between = self.between(i).filter(|b| !b.foreign && b.gap <= Gap::Comma)?;
        let (parent, child) = (&self.mentions[i], &self.mentions[i + 1]);
        let (p, ..) = self.top(parent).filter(|_| !parent.name.is_common())?;
        if self.index.kind(p.place) == PlaceKind::City || !self.may_nest(child, parent, between.gap) {
            return None;
        }
        if self.forward(i + 1).is_some_and(|next| !contains(self.index, p.place, next.child.place)) {
            return None;
        }
        let (_, most, _) = self.top(child)?;
        let c = self
            .index
            .meanings(child.name)
            .filter(|c| !c.has(CODE) || c.has(NICKNAME))
            .filter(|&c| contains(self.index, p.place, c.place) && self.weight(c) >= most * RARE)
            .max_by(|&a, &b| self.weight(a).total_cmp(&self.weight(b)))?;
        let used = self.forward(i + 1).filter(|next| next.child.place == c.place).map_or(2, |next| next.used + 1);
        Some(Pair { child: c, parent: p, score: 0.0, used, confidence: 0.9 })
    }
}
