//! Counting in memory against the same questions in plain SQL: whatever was committed, compacted, deleted or rewritten,
//! and whatever is filtered by, both say the same.

mod support;

use chrono::Duration;
use domain::{
    Analytics, Author, Category, Coordinates, Dimension, EnrichedBatch, EnrichedPost, Entity, EntityKind, KeyPhrase,
    Language, Place, PlaceFrom, PlaceKind, PostTable, QueryLimits, Question, Rows, Selection, SentimentLabel,
};
use lake::{Config, Lake};
use serde_json::Value;
use std::sync::Arc;
use support::{at, enriched, id, open};

/// A little generator: the tests give the same posts and questions every time.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
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
const PLACES: [(&str, &str, PlaceKind); 3] =
    [("Berlin", "DE", PlaceKind::City), ("Bonn", "DE", PlaceKind::City), ("Italy", "IT", PlaceKind::Country)];

/// A post of the three days after the start, out of order.
fn post(number: u64) -> EnrichedPost {
    let mut random = Random(number * 7_919 + 1);
    let mut enriched = enriched(number);
    let post = &mut enriched.post;
    post.occurred_at = at(random.below(3 * 86_400) as i64) + Duration::microseconds(random.below(3) as i64);
    post.source = domain::SourceId(random.of(&["test", "other"]).into());
    post.repost_of = random.chance(20).then(|| id(1));
    post.reach = random.chance(80).then(|| random.below(1_000_000));
    post.author = random.chance(90).then(|| Author {
        id: random.chance(70).then(|| format!("{}", random.below(40))),
        username: random.chance(90).then(|| random.of(&HANDLES).to_owned()),
        ..Author::default()
    });
    let understood = &mut enriched.enrichment;
    understood.language = Language { code: random.of(&LANGUAGES).into(), confidence: 0.9 };
    understood.category = random.chance(80).then(|| Category { label: random.of(&CATEGORIES).into(), confidence: 0.5 });
    understood.sentiment = understood.sentiment.filter(|_| random.chance(90)).map(|mut sentiment| {
        use SentimentLabel::{Mixed, Negative, Neutral, Positive};
        sentiment.label = [Positive, Negative, Neutral, Mixed][random.below(4) as usize];
        sentiment
    });
    let kinds = [EntityKind::Location, EntityKind::Organisation, EntityKind::Mention, EntityKind::Link];
    let mut entities: Vec<Entity> =
        (0..random.below(4)).map(|_| entity(random.of(&NAMES), kinds[random.below(4) as usize])).collect();
    entities.extend((0..random.below(3)).map(|_| entity(random.of(&TAGS), EntityKind::Hashtag)));
    understood.entities = entities;
    let phrase = |text: &str| KeyPhrase { text: text.into(), confidence: 0.8, begin: 0, end: 5 };
    understood.key_phrases = (0..random.below(3)).map(|_| phrase(random.of(&PHRASES))).collect();
    enriched.topics = TOPICS.iter().filter(|_| random.chance(40)).map(|topic| (*topic).to_owned()).collect();
    enriched.place = random.chance(60).then(|| place(random.below(3) as usize));
    enriched
}

fn entity(text: &str, kind: EntityKind) -> Entity {
    Entity { text: text.into(), kind, confidence: 0.9, begin: 0, end: 5 }
}

fn place(nth: usize) -> (Place, PlaceFrom) {
    let (name, country, kind) = PLACES[nth];
    let coordinates = Coordinates { lat: 50.0 + nth as f64, lon: 7.0 };
    let place = Place {
        name: name.into(),
        country: country.into(),
        region: (nth == 0).then(|| "Berlin".into()),
        region_code: None,
        coordinates,
        kind,
        confidence: 0.9,
    };
    (place, PlaceFrom::Text)
}

fn batch(numbers: std::ops::RangeInclusive<u64>) -> EnrichedBatch {
    EnrichedBatch {
        partition: "posts".into(),
        last_offset: *numbers.end(),
        posts: Arc::new(numbers.map(post).collect()),
        deletions: Vec::new(),
    }
}

fn selection(random: &mut Random) -> Selection {
    let from = at(random.below(3 * 86_400) as i64);
    let mut any_of = Vec::new();
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
    for (dimension, values) in values {
        if random.chance(12) {
            let chosen = (0..1 + random.below(2)).map(|_| random.of(values).to_owned());
            any_of.push((dimension, chosen.collect()));
        }
    }
    let to = from + Duration::seconds(1 + random.below(3 * 86_400) as i64);
    Selection { from, to, any_of, originals_only: random.chance(15) }
}

fn texts(values: &[String]) -> String {
    values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect::<Vec<_>>().join(", ")
}

fn folded(values: &[String]) -> String {
    texts(&values.iter().map(|value| value.to_lowercase()).collect::<Vec<_>>())
}

fn conditions(selection: &Selection) -> String {
    let time = |at: domain::Timestamp| format!("TIMESTAMP '{}'", at.to_rfc3339());
    let mut all = vec![format!("occurred_at >= {} AND occurred_at < {}", time(selection.from), time(selection.to))];
    for (dimension, values) in &selection.any_of {
        let any = |column: &str, values: &[String]| {
            let each =
                values.iter().map(|value| format!("array_has({column}, {})", texts(std::slice::from_ref(value))));
            format!("({})", each.collect::<Vec<_>>().join(" OR "))
        };
        let named = |table: &str, condition: &str| {
            format!("post_id IN (SELECT post_id FROM {table} WHERE {condition} IN ({}))", folded(values))
        };
        all.push(match dimension {
            Dimension::Topic => any("topics", values),
            Dimension::Hashtag => any("hashtags", &values.iter().map(|tag| tag.to_lowercase()).collect::<Vec<_>>()),
            Dimension::Entity => named("entities", "kind <> 'link' AND lower(entity)"),
            Dimension::Phrase => named("key_phrases", "lower(phrase)"),
            Dimension::Author => format!("lower(author) IN ({})", folded(values)),
            scalar => format!("{} IN ({})", column(*scalar), texts(values)),
        });
    }
    if selection.originals_only {
        all.push("repost_of IS NULL".into());
    }
    all.join(" AND ")
}

fn column(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Sentiment => "sentiment",
        Dimension::Category => "category",
        Dimension::Language => "language",
        Dimension::Platform => "platform",
        Dimension::Country => "country",
        Dimension::Source => "source",
        Dimension::Place => "place",
        Dimension::Author => "author",
        Dimension::Topic => "unnest(topics)",
        Dimension::Hashtag => "unnest(hashtags)",
        Dimension::Entity => "entity",
        Dimension::Phrase => "phrase",
    }
}

const COUNTS: &str = "count(*) AS mentions, count(*) FILTER (WHERE sentiment = 'positive') AS positive, \
    count(*) FILTER (WHERE sentiment = 'negative') AS negative, count(*) FILTER (WHERE sentiment = 'neutral') AS neutral, \
    count(*) FILTER (WHERE sentiment = 'mixed') AS mixed";

fn sql(selection: &Selection, question: Question) -> String {
    let meant = conditions(selection);
    match question {
        Question::Totals { since } => format!(
            "SELECT occurred_at >= TIMESTAMP '{}' AS current, {COUNTS}, count(DISTINCT coalesce(author_id, author)) \
             AS authors, coalesce(sum(reach), 0) AS reach FROM sentiment WHERE {meant} GROUP BY 1",
            since.to_rfc3339()
        ),
        Question::Series { by, origin, step_s } => format!(
            "SELECT to_unixtime(date_bin(INTERVAL '{step_s} seconds', occurred_at, TIMESTAMP '{}')) * 1000000 AS at_us, \
             value, count(*) AS mentions FROM (SELECT occurred_at, {} AS value FROM sentiment WHERE {meant}) GROUP BY 1, 2",
            origin.to_rfc3339(),
            column(by)
        ),
        Question::Breakdown { by, limit } => breakdown(by, &meant, limit),
        Question::Countries => format!("SELECT country, {COUNTS} FROM sentiment WHERE {meant} GROUP BY country"),
        Question::Places { limit } => format!(
            "SELECT place, region, country, round(avg(lat), 6) AS lat, round(avg(lon), 6) AS lon, {COUNTS} FROM sentiment \
             WHERE {meant} AND lat IS NOT NULL AND place IS NOT NULL AND place_kind <> 'country' \
             GROUP BY place, region, country ORDER BY mentions DESC, place LIMIT {limit}"
        ),
        Question::NthNewest { nth } => format!(
            "SELECT min(at_us) AS at_us FROM (SELECT CAST(occurred_at AS BIGINT) AS at_us FROM sentiment WHERE {meant} \
             ORDER BY occurred_at DESC LIMIT {nth}) HAVING count(*) > 0"
        ),
    }
}

fn breakdown(by: Dimension, meant: &str, limit: usize) -> String {
    let of_posts = format!("post_id IN (SELECT post_id FROM sentiment WHERE {meant})");
    let grouped = match by {
        Dimension::Entity => names(&format!(
            "SELECT entity AS name, kind, sentiment FROM entities WHERE {of_posts} \
             AND kind IN ('person', 'organisation', 'location', 'product', 'work', 'event')"
        )),
        Dimension::Phrase => {
            names(&format!("SELECT phrase AS name, NULL AS kind, sentiment FROM key_phrases WHERE {of_posts}"))
        }
        other => format!(
            "SELECT value, NULL AS kind, {COUNTS} FROM (SELECT {} AS value, sentiment FROM sentiment WHERE {meant}) \
             WHERE value IS NOT NULL GROUP BY value",
            column(other)
        ),
    };
    format!("{grouped} ORDER BY mentions DESC, value LIMIT {limit}")
}

fn names(source: &str) -> String {
    let most = |column: &str, key: &str| {
        format!(
            "(SELECT key, {column} AS most FROM (SELECT key, {column}, row_number() OVER (PARTITION BY key ORDER BY \
             count(*) DESC, {column}) AS rank FROM named GROUP BY key, {column}) WHERE rank = 1) AS {key}"
        )
    };
    format!(
        "WITH named AS (SELECT *, lower(name) AS key FROM ({source})) \
         SELECT spelled.most AS value, meant.most AS kind, counted.* EXCEPT (key) \
         FROM (SELECT key, {COUNTS} FROM named GROUP BY key) AS counted \
         JOIN {} ON spelled.key = counted.key JOIN {} ON meant.key = counted.key",
        most("name", "spelled"),
        most("kind", "meant")
    )
}

async fn counted(lake: &Lake, selection: &Selection, question: Question) -> Rows {
    for _ in 0..2_000 {
        if let Some(rows) = lake.count(selection, question).await.unwrap() {
            return rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{question:?} is never answered from memory");
}

/// Rows in one order, numbers in one form.
fn comparable(rows: Rows) -> Vec<String> {
    let form = |value: &Value| match value.as_f64() {
        Some(number) => format!("{number:.6}"),
        None => value.to_string(),
    };
    let mut rows: Vec<String> =
        rows.rows.iter().map(|row| row.iter().map(form).collect::<Vec<_>>().join(" | ")).collect();
    rows.sort();
    rows
}

async fn check(lake: &Lake, seed: u64, rounds: u64) {
    use Dimension::{Author, Category, Country, Entity, Hashtag, Phrase, Place, Sentiment, Topic};
    let mut random = Random(seed);
    for _ in 0..rounds {
        let selection = selection(&mut random);
        let since = selection.from + (selection.to - selection.from) / 2;
        let by = [Topic, Sentiment, Category, Country, Author, Place, Hashtag, Entity, Phrase];
        let few = [Topic, Sentiment, Category, Country][random.below(4) as usize];
        let mut questions = vec![
            Question::Totals { since },
            Question::Series { by: few, origin: at(-3_600), step_s: 3_600 },
            Question::Countries,
            Question::Places { limit: 10 },
            Question::NthNewest { nth: 1 + random.below(40) as usize },
        ];
        questions.extend(by.map(|by| Question::Breakdown { by, limit: 1 + random.below(6) as usize }));
        for question in questions {
            let sql = sql(&selection, question);
            let asked = lake.query(&sql, QueryLimits::default()).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            let counted = counted(lake, &selection, question).await;
            assert_eq!(comparable(counted), comparable(asked), "{question:?} of {selection:?}");
        }
    }
}

#[tokio::test]
async fn counting_in_memory_says_what_sql_says_whatever_happens_to_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), Config { settled_after: std::time::Duration::MAX, ..Config::default() }).await;
    for nth in 0..10 {
        lake.commit(batch(nth * 60 + 1..=nth * 60 + 60)).await.unwrap();
    }
    check(&lake, 1, 25).await;
    lake.commit(batch(601..=700)).await.unwrap();
    check(&lake, 2, 15).await;
    let maintained = lake.maintain(at(4 * 86_400)).await.unwrap();
    assert!(maintained.files_compacted > 0);
    check(&lake, 3, 15).await;
    let deletions = (1..=700).step_by(5).map(id).collect();
    let batch = EnrichedBatch { partition: "posts".into(), last_offset: 701, posts: Arc::default(), deletions };
    lake.commit(batch).await.unwrap();
    check(&lake, 4, 15).await;
    let rewritten = (2..=300).step_by(5).map(|number| EnrichedPost { topics: vec!["ferry".into()], ..post(number) });
    lake.rewrite(rewritten.collect()).await.unwrap();
    check(&lake, 5, 15).await;
}

#[tokio::test]
async fn days_beyond_the_memory_are_left_to_sql() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), Config { counts_bytes_max: 20_000, ..Config::default() }).await;
    lake.commit(batch(1..=900)).await.unwrap();
    let last = |days: i64| Selection {
        from: at(86_400 * (3 - days)),
        to: at(3 * 86_400),
        any_of: Vec::new(),
        originals_only: false,
    };
    let newest = counted(&lake, &last(1), Question::Countries).await;
    assert!(!newest.rows.is_empty());
    assert_eq!(lake.count(&last(3), Question::Countries).await.unwrap(), None);
    assert!(lake.count(&last(3), Question::NthNewest { nth: 5 }).await.unwrap().is_some());
    assert_eq!(lake.count(&last(3), Question::NthNewest { nth: 900 }).await.unwrap(), None);
}

#[tokio::test]
async fn without_memory_nothing_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let lake = open(folder.path(), Config { counts_bytes_max: 0, ..Config::default() }).await;
    lake.commit(batch(1..=10)).await.unwrap();
    let all = Selection { from: at(0), to: at(3 * 86_400), any_of: Vec::new(), originals_only: false };
    for _ in 0..3 {
        assert_eq!(lake.count(&all, Question::Countries).await.unwrap(), None);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
