//! Lists that a platform shows newest first, page by page: comments, questions, reviews, results of a search. A poll reads
//! from the first page back to what the last poll reached, so a break leaves no gap. It stores new items, follows edits of
//! items that were read lately, and deletions where the list shows them.

use super::backoff::BackoffPolicy;
use super::failure::Failure;
use super::http::Validators;
use super::ingest;
use super::items::{Fields, Payload, Reader};
use super::poll::{self, Poll, Problem};
use super::versions::Version;
use crate::connector::{Check, Connector, Context};
use crate::error::{Error, Result};
use crate::record::{Origin, Parsed, Rejection};
use async_trait::async_trait;
use domain::topic::TopicMatcher;
use domain::{Clock, PostId, Provenance, Record, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use state::Cursor;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

/// Most pages of one list in one poll. Beyond, the list is too busy for the interval, or the break was too long.
const PAGES_MAX: usize = 100;
/// Items of one list whose versions are remembered.
const KNOWN_MAX: usize = 2_000;

/// How patient a source is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two polls, unless the platform asks for more.
    pub interval: Duration,
    pub request_timeout: Duration,
    pub backoff: BackoffPolicy,
    /// How often all remembered items are read again, where that is needed to see edits and deletions.
    pub recheck: Duration,
}

impl Pace {
    /// The usual pace with this interval, which must be at least `min_s`.
    pub fn every(interval_s: u64, min_s: u64) -> Result<Self> {
        if interval_s < min_s {
            return Err(Error::Setting(format!("interval_s = {interval_s} is too short (at least {min_s})")));
        }
        Ok(Self {
            interval: Duration::from_secs(interval_s),
            request_timeout: Duration::from_secs(30),
            backoff: BackoffPolicy::for_polling(),
            recheck: Duration::from_secs(3_600),
        })
    }
}

/// What a poll does with the items.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// The kind of source.
    pub(crate) kind: &'static str,
    pub(crate) reader: Reader,
    /// Pages of a list that is read for the first time.
    pub(crate) first_pages: usize,
    /// How far behind what was reached a poll reads, in units of [`Item::order`]: items can appear late.
    pub(crate) look_back: i64,
    /// How far behind the newest known item edits and additions are followed. Items that are older and not remembered are
    /// skipped. `None`: as far as pages are read.
    pub(crate) follows: Option<i64>,
    /// An item can be in several lists.
    pub(crate) overlaps: bool,
    /// Items that match no topic are dropped.
    pub(crate) wanted_only: bool,
    /// The list is complete and sorted by `order`, so an item that it no longer shows was deleted.
    pub(crate) shows_deletions: bool,
    /// All remembered items are read again from time to time.
    pub(crate) rechecks: bool,
}

/// An item of a page.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) kind: &'static str,
    pub(crate) place: String,
    /// The list is sorted by it: a time or a number; 0 if it can't be read. An item below another has the order of the
    /// other.
    pub(crate) order: i64,
    pub(crate) raw: Box<RawValue>,
}

/// A page, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// Where the next page begins; `None`: this is the last one.
    pub(crate) next: Option<String>,
    /// Of the answer, for a conditional request at the next poll.
    pub(crate) validators: Validators,
    /// How long the platform wants to be left alone before the next request.
    pub(crate) pause: Duration,
}

/// What a page covers of its list. Items whose order can't be read (0) don't count.
#[derive(Debug, Clone, Copy)]
struct Range {
    oldest: Option<i64>,
    newest: Option<i64>,
}

impl Range {
    fn of(items: &[Item]) -> Self {
        let orders = || items.iter().map(|item| item.order).filter(|order| *order > 0);
        Self { oldest: orders().min(), newest: orders().max() }
    }

    /// The same up to where the page before ends.
    fn below(self, upper: Option<i64>) -> Self {
        Self { newest: self.newest.map(|newest| upper.unwrap_or(newest)), ..self }
    }
}

/// How a platform is asked.
#[async_trait]
pub(crate) trait Pages: Send + Sync {
    /// Unique within the source.
    fn name(&self) -> String;
    /// The lists that are read, one after the other.
    async fn lists(&self, context: &Context) -> Result<Vec<String>, Problem>;
    /// A page of a list. `from`: where it begins; `None`: at the newest item. Returns `None` if nothing changed since the
    /// request that gave the validators.
    async fn page(
        &self,
        list: &str,
        from: Option<&str>,
        validators: &Validators,
        now: Timestamp,
    ) -> Result<Option<Page>, Problem>;
    /// Asks whether the platform would let us in. Says in words what it answered.
    async fn probe(&self, now: Timestamp) -> Result<String, Problem>;
    /// What to do when the platform refuses.
    fn advice(&self) -> &'static str;
}

/// A connector that reads lists.
pub(crate) struct Lists {
    pub(crate) plan: Plan,
    pub(crate) pace: Pace,
    pub(crate) pages: Vec<Arc<dyn Pages>>,
}

#[async_trait]
impl Connector for Lists {
    async fn check(&self, clock: &dyn Clock) -> Check {
        let mut answers = Vec::new();
        for pages in &self.pages {
            match pages.probe(clock.now()).await {
                Ok(answer) => answers.push(answer),
                Err(problem) => {
                    let (message, advice) = match problem {
                        Problem::Platform(Failure::Network(message)) => {
                            (message, "check the network, the proxy and the firewall of this machine")
                        }
                        Problem::Platform(mut failure) => (std::mem::take(failure.answer_mut()), pages.advice()),
                        Problem::Port(error) => (error.to_string(), "see the log"),
                    };
                    let summary = format!("{}: {message}", pages.name());
                    return Check { ok: false, summary, advice: Some(advice.into()) };
                }
            }
        }
        Check { ok: true, summary: answers.join("; "), advice: None }
    }

    async fn run(self: Box<Self>, context: Context, shutdown: CancellationToken) -> domain::Result<()> {
        let mut polls: Vec<Box<dyn Poll>> = Vec::new();
        for pages in self.pages {
            let key = format!("{}:{}:{}", self.plan.kind, context.source, pages.name());
            let cursor = Cursor::load(context.state.clone(), key).await?;
            let context = context.clone();
            polls.push(Box::new(Listing {
                plan: self.plan,
                pace: self.pace,
                pages,
                context,
                cursor,
                rechecked_at: None,
            }));
        }
        poll::run(polls, &context, self.pace.backoff, &shutdown).await
    }
}

/// What is remembered of the lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    lists: BTreeMap<String, Reached>,
    /// Items of each list that were read lately, by their native ids; under an empty name those of lists that overlap.
    known: BTreeMap<String, BTreeMap<String, Known>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Reached {
    /// The order of the newest item in the queue.
    order: i64,
    #[serde(flatten)]
    validators: Validators,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    order: i64,
    #[serde(flatten)]
    version: Version,
}

/// The lists of one [`Pages`].
struct Listing {
    plan: Plan,
    pace: Pace,
    pages: Arc<dyn Pages>,
    context: Context,
    cursor: Cursor<Seen>,
    rechecked_at: Option<Timestamp>,
}

#[async_trait]
impl Poll for Listing {
    fn name(&self) -> String {
        self.pages.name()
    }

    async fn poll(&mut self) -> Result<Duration, Problem> {
        let now = self.context.clock.now();
        let lists = self.pages.lists(&self.context).await?;
        let since = self.rechecked_at.map(|at| (now - at).to_std().unwrap_or_default());
        let rechecks = self.plan.rechecks && since.is_none_or(|since| since >= self.pace.recheck);
        for list in &lists {
            self.read(list, rechecks).await?;
            self.cursor.save().await?;
        }
        self.cursor.value.lists.retain(|list, _| lists.contains(list));
        self.cursor.value.known.retain(|list, _| list.is_empty() || lists.contains(list));
        self.cursor.save().await?;
        if rechecks {
            self.rechecked_at = Some(now);
        }
        Ok(self.pace.interval)
    }
}

impl Listing {
    /// Reads a list from its newest item on.
    async fn read(&mut self, list: &str, rechecks: bool) -> Result<(), Problem> {
        let stop_at = self.stop_at(list, rechecks);
        let mut reached = self.cursor.value.lists.get(list).cloned().unwrap_or_default();
        let followed = self.plan.follows.map(|follows| reached.order.saturating_sub(follows));
        let (mut from, mut upper) = (None, None);
        for number in 1..=PAGES_MAX {
            let is_first = from.is_none();
            let validators = if is_first && !rechecks { reached.validators.clone() } else { Validators::default() };
            let asked = self.pages.page(list, from.as_deref(), &validators, self.context.clock.now()).await?;
            let Some(page) = asked else { return Ok(()) };
            if is_first {
                reached.validators = page.validators;
            }
            let range = Range::of(&page.items);
            reached.order = range.newest.map_or(reached.order, |newest| newest.max(reached.order));
            let is_at_end = match stop_at {
                None => number >= self.plan.first_pages,
                Some(stop_at) => range.oldest.is_some_and(|oldest| oldest < stop_at),
            };
            let mut items = page.items;
            if let (Some(_), Some(followed)) = (stop_at, followed) {
                items.retain(|item| item.order >= followed);
            }
            self.store(list, items, range.below(upper)).await?;
            upper = range.oldest.or(upper);
            tokio::time::sleep(page.pause).await;
            from = page.next;
            if is_at_end || from.is_none() {
                break;
            }
            if number == PAGES_MAX {
                tracing::warn!(source.id = %self.context.source, list, pages = PAGES_MAX, "older items are left out");
            }
        }
        self.cursor.value.lists.insert(list.to_owned(), reached);
        Ok(())
    }

    /// The order of the items that a poll reads back to; `None`: the list is read for the first time.
    fn stop_at(&self, list: &str, rechecks: bool) -> Option<i64> {
        let reached = self.cursor.value.lists.get(list)?.order;
        let oldest =
            self.known(list).and_then(|known| known.values().map(|known| known.order).min()).filter(|_| rechecks);
        Some(oldest.map_or(reached, |oldest| oldest.min(reached)).saturating_sub(self.plan.look_back))
    }

    /// Stores what is new of a page, the oldest first.
    async fn store(&mut self, list: &str, items: Vec<Item>, range: Range) -> Result<(), Problem> {
        let origin = self.context.origin(self.plan.reader.platform, Provenance::Poll);
        let (mut parsed, mut deleted, mut shown) = (Parsed::default(), BTreeSet::new(), BTreeSet::new());
        let mut news = Vec::new();
        for item in items.iter().rev() {
            let payload = Payload {
                kind: item.kind.to_owned(),
                place: item.place.clone(),
                item: &item.raw,
                read_at: origin.received_at,
                version: None,
                replaces: Vec::new(),
            };
            match (self.plan.reader.fields)(&payload) {
                Err(reason) => {
                    let bytes = item.raw.get().as_bytes();
                    let id = format!("unreadable-{:016x}", xxh3_64(bytes));
                    // A dead letter once, not at each poll.
                    let (version, is_new) = Version::next(self.version(list, &id), &id, "");
                    if is_new {
                        parsed.rejections.push(Rejection::new(reason, bytes));
                    }
                    news.push((id.clone(), Known { order: item.order, version }));
                    shown.insert(id);
                }
                Ok(fields) if fields.is_deleted => drop(deleted.insert(fields.id)),
                // Pictures and votes have no words.
                Ok(fields) if fields.text.trim().is_empty() => drop(shown.insert(fields.id)),
                Ok(fields) => {
                    news.push(self.note(list, &fields, item.order, payload, &origin, &mut parsed));
                    shown.insert(fields.id);
                }
            }
        }
        deleted.extend(self.missing(list, range, &shown));
        if self.plan.wanted_only {
            self.drop_unwanted(&mut parsed);
        }
        ingest::store(&self.context, self.plan.reader.format, parsed, &origin).await?;
        self.delete(list, deleted, &origin).await?;
        self.remember(list, news);
        Ok(())
    }

    fn key<'a>(&self, list: &'a str) -> &'a str {
        if self.plan.overlaps { "" } else { list }
    }

    fn known(&self, list: &str) -> Option<&BTreeMap<String, Known>> {
        self.cursor.value.known.get(self.key(list))
    }

    fn version(&self, list: &str, id: &str) -> Option<&Version> {
        self.known(list)?.get(id).map(|known| &known.version)
    }

    /// Reads an item that is new or changed. Returns what to remember of it.
    fn note(
        &self,
        list: &str,
        fields: &Fields,
        order: i64,
        mut payload: Payload<'_>,
        origin: &Origin,
        parsed: &mut Parsed,
    ) -> (String, Known) {
        let known = self.version(list, &fields.id);
        let (version, is_new) = Version::next(known, &fields.id, &fields.hash());
        if !is_new {
            // The order of an item changes when something is added to it.
            return (fields.id.clone(), Known { order, version });
        }
        payload.version = known.map(|_| version.post.clone());
        payload.replaces = known.map(|known| known.post.clone()).into_iter().collect();
        if payload.replaces.first().is_some_and(|replaced| *replaced != fields.id) {
            payload.replaces.push(fields.id.clone());
        }
        let json = serde_json::to_string(&payload).unwrap_or_default();
        self.plan.reader.parse(&json, origin, parsed);
        (fields.id.clone(), Known { order, version })
    }

    /// Known items that a complete list would show in this range, but does not.
    fn missing(&self, list: &str, range: Range, shown: &BTreeSet<String>) -> Vec<String> {
        let (Some(oldest), Some(newest), true) = (range.oldest, range.newest, self.plan.shows_deletions) else {
            return Vec::new();
        };
        let known = self.known(list).into_iter().flatten();
        let inside = known.filter(|(id, known)| (oldest..newest).contains(&known.order) && !shown.contains(*id));
        inside.map(|(id, _)| id.clone()).collect()
    }

    fn drop_unwanted(&self, parsed: &mut Parsed) {
        let topics = self.context.topics.borrow().clone();
        let Ok((matcher, _)) = TopicMatcher::of_readable(topics) else { return };
        parsed.records.retain(|record| match record {
            Record::Post(post) => !matcher.matches(post, None).is_empty(),
            Record::Deletion(_) => true,
        });
    }

    async fn delete(&mut self, list: &str, deleted: BTreeSet<String>, origin: &Origin) -> Result<(), Problem> {
        let mut ids = Vec::new();
        for native in deleted {
            let known = self.cursor.value.known.get_mut(self.key(list)).and_then(|known| known.remove(&native));
            let version = known.map(|known| known.version.post);
            let natives = BTreeSet::from_iter([Some(native), version].into_iter().flatten());
            ids.extend(natives.iter().filter_map(|native| PostId::new(self.plan.reader.platform, native).ok()));
        }
        Ok(ingest::delete(&self.context, ids, origin).await?)
    }

    fn remember(&mut self, list: &str, news: Vec<(String, Known)>) {
        let known = self.cursor.value.known.entry(self.key(list).to_owned()).or_default();
        known.extend(news);
        if known.len() > KNOWN_MAX {
            let mut all: Vec<(String, Known)> = std::mem::take(known).into_iter().collect();
            all.sort_by_key(|(_, known)| Reverse(known.order));
            all.truncate(KNOWN_MAX);
            known.extend(all);
        }
    }
}
