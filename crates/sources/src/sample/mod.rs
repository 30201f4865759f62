//! The bundled sample: posts of our own making about companies that do not exist (`sample.toml`), in nine languages,
//! with three planted incidents. Deterministic: the same anchor and hour give the same posts with the same ids, so a
//! restart repeats nothing. Every post says `"sample": true` in its payload and comes with provenance `sample`.

mod feed;

pub use feed::Feed;

use chrono::{DateTime, Datelike, Duration, DurationRound, TimeZone, Timelike, Utc};
use domain::{Author, Coordinates, Error, Post, PostId, Provenance, Record, Result, SourceId, Timestamp, Topic};
use serde::Deserialize;
use std::collections::BTreeMap;

const SAMPLE_TOML: &str = include_str!("sample.toml");

/// Categories that fit the sample, in the form a user writes his own.
pub const CATEGORIES_TOML: &str = include_str!("categories.toml");

/// How far back the sample reaches.
pub const HISTORY_DAYS: i64 = 14;

/// Texts by language code.
type Texts = BTreeMap<String, Vec<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    brand: Vec<Brand>,
    incident: Vec<Incident>,
    ending: Texts,
    city: Vec<City>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Brand {
    topic: String,
    query: String,
    per_hour: f64,
    languages: BTreeMap<String, u64>,
    theme: Vec<Theme>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    weight: u64,
    texts: Texts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Incident {
    days_ago: i64,
    hour: i64,
    /// Posts that each hour adds.
    per_hour: Vec<f64>,
    cities: Vec<String>,
    texts: Texts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct City {
    name: String,
    profile: Vec<String>,
}

/// The sample, anchored at the moment of its first start.
pub struct Sample {
    content: Content,
    anchor: Timestamp,
}

impl Sample {
    /// `anchor`: the moment up to which the two weeks and the incidents are counted.
    pub fn anchored(anchor: Timestamp) -> Result<Self> {
        let content = toml::from_str(SAMPLE_TOML)
            .map_err(|error| Error::caused(domain::ErrorKind::Stop, "the bundled sample is not readable", error))?;
        Ok(Self { content, anchor })
    }

    /// The topics that listen to the sample's companies.
    pub fn topics(&self) -> Vec<Topic> {
        let topic =
            |brand: &Brand| Topic { name: brand.topic.clone(), query: brand.query.clone(), created_at: self.anchor };
        self.content.brand.iter().map(topic).collect()
    }

    /// When the sample's history begins.
    pub fn begins(&self) -> Timestamp {
        whole_hour(self.anchor) - Duration::days(HISTORY_DAYS)
    }

    /// Records of posts with `from <= occurred_at < to`, in order of time.
    pub fn between(&self, from: Timestamp, to: Timestamp) -> Vec<Record> {
        let mut posts = Vec::new();
        let mut hour = whole_hour(from.max(self.begins()));
        while hour < to {
            posts.extend(self.hour(hour).into_iter().filter(|post| post.occurred_at >= from && post.occurred_at < to));
            hour += Duration::hours(1);
        }
        posts.into_iter().map(|post| Record::Post(Box::new(post))).collect()
    }

    /// All posts of one hour.
    fn hour(&self, hour: Timestamp) -> Vec<Post> {
        let mut random = Random(hour.timestamp() as u64 ^ 0x6f76_6572_6865_6172);
        let mut posts = Vec::new();
        for brand in &self.content.brand {
            for _ in 0..random.poisson(brand.per_hour * rhythm(hour)) {
                posts.push(self.usual(brand, hour, posts.len(), &mut random));
            }
        }
        for incident in &self.content.incident {
            for _ in 0..random.poisson(self.incident_rate(incident, hour)) {
                posts.push(self.planted(incident, hour, posts.len(), &mut random));
            }
        }
        posts.sort_by(|a, b| a.occurred_at.cmp(&b.occurred_at).then_with(|| a.id.cmp(&b.id)));
        posts
    }

    /// Posts that an incident adds to an hour. A negative `hour` counts back from the anchor instead of giving the hour of
    /// the day.
    fn incident_rate(&self, incident: &Incident, hour: Timestamp) -> f64 {
        let begin = if incident.hour < 0 {
            whole_hour(self.anchor) + Duration::hours(incident.hour)
        } else {
            let day = self.anchor.date_naive() - Duration::days(incident.days_ago);
            Utc.from_utc_datetime(&day.and_time(chrono::NaiveTime::MIN)) + Duration::hours(incident.hour)
        };
        let passed = usize::try_from((hour - begin).num_hours()).ok();
        passed.filter(|_| hour >= begin).and_then(|passed| incident.per_hour.get(passed)).copied().unwrap_or(0.0)
    }

    fn usual(&self, brand: &Brand, hour: Timestamp, index: usize, random: &mut Random) -> Post {
        let weights: Vec<u64> = brand.theme.iter().map(|theme| theme.weight).collect();
        let theme = &brand.theme[random.weighted(&weights)];
        let languages: Vec<(&String, u64)> = brand.languages.iter().map(|(code, weight)| (code, *weight)).collect();
        let weights: Vec<u64> = languages.iter().map(|(_, weight)| *weight).collect();
        let language = languages[random.weighted(&weights)].0;
        let city = random.pick(&self.content.city).name.clone();
        self.post(language, &theme.texts, &city, hour, index, random)
    }

    fn planted(&self, incident: &Incident, hour: Timestamp, index: usize, random: &mut Random) -> Post {
        let languages: Vec<&String> = incident.texts.keys().collect();
        let weights: Vec<u64> = languages.iter().map(|code| incident.texts[*code].len() as u64).collect();
        let language = languages[random.weighted(&weights)];
        let city = random.pick(&incident.cities).clone();
        self.post(language, &incident.texts, &city, hour, index, random)
    }

    fn post(
        &self,
        language: &str,
        texts: &Texts,
        city: &str,
        hour: Timestamp,
        index: usize,
        random: &mut Random,
    ) -> Post {
        let empty = Vec::new();
        let choices = texts.get(language).or_else(|| texts.get("en")).unwrap_or(&empty);
        let text = if choices.is_empty() { String::new() } else { random.pick(choices).clone() };
        let names = ["Ana", "Tom", "Priya", "Lukas", "Chloé", "Marco"];
        let filled = text
            .replace("{city}", city)
            .replace("{n}", &(2 + random.below(7)).to_string())
            .replace("{hour}", &(7 + random.below(14)).to_string())
            .replace("{name}", names[random.below(names.len() as u64) as usize]);
        let text = match self.content.ending.get(language) {
            Some(endings) => format!("{filled}{}", random.pick(endings)),
            None => filled,
        };
        let occurred_at = hour + Duration::milliseconds(random.below(3_600_000) as i64);
        let native = format!("{}-{index}", hour.timestamp() / 3600);
        let username = format!("sample_{}", random.below(3_000));
        let home = random.pick(&self.content.city);
        let location = (random.below(3) > 0).then(|| random.pick(&home.profile).clone());
        let followers = 10 + random.below(40) * random.below(200);
        let payload = serde_json::json!({
            "id": native, "text": text, "created_at": occurred_at, "username": username, "user_location": location,
            "followers": followers, "platform": "sample", "sample": true,
        });
        Post {
            // Both parts are made here and hold neither white space nor a missing half.
            id: PostId::new("sample", &native).expect("a sample id is well formed"),
            source: SourceId("sample".into()),
            platform: "sample".into(),
            text,
            author: Some(Author { id: None, username: Some(username), location, followers: Some(followers) }),
            url: None,
            occurred_at,
            received_at: occurred_at.max(self.anchor),
            language_hint: None,
            coordinates: None::<Coordinates>,
            place_name: None,
            repost_of: None,
            replaces: Vec::new(),
            reach: Some(followers),
            provenance: Provenance::Sample,
            topics_hint: Vec::new(),
            payload: payload.to_string(),
            payload_format: Some(crate::record::simple::FORMAT.name.into()),
        }
    }
}

fn whole_hour(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(Duration::hours(1)).unwrap_or(at)
}

/// People post by day more than by night, and less at week-ends; the mean over a week is about 1.
fn rhythm(hour: Timestamp) -> f64 {
    let daily = 1.0 + 0.6 * ((f64::from(hour.hour()) - 15.0) / 24.0 * std::f64::consts::TAU).cos();
    let weekend = if hour.weekday().number_from_monday() > 5 { 0.8 } else { 1.08 };
    daily * weekend
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut ticket = self.below(weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if ticket < *weight {
                return index;
            }
            ticket -= weight;
        }
        0
    }

    /// Knuth's method, for rates below 700: beyond, `limit` is 0.
    fn poisson(&mut self, rate: f64) -> usize {
        let limit = (-rate).exp();
        let mut product = self.unit();
        let mut count = 0;
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn sample() -> (Sample, Timestamp) {
        let anchor = Utc.with_ymd_and_hms(2026, 3, 18, 12, 34, 56).unwrap();
        (Sample::anchored(anchor).unwrap(), anchor)
    }

    fn posts(records: Vec<Record>) -> Vec<Post> {
        records
            .into_iter()
            .filter_map(|record| match record {
                Record::Post(post) => Some(*post),
                Record::Deletion(_) => None,
            })
            .collect()
    }

    #[test]
    fn two_weeks_hold_some_thousand_posts_with_ids_of_their_own_in_order_of_time() {
        let (sample, anchor) = sample();
        let posts = posts(sample.between(sample.begins(), anchor));
        assert!((12_000..16_000).contains(&posts.len()), "{}", posts.len());
        assert_eq!(posts.iter().map(|post| &post.id).collect::<HashSet<_>>().len(), posts.len());
        assert!(posts.windows(2).all(|pair| pair[0].occurred_at <= pair[1].occurred_at));
        assert!(posts.iter().all(|post| !post.text.contains('{') && post.payload.contains("\"sample\":true")));
    }

    #[test]
    fn pieces_of_time_give_the_same_posts_as_the_whole() {
        let (sample, anchor) = sample();
        let middle = anchor - Duration::minutes(5_000);
        let mut pieces = sample.between(sample.begins(), middle);
        pieces.extend(sample.between(middle, anchor));
        assert_eq!(pieces, sample.between(sample.begins(), anchor));
    }

    #[test]
    fn a_post_arrives_every_few_seconds_after_the_first_start() {
        let (sample, anchor) = sample();
        let posts = sample.between(anchor, anchor + Duration::minutes(30)).len();
        assert!((200..400).contains(&posts), "{posts}");
    }

    #[test]
    fn each_incident_stands_out_and_each_topic_matches_its_posts() {
        let (sample, anchor) = sample();
        let matcher = domain::topic::TopicMatcher::new(sample.topics()).unwrap();
        let mut hours: HashMap<(String, i64), usize> = HashMap::new();
        let posts = posts(sample.between(sample.begins(), anchor));
        let mut unmatched = 0;
        for post in &posts {
            let topics = matcher.matches(post, None);
            unmatched += usize::from(topics.is_empty());
            for topic in topics {
                *hours.entry((topic, post.occurred_at.timestamp() / 3600)).or_default() += 1;
            }
        }
        assert!(unmatched * 100 < posts.len(), "{unmatched} of {} match no topic", posts.len());
        for topic in sample.topics() {
            let peak = hours.iter().filter(|((name, _), _)| *name == topic.name).map(|(_, n)| *n).max();
            assert!(peak >= Some(60), "{}: {peak:?}", topic.name);
        }
    }
}
