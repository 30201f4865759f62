//! Posts: a page of them, and one in full.
//!
//! A page is found in two steps: the ids of its posts first, then those rows in full, so that the texts of other posts are
//! not read.

use super::cells::Cells;
use super::sql::{self, in_range, literal, posts_where};
use super::stored::{self, stored_posts};
use crate::lake::Lake;
use arrow::array::RecordBatch;
use chrono::Duration;
use domain::analytics::{
    Analytics, Cursor, FoundPost, PostCopy, PostDetail, PostQuery, PostText, PostsPage, PostsQuery, RecentTextsQuery,
};
use domain::{Entity, KeyPhrase, PostId, Result, Selection, TimeRange, Timestamp};
use std::collections::HashMap;

/// Most entities of the posts of a page.
const ENTITIES_MAX: usize = 50_000;
/// Most key phrases of a post.
const PHRASES_MAX: usize = 200;
/// Where posts are searched by their text, the newest 64th and the newest eighth of the range are searched first.
const FIRST_PARTS: [i32; 3] = [64, 8, 1];

/// A post of the page.
struct Chosen {
    cursor: Cursor,
    copies: u64,
}

pub(super) async fn page(lake: &Lake, query: &PostsQuery) -> Result<PostsPage> {
    let wanted = query.limit + 1;
    let mut chosen = match query.group_copies {
        true => choose(lake, query, query.selection.range).await?,
        false => newest(lake, query, wanted).await?,
    };
    let more = chosen.len() > query.limit;
    chosen.truncate(query.limit);
    let next = chosen.last().filter(|_| more).map(|last| last.cursor.clone());
    Ok(PostsPage { posts: in_full(lake, &chosen).await?, next })
}

/// The newest posts after the cursor. Only as much of the range is read as holds them.
async fn newest(lake: &Lake, query: &PostsQuery, wanted: usize) -> Result<Vec<Chosen>> {
    let TimeRange { from, to } = query.selection.range;
    let (to, older_to) = match &query.after {
        Some(after) => (to.min(after.at + Duration::microseconds(1)), to.min(after.at)),
        None => (to, to),
    };
    let (older, version) = (query.selection.within(TimeRange { from, to: older_to }), Analytics::version(lake));
    let starts = match lake.nth_newest_held(&older, wanted).await? {
        Some(nth) => vec![nth.unwrap_or(older_to)],
        None => FIRST_PARTS.map(|part| to - (to - from) / part).to_vec(),
    };
    let mut chosen = Vec::new();
    for start in starts {
        chosen = choose(lake, query, TimeRange { from: start.max(from), to }).await?;
        if chosen.len() >= wanted {
            return Ok(chosen);
        }
    }
    // Posts that memory knew of were deleted meanwhile: older ones take their places.
    match Analytics::version(lake) != version {
        true => choose(lake, query, TimeRange { from, to }).await,
        false => Ok(chosen),
    }
}

async fn choose(lake: &Lake, query: &PostsQuery, range: TimeRange) -> Result<Vec<Chosen>> {
    let sql = choice_sql(query, &query.selection.within(range));
    let mut chosen = Vec::new();
    for batch in lake.batches(&sql).await? {
        let rows = Cells::of(&batch)?;
        let [id, published_at, copies] = rows.places(["post_id", "published_at", "copies"])?;
        for row in 0..rows.rows {
            if let (Some(id), Some(at)) = (rows.text(id, row), rows.time(published_at, row)) {
                let cursor = Cursor { at, post_id: PostId::parse(id)? };
                chosen.push(Chosen { cursor, copies: rows.count(copies, row).max(1) });
            }
        }
    }
    Ok(chosen)
}

/// One post more than the page has, which says whether there is another page.
fn choice_sql(query: &PostsQuery, selection: &Selection) -> String {
    let (posts, wanted) = (posts_where(selection), query.limit + 1);
    let after = |time: &str| {
        query.after.as_ref().map_or_else(
            || "TRUE".to_owned(),
            |Cursor { at, post_id }| {
                let (at, post_id) = (sql::time(*at), literal(post_id.as_str()));
                format!("({time} < {at} OR ({time} = {at} AND post_id < {post_id}))")
            },
        )
    };
    if query.group_copies {
        return format!(
            "SELECT post_id, published_at, copies FROM (\
             SELECT last_value(post_id ORDER BY occurred_at, post_id) AS post_id, max(occurred_at) AS published_at, \
             count(*) AS copies FROM sentiment WHERE {posts} \
             GROUP BY coalesce(CAST(fingerprint AS VARCHAR), repost_of, post_id)) WHERE {} \
             ORDER BY published_at DESC, post_id DESC LIMIT {wanted}",
            after("published_at")
        );
    }
    format!(
        "SELECT post_id, occurred_at AS published_at, 1 AS copies FROM sentiment WHERE {posts} AND {} \
         ORDER BY occurred_at DESC, post_id DESC LIMIT {wanted}",
        after("occurred_at")
    )
}

/// The chosen posts with their entities, in the order in which they were chosen.
async fn in_full(lake: &Lake, chosen: &[Chosen]) -> Result<Vec<FoundPost>> {
    let times = || chosen.iter().map(|one| one.cursor.at);
    let (Some(from), Some(last)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
    let range = TimeRange { from, to: last + Duration::microseconds(1) };
    let ids = sql::literals(chosen.iter().map(|one| one.cursor.post_id.as_str()));
    let meant = format!("{} AND post_id IN ({ids})", in_range(range));
    let posts = format!("SELECT {} FROM sentiment WHERE {meant}", stored::COLUMNS);
    let entities = format!(
        "SELECT post_id, entity, kind, confidence, begin, \"end\" FROM entities WHERE {meant} \
         ORDER BY begin LIMIT {ENTITIES_MAX}"
    );
    let (posts, entities) = tokio::try_join!(lake.batches(&posts), lake.batches(&entities))?;
    let mut found: HashMap<PostId, FoundPost> = HashMap::new();
    for batch in &posts {
        for post in stored_posts(batch)? {
            found.insert(post.id.clone(), FoundPost { post, entities: Vec::new(), copies: 1 });
        }
    }
    for batch in &entities {
        for (id, entity) in entities_of(batch)? {
            if let Some(post) = found.get_mut(&id) {
                post.entities.push(entity);
            }
        }
    }
    let in_order = chosen.iter().filter_map(|one| {
        let post = found.remove(&one.cursor.post_id)?;
        Some(FoundPost { copies: one.copies, ..post })
    });
    Ok(in_order.collect())
}

fn entities_of(batch: &RecordBatch) -> Result<Vec<(PostId, Entity)>> {
    let rows = Cells::of(batch)?;
    let [id, entity, kind] = rows.places(["post_id", "entity", "kind"])?;
    let [confidence, begin, end] = rows.places(["confidence", "begin", "end"])?;
    let of_row = |row| {
        let entity = Entity {
            text: rows.string(entity, row),
            kind: rows.word(kind, row)?,
            confidence: rows.single(confidence, row).unwrap_or_default(),
            begin: position(rows.count(begin, row)),
            end: position(rows.count(end, row)),
        };
        Some((PostId::parse(rows.text(id, row)?).ok()?, entity))
    };
    Ok((0..rows.rows).filter_map(of_row).collect())
}

fn position(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

pub(super) async fn detail(lake: &Lake, query: &PostQuery) -> Result<Option<PostDetail>> {
    let found_at = match query.at {
        Some(at) => Some(at),
        None => published_at(lake, &query.id).await?,
    };
    let Some(at) = found_at else { return Ok(None) };
    let chosen = Chosen { cursor: Cursor { at, post_id: query.id.clone() }, copies: 1 };
    let Some(post) = in_full(lake, &[chosen]).await?.pop() else { return Ok(None) };
    let (id, here) = (literal(query.id.as_str()), in_range(TimeRange::at(at)));
    let near = Duration::days(PostDetail::COPIES_WITHIN_DAYS);
    let phrases = format!(
        "SELECT phrase, confidence, begin, \"end\" FROM key_phrases WHERE {here} AND post_id = {id} LIMIT {PHRASES_MAX}"
    );
    let raw = format!("SELECT payload, provenance FROM raw WHERE {here} AND post_id = {id} LIMIT 1");
    let copies = format!(
        "SELECT post_id, author, platform, occurred_at, url FROM sentiment WHERE {} AND post_id <> {id} AND fingerprint = \
         (SELECT max(fingerprint) FROM sentiment WHERE {here} AND post_id = {id}) \
         ORDER BY occurred_at DESC, post_id DESC LIMIT {}",
        in_range(TimeRange { from: at - near, to: at + near }),
        PostDetail::COPIES_MAX
    );
    let (phrases, raw, copies) = tokio::try_join!(lake.batches(&phrases), lake.batches(&raw), lake.batches(&copies))?;
    let (mut payload, mut provenance) = (None, None);
    for batch in &raw {
        let rows = Cells::of(batch)?;
        (payload, provenance) = (rows.owned(0, 0), rows.owned(1, 0));
    }
    let (key_phrases, copies) = (each_row(&phrases, phrases_of)?, each_row(&copies, copies_of)?);
    Ok(Some(PostDetail { post, key_phrases, copies, payload, provenance }))
}

fn each_row<T>(batches: &[RecordBatch], rows: impl Fn(&RecordBatch) -> Result<Vec<T>>) -> Result<Vec<T>> {
    Ok(batches.iter().map(rows).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

async fn published_at(lake: &Lake, id: &PostId) -> Result<Option<Timestamp>> {
    let sql = format!("SELECT occurred_at FROM sentiment WHERE post_id = {} LIMIT 1", literal(id.as_str()));
    let Some(batch) = lake.batches(&sql).await?.into_iter().next() else { return Ok(None) };
    Ok(Cells::of(&batch)?.time(0, 0))
}

fn phrases_of(batch: &RecordBatch) -> Result<Vec<KeyPhrase>> {
    let rows = Cells::of(batch)?;
    let [phrase, confidence, begin, end] = rows.places(["phrase", "confidence", "begin", "end"])?;
    let of_row = |row| KeyPhrase {
        text: rows.string(phrase, row),
        confidence: rows.single(confidence, row).unwrap_or_default(),
        begin: position(rows.count(begin, row)),
        end: position(rows.count(end, row)),
    };
    Ok((0..rows.rows).map(of_row).collect())
}

fn copies_of(batch: &RecordBatch) -> Result<Vec<PostCopy>> {
    let rows = Cells::of(batch)?;
    let [id, author, platform, occurred_at, url] =
        rows.places(["post_id", "author", "platform", "occurred_at", "url"])?;
    let of_row = |row| {
        Some(PostCopy {
            id: PostId::parse(rows.text(id, row)?).ok()?,
            author: rows.owned(author, row),
            platform: rows.string(platform, row),
            occurred_at: rows.time(occurred_at, row)?,
            url: rows.owned(url, row),
        })
    };
    Ok((0..rows.rows).filter_map(of_row).collect())
}

pub(super) fn recent_texts_sql(query: &RecentTextsQuery) -> String {
    format!(
        "SELECT post_id, text, author, language, occurred_at FROM sentiment WHERE {} \
         ORDER BY occurred_at DESC, post_id DESC LIMIT {}",
        in_range(query.range),
        query.limit
    )
}

pub(super) fn recent_texts(batch: &RecordBatch) -> Result<impl Iterator<Item = PostText> + use<>> {
    let rows = Cells::of(batch)?;
    let [id, text, author, language, occurred_at] =
        rows.places(["post_id", "text", "author", "language", "occurred_at"])?;
    let of_row = move |row| {
        Some(PostText {
            id: PostId::parse(rows.text(id, row)?).ok()?,
            text: rows.string(text, row),
            author: rows.owned(author, row),
            language: rows.owned(language, row),
            occurred_at: rows.time(occurred_at, row)?,
        })
    };
    Ok((0..batch.num_rows()).filter_map(of_row))
}
