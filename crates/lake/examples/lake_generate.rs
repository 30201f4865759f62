//! A lake of any size, for measurements: `cargo run -p lake --example lake_generate -- FOLDER POSTS [DAYS]`.
//!
//! Posts go through the lake's own writer, one commit a day, in order of time. The same arguments give the same posts:
//! twelve topics (some posts have two, some none), nine languages, ten categories, 300 cities in 60 countries, a hundred
//! thousand phrases, one author for ten posts; frequent values are much more frequent than rare ones, as in life.

use domain::{
    Author, Category, Coordinates, EnrichedBatch, EnrichedPost, Enrichment, Entity, EntityKind, KeyPhrase, Language,
    Place, PlaceFrom, PlaceKind, Post, PostId, PostTable, Provenance, Sentiment, SentimentLabel, SourceId, SystemClock,
    Timestamp,
};
use lake::{Config, Lake};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// The last day is 2026-11-22.
const END_S: i64 = 1_795_392_000;
const DAY_S: i64 = 86_400;
/// Most posts in a commit: bounds memory.
const BATCH_MAX: u64 = 60_000;

const TOPICS: [&str; 12] = [
    "northern air",
    "rail link",
    "storm",
    "city bikes",
    "aurora phone",
    "green power",
    "river bank",
    "coffee house",
    "stadium",
    "delivery",
    "museum",
    "ferry",
];
const LANGUAGES: [&str; 9] = ["en", "es", "pt", "de", "fr", "ja", "it", "nl", "tr"];
const CATEGORIES: [&str; 10] =
    ["delay", "price", "service", "luggage", "safety", "praise", "booking", "outage", "food", "other"];
const PLATFORMS: [&str; 4] = ["x", "bluesky", "mastodon", "news"];
const SOURCES: [&str; 5] = ["x", "import", "partner feed", "archive", "helpdesk"];
const WORDS: [&str; 48] = [
    "late", "again", "today", "waiting", "hours", "nobody", "knows", "why", "great", "crew", "thanks", "team", "lost",
    "bag", "refund", "please", "help", "never", "best", "worst", "seat", "queue", "app", "broken", "update", "train",
    "flight", "gate", "price", "doubled", "love", "new", "phone", "battery", "charging", "station", "closed", "storm",
    "power", "back", "coffee", "cold", "tickets", "sold", "out", "driver", "friendly", "ferry",
];
const KINDS: [EntityKind; 4] =
    [EntityKind::Organisation, EntityKind::Person, EntityKind::Location, EntityKind::Product];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of `count`, small numbers far more often.
    fn skewed(&mut self, count: u64) -> u64 {
        let share = self.share();
        ((share * share * share * count as f64) as u64).min(count - 1)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.skewed(of.len() as u64) as usize]
    }

    fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("say the folder, and how many posts")?;
    let posts: u64 = arguments.get(1).ok_or("say how many posts")?.parse()?;
    let days: u64 = arguments.get(2).map_or(Ok(90), |text| text.parse())?;
    let lake = Lake::open(folder, Config::default(), Arc::new(SystemClock)).await?;
    let (began, mut done) = (Instant::now(), 0);
    for day in 0..days {
        let until = posts * (day + 1) / days;
        let first = posts * day / days;
        while done < until {
            let size = (until - done).min(BATCH_MAX);
            let batch = (done..done + size).map(|number| {
                let start = END_S - i64::try_from(days - day)? * DAY_S;
                let within = (number - first) as f64 / (until - first) as f64;
                post(number, posts, start * 1_000_000 + (within * DAY_S as f64 * 1e6) as i64)
            });
            let posts = Arc::new(batch.collect::<Outcome<Vec<_>>>()?);
            done += size;
            lake.commit(EnrichedBatch {
                partition: "generated".into(),
                after_offset: 0,
                last_offset: done,
                posts,
                deletions: Vec::new(),
            })
            .await?;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    writeln!(std::io::stdout(), "{posts} posts in {seconds:.0} s, {:.0} posts/s", posts as f64 / seconds)?;
    Ok(())
}

fn post(number: u64, posts: u64, micros: i64) -> Outcome<EnrichedPost> {
    let mut random = Random(number.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let at = Timestamp::from_timestamp_micros(micros).unwrap_or_default();
    let platform = random.one(&PLATFORMS);
    let native = format!("{}", 1_900_000_000_000_000_000 + number * 977);
    let id = PostId::new(platform, &native)?;
    let repost_of = random.chance(0.2).then(|| random.skewed(5_000));
    let fingerprint = repost_of.map_or_else(|| random.next() as i64, |original| original as i64);
    let author = random.skewed((posts / 10).max(50));
    let language = random.one(&LANGUAGES);
    let text = words(&mut random);
    let place = random.chance(0.45).then(|| place(random.skewed(300)));
    let followers = Some(random.skewed(100_000));
    let enrichment = enrichment(&mut random, &text, language, fingerprint);
    let topics = topics(&mut random);
    Ok(EnrichedPost {
        offset: number + 1,
        post: Post {
            payload: format!("{{\"data\":{{\"id\":\"{native}\",\"text\":\"{text}\"}}}}"),
            id,
            source: SourceId(random.one(&SOURCES).into()),
            platform: platform.into(),
            author: Some(Author {
                id: Some(format!("{}", 10_000_000 + author * 31)),
                username: Some(format!("Person_{author}")),
                location: None,
                followers,
            }),
            url: Some(format!("https://example.com/{native}")),
            occurred_at: at,
            received_at: at,
            language_hint: None,
            coordinates: None,
            place_name: None,
            repost_of: repost_of.map(|original| PostId::new(platform, &format!("{original}"))).transpose()?,
            replaces: Vec::new(),
            reach: followers,
            provenance: Provenance::Stream,
            topics_hint: Vec::new(),
            payload_format: None,
            text,
        },
        enrichment,
        topics,
        place,
        author_place: None,
        enriched_at: at,
    })
}

fn words(random: &mut Random) -> String {
    let count = 9 + random.skewed(12);
    let words: Vec<&str> = (0..count).map(|_| random.one(&WORDS)).collect();
    words.join(" ")
}

fn topics(random: &mut Random) -> Vec<String> {
    if random.chance(0.05) {
        return Vec::new();
    }
    let mut topics = vec![random.one(&TOPICS).to_owned()];
    let other = random.one(&TOPICS).to_owned();
    if random.chance(0.15) && !topics.contains(&other) {
        topics.push(other);
    }
    topics
}

fn enrichment(random: &mut Random, text: &str, language: &str, fingerprint: i64) -> Enrichment {
    use SentimentLabel::{Mixed, Negative, Neutral, Positive};
    let label = random.one(&[Neutral, Negative, Positive, Neutral, Negative, Mixed]);
    let mut entities: Vec<Entity> = (0..random.skewed(5))
        .map(|_| {
            let nth = random.skewed(20_000);
            // Some are written in two ways.
            let name = if random.chance(0.1) { format!("NAME {nth}") } else { format!("Name {nth}") };
            entity(name, KINDS[nth as usize % KINDS.len()])
        })
        .collect();
    if random.chance(0.4) {
        entities.push(entity(format!("#tag{}", random.skewed(2_000)), EntityKind::Hashtag));
    }
    if random.chance(0.3) {
        entities.push(entity(format!("@account{}", random.skewed(500)), EntityKind::Mention));
    }
    let key_phrases = (0..1 + random.skewed(5)).map(|_| {
        let nth = random.skewed(100_000) as usize;
        let (first, second) = (WORDS[nth % WORDS.len()], WORDS[nth / WORDS.len() % WORDS.len()]);
        KeyPhrase { text: format!("{first} {second} {}", nth % 43), confidence: 0.8, begin: 0, end: 8 }
    });
    Enrichment {
        language: Language { code: language.into(), confidence: 0.97 },
        text_en: (language == "en").then(|| text.to_owned()),
        sentiment: Some(Sentiment { label, positive: 0.2, negative: 0.4, neutral: 0.3, mixed: 0.1 }),
        key_phrases: key_phrases.collect(),
        entities,
        category: Some(Category { label: random.one(&CATEGORIES).into(), confidence: 0.8 }),
        fingerprint: Some(fingerprint),
        model: "generated".into(),
        ..Enrichment::default()
    }
}

fn entity(text: String, kind: EntityKind) -> Entity {
    let end = u32::try_from(text.len()).unwrap_or(0);
    Entity { text, kind, confidence: 0.9, begin: 0, end }
}

fn place(nth: u64) -> (Place, PlaceFrom) {
    let country = nth % 60;
    let letters = |n: u64| [b'A' + (n / 8) as u8, b'A' + (n % 8) as u8];
    let kind = if nth < 60 { PlaceKind::Country } else { PlaceKind::City };
    let place = Place {
        name: format!("City {nth}"),
        country: String::from_utf8_lossy(&letters(country)).into_owned(),
        region: Some(format!("Region {}", nth % 90)),
        region_code: None,
        coordinates: Coordinates { lat: nth as f64 / 4.0 - 35.0, lon: nth as f64 - 150.0 },
        kind,
        confidence: 0.9,
    };
    (place, PlaceFrom::Text)
}
