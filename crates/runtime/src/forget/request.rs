//! A deletion that somebody asks for: which posts it is about, and carrying it out.

use super::{Cleared, Traces, note};
use crate::clock::clock;
use domain::analytics::PostText;
use domain::topic::{Topic, TopicMatcher};
use domain::{Author, Deletion, Error, Post, PostId, PostQueue, Record, Result, SourceId, Timestamp};
use lake::{Lake, StoredAuthor};
use queue::Embedded;
use state::BlockedAuthors;
use std::collections::{BTreeSet, HashSet};

/// Posts deleted at once.
const CHUNK: usize = 1_000;

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
        if self.author.as_deref().is_some_and(|author| Author::plain_name(author).is_empty()) {
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
            for repost in lake.reposts_of(chunk).await? {
                found.reposts += usize::from(found.posts.insert(repost));
            }
        }
        Ok(found)
    }

    async fn of_author(&self, lake: &Lake, author: &str, found: &mut Found) -> Result<()> {
        let name = Author::plain_name(author);
        let posts = lake.posts_of_author(&name, self.platform.as_deref()).await?;
        found.authors.insert(name);
        for StoredAuthor { post_id, name, id } in posts {
            found.posts.insert(post_id);
            let names = [name, id].into_iter().flatten().map(|name| Author::plain_name(&name));
            found.authors.extend(names.filter(|name| !name.is_empty()));
        }
        Ok(())
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
            BlockedAuthors::new(queue).add(author, self.platform.as_deref(), now).await?;
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
    lake.each_text(|PostText { id, text, author, language, .. }| {
        let author = author.map(|username| Author { username: Some(username), ..Author::default() });
        let post = Post { author, ..Post::of_text(id, text, Timestamp::UNIX_EPOCH) };
        if !matcher.matches(&post, language.as_deref()).is_empty() {
            found.posts.insert(post.id.to_string());
        }
    })
    .await
}
