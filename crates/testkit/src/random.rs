//! Random posts and selections: the same ones for the same number, with every property that posts are counted by, values
//! that differ in case only, values that are missing, and posts of the same moment.

use crate::posts::{self, noon};
use chrono::Duration;
use domain::{
    Author, Category, Coordinates, Dimension, EmotionScore, EnrichedPost, Entity, EntityKind, KeyPhrase, Language,
    Place, PlaceFrom, PlaceKind, Selection, Sentiment, SentimentLabel, SourceId, TimeRange,
};
use std::collections::BTreeMap;

/// A linear congruential generator.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    fn of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[self.below(values.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const TOPICS: [&str; 3] = ["trains", "it's late", "ferry"];
const CATEGORIES: [&str; 3] = ["delay", "price", "other"];
const LANGUAGES: [&str; 3] = ["en", "de", "und"];
const HANDLES: [&str; 4] = ["Rider", "rider", "Ünal", "zoe"];
const NAMES: [&str; 5] = ["Berlin", "BERLIN", "Straße", "Acme", "acme"];
const PHRASES: [&str; 4] = ["the train", "The Train", "long queue", "no seat"];
const TAGS: [&str; 3] = ["#Late", "#late", "#Zug"];
const WORDS: [&str; 5] = ["late", "Train", "100%", "queue_1", "it's"];
/// The first alone has a region: a place of the same name has none.
const PLACES: [(&str, &str, PlaceKind); 4] = [
    ("Berlin", "DE", PlaceKind::City),
    ("Bonn", "DE", PlaceKind::City),
    ("Italy", "IT", PlaceKind::Country),
    ("Berlin", "DE", PlaceKind::City),
];

/// The random post of a number, which is its offset too: published within the three days after [`noon`], in no order.
pub fn post(number: u64) -> EnrichedPost {
    let mut random = Random(number * 7_919 + 1);
    let text = format!("{} {}", random.of(&WORDS), random.of(&WORDS));
    let mut enriched = posts::enriched(&format!("{number:06}"), &text);
    enriched.offset = number;
    let post = &mut enriched.post;
    let (second, micro) = (random.below(3 * 86_400) as i64, random.below(3) as i64);
    // Every fourth is one of many posts of a moment.
    let since_noon = match number % 4 {
        0 => Duration::hours(second / 21_600 * 6),
        _ => Duration::seconds(second) + Duration::microseconds(micro),
    };
    post.occurred_at = noon() + since_noon;
    post.source = SourceId(random.of(&["test", "other"]).into());
    post.repost_of = random.chance(20).then(|| posts::post("000001", "").id);
    post.reach = random.chance(80).then(|| random.below(1_000_000));
    post.author = random.chance(90).then(|| Author {
        id: random.chance(70).then(|| format!("{}", random.below(40))),
        username: random.chance(90).then(|| random.of(&HANDLES).to_owned()),
        followers: random.chance(50).then(|| random.below(1_000)),
        ..Author::default()
    });
    enrich(&mut random, &mut enriched);
    enriched
}

fn enrich(random: &mut Random, enriched: &mut EnrichedPost) {
    let enrichment = &mut enriched.enrichment;
    enrichment.language = Language { code: random.of(&LANGUAGES).into(), confidence: 0.9 };
    enrichment.text_en = random.chance(20).then(|| random.of(&WORDS).to_uppercase());
    enrichment.category = random.chance(80).then(|| Category { label: random.of(&CATEGORIES).into(), confidence: 0.5 });
    enrichment.emotion = random.chance(30).then(|| EmotionScore { label: "anger".into(), confidence: 0.7 });
    enrichment.offensive = random.chance(30).then_some(0.1);
    enrichment.fingerprint = random.chance(70).then(|| random.below(60) as i64);
    enrichment.sentiment = random.chance(80).then(|| sentiment(random.below(4) as usize));
    let kinds = [EntityKind::Location, EntityKind::Organisation, EntityKind::Mention, EntityKind::Link];
    let mut entities: Vec<(&str, EntityKind)> =
        (0..random.below(4)).map(|_| (random.of(&NAMES), kinds[random.below(4) as usize])).collect();
    entities.extend((0..random.below(3)).map(|_| (random.of(&TAGS), EntityKind::Hashtag)));
    // Each begins where no other does, so that their order is known.
    let entity = |(begin, (text, kind)): (u32, (&str, EntityKind))| Entity {
        text: text.into(),
        kind,
        confidence: 0.9,
        begin,
        end: begin + 5,
    };
    enrichment.entities = (0..).zip(entities).map(entity).collect();
    // Not in the order of the text.
    enrichment.entities.reverse();
    let phrase = |text: &str| KeyPhrase { text: text.into(), confidence: 0.8, begin: 0, end: 5 };
    enrichment.key_phrases = (0..random.below(3)).map(|_| phrase(random.of(&PHRASES))).collect();
    enriched.topics = TOPICS.iter().filter(|_| random.chance(40)).map(|topic| (*topic).to_owned()).collect();
    enriched.place = random.chance(60).then(|| place(random.below(4) as usize));
}

fn sentiment(nth: usize) -> Sentiment {
    use SentimentLabel::{Mixed, Negative, Neutral, Positive};
    let label = [Positive, Negative, Neutral, Mixed][nth];
    Sentiment { label, positive: 0.1, negative: 0.7, neutral: 0.15, mixed: 0.05 }
}

fn place(nth: usize) -> (Place, PlaceFrom) {
    let (name, country, kind) = PLACES[nth];
    let coordinates = Coordinates { lat: 50.0 + nth as f64, lon: 7.0 };
    let region = (nth == 0).then(|| "Berlin".into());
    let place = Place {
        name: name.into(),
        country: country.into(),
        region,
        region_code: None,
        coordinates,
        kind,
        confidence: 0.9,
    };
    (place, PlaceFrom::Text)
}

/// A random selection of those posts.
pub fn selection(random: &mut Random) -> Selection {
    let from = noon() + Duration::seconds(random.below(3 * 86_400) as i64);
    let to = from + Duration::seconds(1 + random.below(3 * 86_400) as i64);
    let values: [(Dimension, &[&str]); 12] = [
        (Dimension::Topic, &TOPICS),
        (Dimension::Sentiment, &["positive", "negative"]),
        (Dimension::Category, &CATEGORIES),
        (Dimension::Language, &LANGUAGES),
        (Dimension::Platform, &["x", "bluesky"]),
        (Dimension::Country, &["DE", "IT"]),
        (Dimension::Source, &["test", "other"]),
        (Dimension::Author, &HANDLES),
        (Dimension::Place, &["Berlin", "Bonn"]),
        (Dimension::Hashtag, &["late", "Zug"]),
        (Dimension::Entity, &["berlin", "ACME", "STRASSE", "straße"]),
        (Dimension::Phrase, &["THE TRAIN", "no seat", "absent"]),
    ];
    let mut any_of: BTreeMap<Dimension, Vec<String>> = BTreeMap::new();
    for (dimension, values) in values {
        if random.chance(12) {
            any_of.insert(dimension, (0..1 + random.below(2)).map(|_| random.of(values).to_owned()).collect());
        }
    }
    Selection { range: TimeRange { from, to }, any_of, words: Vec::new(), originals_only: random.chance(15) }
}

/// [`selection`] with a word of the text.
pub fn text_search(random: &mut Random) -> Selection {
    let words = vec![random.of(&WORDS).to_lowercase()];
    Selection { words, ..selection(random) }
}
