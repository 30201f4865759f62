//! A deletion that somebody asks for: which posts it is about, and carrying it out.

use super::{Cleared, Traces, blocked, note};
use crate::clock::clock;
use domain::topic::{Topic, TopicMatcher};
use domain::{
    Analytics, Author, Deletion, Error, Post, PostId, PostQueue, QueryLimits, Record, Result, SourceId, Timestamp,
};
use lake::Lake;
use pipeline::watch::counts::literal;
use queue::Embedded;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// Posts read at once: bounds memory.
const PAGE: usize = 2_000;
/// Posts deleted at once.
const CHUNK: usize = 1_000;
const LIMITS: QueryLimits = QueryLimits { rows_max: PAGE, timeout: Duration::from_secs(300) };

/// Which posts are to be forgotten.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub posts: Vec<String>,
    /// User name or id; in any letters, with or without `@`.
    pub author: Option<String>,
    /// Limits the author to one platform.
    pub platform: Option<String>,
    /// A query as topics have it.
    pub query: Option<String>,
    /// Refuse the author's posts from now on.
    pub and_block: bool,
}

/// What a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub posts: BTreeSet<String>,
    /// How many of them are reposts by others, which hold the same words.
    pub reposts: usize,
    /// The author's name and ids as his posts have them.
    pub authors: BTreeSet<String>,
}

impl Request {
    /// What is wrong with the request.
    fn check(&self) -> Result<()> {
        if self.posts.is_empty() && self.author.is_none() && self.query.is_none() {
            return Err(Error::reject("name posts, an author or a query"));
        }
        if self.author.as_deref().is_some_and(|author| blocked::plain(author).is_empty()) {
            return Err(Error::reject("the author's name is empty"));
        }
        if self.author.is_none() && (self.and_block || self.platform.is_some()) {
            return Err(Error::reject("a block and a platform belong to an author: name one"));
        }
        Ok(())
    }

    /// Looks for the posts in the lake. Posts named by their id are taken whether they are there or not.
    pub async fn find(&self, lake: &Lake) -> Result<Found> {
        self.check()?;
        let mut found = Found::default();
        for post in &self.posts {
            found.posts.insert(PostId::parse(post.trim())?.to_string());
        }
        if let Some(author) = &self.author {
            self.of_author(lake, author, &mut found).await?;
        }
        if let Some(query) = &self.query {
            matching(lake, query, &mut found).await?;
        }
        let own: Vec<String> = found.posts.iter().cloned().collect();
        for chunk in own.chunks(CHUNK) {
            let ids = chunk.iter().map(|id| literal(id)).collect::<Vec<_>>().join(", ");
            each(lake, "post_id", &format!("repost_of IN ({ids})"), |row| {
                found.reposts += usize::from(found.posts.insert(text(row, 0)));
            })
            .await?;
        }
        Ok(found)
    }

    async fn of_author(&self, lake: &Lake, author: &str, found: &mut Found) -> Result<()> {
        let name = blocked::plain(author);
        let platform = self.platform.as_deref();
        let platform = platform.map(|platform| format!(" AND platform = {}", literal(platform))).unwrap_or_default();
        let is_his =
            format!("(lower(ltrim(author, '@')) = {n} OR lower(author_id) = {n}){platform}", n = literal(&name));
        found.authors.insert(name);
        each(lake, "post_id, author, author_id", &is_his, |row| {
            found.posts.insert(text(row, 0));
            let names = [text(row, 1), text(row, 2)].map(|name| blocked::plain(&name));
            found.authors.extend(names.into_iter().filter(|name| !name.is_empty()));
        })
        .await
    }

    /// Deletes what was found, tells `progress` how many posts are done, and clears their traces. In a process that can't
    /// write the lake, the one that carries posts does so within minutes; then nothing is given back.
    pub async fn carry_out(
        &self,
        found: &Found,
        queue: &Embedded,
        lake: &Lake,
        writes: bool,
        progress: impl Fn(usize),
    ) -> Result<Option<Cleared>> {
        let now = clock().now();
        if self.and_block
            && let Some(author) = &self.author
        {
            blocked::add(queue, author, self.platform.as_deref()).await?;
        }
        let posts: Vec<&String> = found.posts.iter().collect();
        if posts.is_empty() {
            note(queue, &key(now, 0), BTreeSet::new(), found.authors.clone(), now).await?;
        }
        for (number, chunk) in posts.chunks(CHUNK).enumerate() {
            let of_chunk: BTreeSet<String> = chunk.iter().map(|id| (*id).clone()).collect();
            note(queue, &key(now, number), of_chunk.clone(), found.authors.clone(), now).await?;
            // The tombstones: nothing brings the posts back, and whoever carries posts deletes them as well.
            queue.append(of_chunk.iter().map(|id| deletion(id, now)).collect::<Result<_>>()?).await?;
            if writes {
                lake.delete_posts(&of_chunk.into_iter().collect::<HashSet<_>>()).await?;
            }
            progress(chunk.len());
        }
        if !writes {
            return Ok(None);
        }
        let posts: HashSet<String> = found.posts.iter().cloned().collect();
        let authors: HashSet<String> = found.authors.iter().cloned().collect();
        let cleared = Traces { queue, lake, posts, authors }.clear().await?;
        queue.truncate_log().await?;
        Ok(Some(cleared))
    }
}

fn key(now: Timestamp, number: usize) -> String {
    format!("forget-{}-{number}", now.timestamp_micros())
}

fn deletion(id: &str, now: Timestamp) -> Result<Record> {
    let source = SourceId("forget".to_owned());
    Ok(Record::Deletion(Deletion { id: PostId::parse(id)?, source, received_at: now }))
}

/// Adds the posts that a query matches.
async fn matching(lake: &Lake, query: &str, found: &mut Found) -> Result<()> {
    let topic = Topic { name: "forget".into(), query: query.to_owned(), created_at: clock().now() };
    let matcher = TopicMatcher::new(vec![topic])?;
    each(lake, "post_id, author, language, text", "TRUE", |row| {
        let field = |index: usize| row.get(index).and_then(Value::as_str).map(str::to_owned);
        let Ok(id) = PostId::parse(text(row, 0)) else { return };
        let post = Post {
            author: field(1).map(|username| Author { username: Some(username), ..Author::default() }),
            ..Post::of_text(id, field(3).unwrap_or_default(), Timestamp::UNIX_EPOCH)
        };
        if !matcher.matches(&post, field(2).as_deref()).is_empty() {
            found.posts.insert(post.id.to_string());
        }
    })
    .await
}

/// Reads the rows of `sentiment` that fulfil a condition, day after day and page after page. The first column is
/// `post_id`.
async fn each(lake: &Lake, columns: &str, condition: &str, mut take: impl FnMut(&[Value])) -> Result<()> {
    let days = format!("SELECT CAST(event_date AS VARCHAR) FROM sentiment WHERE {condition} GROUP BY 1 ORDER BY 1");
    let limits = QueryLimits { rows_max: 1_000_000, ..LIMITS };
    for day in lake.query(&days, limits).await?.rows {
        let day = text(&day, 0);
        let mut after = String::new();
        loop {
            let sql = format!(
                "SELECT {columns} FROM sentiment WHERE event_date = DATE {} AND ({condition}) AND post_id > {} \
                 ORDER BY post_id LIMIT {PAGE}",
                literal(&day),
                literal(&after),
            );
            let rows = lake.query(&sql, LIMITS).await?.rows;
            let Some(last) = rows.last() else { break };
            after = text(last, 0);
            rows.iter().for_each(|row| take(row));
        }
    }
    Ok(())
}

fn text(row: &[Value], index: usize) -> String {
    row.get(index).and_then(Value::as_str).unwrap_or_default().to_owned()
}
