//! Entities from a head that labels pieces: words of the cleaned text, the best sequence of labels, characters of the
//! original.

use crate::encoder::{HeadInfo, Tokens, probabilities};
use crate::text::{CleanText, is_mark, is_unspaced, is_word, slice};
use domain::{Entity, EntityKind};
use std::ops::Range;

/// Labels of an entity head, read once.
#[derive(Debug, Clone)]
pub(crate) struct Tagger {
    tags: Vec<Tag>,
    /// Kinds as the model names them, by group.
    groups: Vec<String>,
    temperature: f32,
    o_bias: f32,
}

/// One label: outside, or a mark with a group (labels of one group continue each other).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Outside,
    Begin {
        group: usize,
        kind: Option<EntityKind>,
    },
    Inside {
        group: usize,
        kind: Option<EntityKind>,
    },
    /// A model without marks: neighbours of one group are one entity.
    Bare {
        group: usize,
        kind: Option<EntityKind>,
    },
}

impl Tag {
    fn kind(self) -> Option<EntityKind> {
        match self {
            Self::Outside => None,
            Self::Begin { kind, .. } | Self::Inside { kind, .. } | Self::Bare { kind, .. } => kind,
        }
    }

    fn group(self) -> Option<usize> {
        match self {
            Self::Outside => None,
            Self::Begin { group, .. } | Self::Inside { group, .. } | Self::Bare { group, .. } => Some(group),
        }
    }

    /// Whether this label may come after another (or at the beginning of a text).
    fn may_follow(self, before: Option<Self>) -> bool {
        match self {
            Self::Inside { group, .. } => before.and_then(Self::group) == Some(group),
            _ => true,
        }
    }
}

impl Tagger {
    /// Reads the labels of a head; none when they don't label entities.
    pub(crate) fn of(head: &HeadInfo) -> Option<Self> {
        let mut groups: Vec<String> = Vec::new();
        let tags: Vec<Tag> = head.labels.iter().map(|label| tag(label, head, &mut groups)).collect();
        let useful = tags.iter().any(|tag| tag.kind().is_some()) && tags.contains(&Tag::Outside);
        useful.then_some(Self { tags, groups, temperature: head.temperature, o_bias: head.o_bias })
    }

    /// The entities of a text, in order, none inside another. `logits`: [pieces, labels].
    pub(crate) fn entities(&self, original: &str, clean: &CleanText, tokens: &Tokens, logits: &[f32]) -> Vec<Entity> {
        self.named(original, clean, tokens, logits).into_iter().filter_map(|(_, entity)| without_at(entity)).collect()
    }

    /// The same, each with its kind as the model names it.
    pub(crate) fn named(
        &self,
        original: &str,
        clean: &CleanText,
        tokens: &Tokens,
        logits: &[f32],
    ) -> Vec<(&str, Entity)> {
        let words = words(&clean.text, tokens);
        let rows: Vec<&[f32]> = words.iter().filter_map(|word| self.row(logits, word.piece)).collect();
        if rows.len() != words.len() {
            return Vec::new();
        }
        let path = self.best_path(&rows, &words);
        self.collect(original, clean, &words, &rows, &path)
    }

    fn row<'a>(&self, logits: &'a [f32], piece: usize) -> Option<&'a [f32]> {
        logits.get(piece * self.tags.len()..(piece + 1) * self.tags.len())
    }

    /// Viterbi: the labels with the largest sum of logits among the sequences in which every inside follows its own
    /// beginning.
    fn best_path(&self, rows: &[&[f32]], words: &[Word]) -> Vec<Tag> {
        let count = self.tags.len();
        let mut best: Vec<f32> = Vec::new();
        let mut back: Vec<usize> = Vec::with_capacity(rows.len() * count);
        for (row, word) in rows.iter().zip(words) {
            let mut now = vec![f32::NEG_INFINITY; count];
            for (label, tag) in self.tags.iter().enumerate() {
                let (from, score) = self.best_before(*tag, &best);
                back.push(from);
                now[label] = score + self.score(*tag, row[label], word);
            }
            best = now;
        }
        let mut path = vec![Tag::Outside; rows.len()];
        let mut label = argmax(&best);
        for (i, slot) in path.iter_mut().enumerate().rev() {
            *slot = self.tags.get(label).copied().unwrap_or(Tag::Outside);
            label = back[i * count + label];
        }
        path
    }

    fn best_before(&self, tag: Tag, best: &[f32]) -> (usize, f32) {
        if best.is_empty() {
            return (0, if tag.may_follow(None) { 0.0 } else { f32::NEG_INFINITY });
        }
        let mut found = (0, f32::NEG_INFINITY);
        for (label, score) in best.iter().enumerate() {
            if *score > found.1 && tag.may_follow(Some(self.tags[label])) {
                found = (label, *score);
            }
        }
        found
    }

    fn score(&self, tag: Tag, logit: f32, word: &Word) -> f32 {
        let logit = if logit.is_finite() { logit } else { -1e4 };
        match tag {
            Tag::Outside => logit - self.o_bias,
            // Placeholders for links and user names, and punctuation, begin nothing.
            Tag::Begin { .. } | Tag::Bare { .. } if !word.nameable => -1e6,
            _ => logit,
        }
    }

    fn collect(
        &self,
        original: &str,
        clean: &CleanText,
        words: &[Word],
        rows: &[&[f32]],
        path: &[Tag],
    ) -> Vec<(&str, Entity)> {
        let mut found = Vec::new();
        let mut i = 0;
        while i < path.len() {
            let (tag, begin) = (path[i], i);
            i += 1;
            let Some(group) = tag.group() else { continue };
            while i < path.len() && continues(path[i], group) {
                i += 1;
            }
            let Some(kind) = tag.kind() else { continue };
            // Punctuation at the end of a name is not part of it.
            let last = (begin..i).rev().find(|&w| words[w].nameable).unwrap_or(begin);
            let range = clean.original(words[begin].bytes.start..words[last].bytes.end);
            let text = slice(original, range.start, range.end);
            if range.start < range.end && !text.trim().is_empty() {
                let sum: f32 = rows[begin..=last].iter().map(|row| self.confidence(row, kind)).sum();
                let confidence = sum / (last - begin + 1) as f32;
                let entity = Entity { text: text.to_owned(), kind, confidence, begin: range.start, end: range.end };
                found.push((self.groups[group].as_str(), entity));
            }
        }
        found
    }

    /// Probability of all labels of a kind.
    fn confidence(&self, row: &[f32], kind: EntityKind) -> f32 {
        let shares = probabilities(row, self.temperature);
        shares.iter().zip(&self.tags).filter(|(_, tag)| tag.kind() == Some(kind)).map(|(p, _)| p).sum::<f32>().min(1.0)
    }
}

/// Treebanks write `@ name` and call both names; people write `dinner @ Luigi's`.
fn without_at(mut entity: Entity) -> Option<Entity> {
    if let Some(rest) = entity.text.strip_prefix('@') {
        let name = rest.trim_start();
        entity.begin += 1 + rest[..rest.len() - name.len()].chars().count() as u32;
        entity.text = name.to_owned();
    }
    (!entity.text.is_empty()).then_some(entity)
}

fn continues(tag: Tag, group: usize) -> bool {
    matches!(tag, Tag::Inside { group: g, .. } | Tag::Bare { group: g, .. } if g == group)
}

fn argmax(scores: &[f32]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// Reads `O`, `B-person`, `I-ORG`, `LOC`.
fn tag(label: &str, head: &HeadInfo, groups: &mut Vec<String>) -> Tag {
    let (mark, name) =
        label.split_once(['-', '_']).filter(|(m, _)| matches!(*m, "B" | "I" | "E" | "S")).unwrap_or(("", label));
    if matches!(label, "O" | "LABEL_0" | "0") {
        return Tag::Outside;
    }
    let group = groups.iter().position(|known| known == name).unwrap_or_else(|| {
        groups.push(name.to_owned());
        groups.len() - 1
    });
    let mapped = head.kinds.iter().find(|(from, _)| from == name).map_or(name, |(_, to)| to);
    let kind = kind(&mapped.to_lowercase());
    match mark {
        "B" | "S" => Tag::Begin { group, kind },
        "I" | "E" => Tag::Inside { group, kind },
        _ => Tag::Bare { group, kind },
    }
}

/// Kinds as entity models name them; those that the product does not tell apart are left out.
fn kind(name: &str) -> Option<EntityKind> {
    match name {
        "person" | "per" => Some(EntityKind::Person),
        "organisation" | "organization" | "org" | "corporation" | "group" => Some(EntityKind::Organisation),
        "location" | "loc" | "gpe" | "fac" => Some(EntityKind::Location),
        "product" => Some(EntityKind::Product),
        "work" | "work_of_art" | "creative-work" | "creative_work" => Some(EntityKind::Work),
        "event" => Some(EntityKind::Event),
        _ => None,
    }
}

/// A word of the cleaned text and the piece that speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    bytes: Range<usize>,
    piece: usize,
    /// Can begin or end a name.
    nameable: bool,
}

/// Words with their first pieces. Words that share a piece are one; scripts without spaces have a word a piece.
fn words(text: &str, tokens: &Tokens) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    let mut piece = 0;
    for bytes in split(text) {
        while tokens.offsets.get(piece).is_some_and(|(begin, end)| *end <= bytes.start.max(*begin)) {
            piece += 1;
        }
        if piece >= tokens.offsets.len() {
            break;
        }
        if text[bytes.clone()].chars().any(is_unspaced) {
            by_piece(text, bytes, tokens, &mut piece, &mut found);
            continue;
        }
        match found.last_mut() {
            Some(last) if last.piece == piece => {
                last.nameable &= nameable(text, &bytes);
                last.bytes.end = bytes.end;
            }
            _ => found.push(Word { nameable: nameable(text, &bytes), bytes, piece }),
        }
    }
    found
}

/// Words of a stretch without spaces: one for each of its pieces.
fn by_piece(text: &str, bytes: Range<usize>, tokens: &Tokens, piece: &mut usize, found: &mut Vec<Word>) {
    while let Some(&(begin, end)) = tokens.offsets.get(*piece) {
        if begin >= bytes.end {
            return;
        }
        let range = begin.max(bytes.start)..end.min(bytes.end);
        if range.start < range.end
            && text.is_char_boundary(range.start)
            && text.is_char_boundary(range.end)
            && found.last().is_none_or(|last| last.bytes.end <= range.start)
        {
            found.push(Word { nameable: nameable(text, &range), bytes: range, piece: *piece });
        }
        if end > bytes.end {
            return;
        }
        *piece += 1;
    }
}

fn nameable(text: &str, bytes: &Range<usize>) -> bool {
    let word = &text[bytes.clone()];
    word == "@" || word.chars().any(|c| is_word(c) && !is_mark(c)) && !matches!(word, "http" | "@user" | "'s" | "’s")
}

/// Cuts at white space, then punctuation off both ends of a word, character by character, and a possessive. `U.S.`,
/// `T-Mobile` and `O'Neill` stay whole; `@user` and `#tag` as well.
fn split(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut begin = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (c.is_whitespace(), begin) {
            (false, None) => begin = Some(at),
            (true, Some(start)) => {
                peel(text, start..at, &mut found);
                begin = None;
            }
            _ => {}
        }
    }
    found
}

fn peel(text: &str, mut bytes: Range<usize>, found: &mut Vec<Range<usize>>) {
    let outside = |c: char| !is_word(c) && !is_unspaced(c);
    while let Some(c) = text[bytes.clone()].chars().next() {
        let next = bytes.start + c.len_utf8();
        let sign = matches!(c, '@' | '#' | '$') && text[next..bytes.end].starts_with(is_word);
        if !outside(c) || sign {
            break;
        }
        found.push(bytes.start..next);
        bytes.start = next;
    }
    let mut after = Vec::new();
    while let Some(c) = text[bytes.clone()].chars().next_back().filter(|c| outside(*c)) {
        // The dot of `U.S.` belongs to it.
        if c == '.' && is_initials(&text[bytes.clone()]) {
            break;
        }
        after.push(bytes.end - c.len_utf8()..bytes.end);
        bytes.end -= c.len_utf8();
    }
    let word = &text[bytes.clone()];
    if let Some(stem) = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).filter(|stem| !stem.is_empty()) {
        let cut = bytes.start + stem.len();
        found.extend([bytes.start..cut, cut..bytes.end]);
    } else if !word.is_empty() {
        found.push(bytes);
    }
    found.extend(after.into_iter().rev());
}

/// `U.S.`, `J.`: single letters with a dot each.
fn is_initials(word: &str) -> bool {
    let mut letters = word.split_terminator('.');
    word.ends_with('.') && letters.all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic))
}

/// Adds entities of a model to those found by rule; where they overlap, the rule stands.
pub(crate) fn merge(mut rules: Vec<Entity>, model: Vec<Entity>, confidence_min: f32) -> Vec<Entity> {
    // Both lists are in order and free of overlaps, so one look to each side is enough.
    let free = |entity: &Entity, rules: &[Entity]| {
        let next = rules.partition_point(|rule| rule.end <= entity.begin);
        rules.get(next).is_none_or(|rule| rule.begin >= entity.end)
    };
    let kept: Vec<Entity> = model.into_iter().filter(|e| e.confidence >= confidence_min && free(e, &rules)).collect();
    rules.extend(kept);
    rules.sort_by_key(|entity| (entity.begin, entity.end));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Level;
    use crate::text::Cleaning;

    fn head(labels: &[&str]) -> HeadInfo {
        HeadInfo {
            name: "entities".into(),
            level: Level::Piece,
            labels: labels.iter().map(|l| (*l).to_owned()).collect(),
            temperature: 1.0,
            o_bias: 0.0,
            kinds: vec![("group".into(), "organisation".into())],
            multi_label: false,
        }
    }

    /// One piece a word.
    fn pieces(text: &str) -> Tokens {
        let offsets: Vec<_> = split(text).into_iter().map(|r| (r.start, r.end)).collect();
        Tokens { ids: vec![5; offsets.len()], offsets }
    }

    fn run(labels: &[&str], text: &str, logits: &[f32]) -> Vec<(String, EntityKind)> {
        let tagger = Tagger::of(&head(labels)).unwrap();
        let clean = Cleaning::social().clean(text);
        let found = tagger.entities(text, &clean, &pieces(&clean.text), logits);
        found.into_iter().map(|e| (e.text, e.kind)).collect()
    }

    #[test]
    fn words_are_cut_as_people_name_things() {
        let cut = |text: &'static str| split(text).into_iter().map(|r| &text[r]).collect::<Vec<_>>();
        assert_eq!(
            cut("Obama's (U.S.) T-Mobile, #tag @user!"),
            ["Obama", "'s", "(", "U.S.", ")", "T-Mobile", ",", "#tag", "@user", "!"]
        );
        assert_eq!(cut("  ... "), [".", ".", "."]);
        assert_eq!(cut(""), [""; 0]);
    }

    #[test]
    fn an_inside_without_its_beginning_is_never_chosen() {
        let labels = ["O", "B-person", "I-person", "B-group", "I-group"];
        // I-person is the best of the first word on its own; only B-person may begin.
        let logits = [0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 1.5, 3.0, 0.0, 0.0, 0.0, 0.0];
        let found = run(&labels, "Angela Merkel sprach", &logits);
        assert_eq!(found, [("Angela Merkel".to_owned(), EntityKind::Person)]);
    }

    #[test]
    fn labels_map_to_kinds_and_offsets_to_the_original() {
        let labels = ["O", "B-group", "I-group"];
        let logits = [0.0, 5.0, 0.0, 5.0, 0.0, 0.0];
        let found = run(&labels, "AT&amp;T  stinks", &logits);
        assert_eq!(found, [("AT&amp;T".to_owned(), EntityKind::Organisation)]);
    }

    #[test]
    fn an_at_sign_is_no_name_and_no_part_of_one() {
        let labels = ["O", "B-person", "I-person"];
        let apart = [0.0, 5.0, 0.0, 0.0, 5.0, 0.0];
        assert_eq!(run(&labels, "@ Luigi", &apart), [("Luigi".to_owned(), EntityKind::Person)]);
        let together = [0.0, 5.0, 0.0, 0.0, 0.0, 5.0];
        assert_eq!(run(&labels, "@ Luigi", &together), [("Luigi".to_owned(), EntityKind::Person)]);
    }

    #[test]
    fn rules_stand_where_a_model_overlaps_them() {
        let entity = |begin, end, kind| Entity { text: "x".into(), kind, confidence: 0.9, begin, end };
        let rules = vec![entity(0, 5, EntityKind::Hashtag), entity(10, 12, EntityKind::Emoji)];
        let model = vec![
            entity(1, 5, EntityKind::Person),
            entity(5, 10, EntityKind::Location),
            entity(11, 20, EntityKind::Work),
        ];
        let merged = merge(rules, model, 0.5);
        assert_eq!(
            merged.iter().map(|e| (e.begin, e.kind)).collect::<Vec<_>>(),
            [(0, EntityKind::Hashtag), (5, EntityKind::Location), (10, EntityKind::Emoji)]
        );
    }
}
