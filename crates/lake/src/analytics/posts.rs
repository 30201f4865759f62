//! Posts: a page of them, and one in full.
//!
//! A page is found in two steps: the ids of its posts first, then those rows in full, so that the texts of other posts are
//! not read.

use super::columns::{Columns, at, count, text, time, word};
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
        let columns = Columns(&batch);
        let (ids, times, copies) =
            (columns.texts("post_id")?, columns.micros("published_at")?, columns.longs("copies")?);
        for row in 0..batch.num_rows() {
            if let (Some(id), Some(at)) = (at(&ids, row), time(&times, row)) {
                let cursor = Cursor { at, post_id: PostId::parse(id)? };
                chosen.push(Chosen { cursor, copies: count(&copies, row).max(1) });
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
    let columns = Columns(batch);
    let (ids, names, kinds) = (columns.texts("post_id")?, columns.texts("entity")?, columns.texts("kind")?);
    let (confidences, begins, ends) = (columns.floats("confidence")?, columns.longs("begin")?, columns.longs("end")?);
    let of_row = |row| {
        let entity = Entity {
            text: text(&names, row),
            kind: word(at(&kinds, row)?)?,
            confidence: at(&confidences, row).unwrap_or_default(),
            begin: position(count(&begins, row)),
            end: position(count(&ends, row)),
        };
        Some((PostId::parse(at(&ids, row)?).ok()?, entity))
    };
    Ok((0..batch.num_rows()).filter_map(of_row).collect())
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
        Columns(batch).each_text("payload", |_, text| payload = Some(text.to_owned()))?;
        Columns(batch).each_text("provenance", |_, text| provenance = Some(text.to_owned()))?;
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
    Ok(time(&Columns(&batch).micros("occurred_at")?, 0))
}

fn phrases_of(batch: &RecordBatch) -> Result<Vec<KeyPhrase>> {
    let columns = Columns(batch);
    let (phrases, confidences) = (columns.texts("phrase")?, columns.floats("confidence")?);
    let (begins, ends) = (columns.longs("begin")?, columns.longs("end")?);
    let of_row = |row| KeyPhrase {
        text: text(&phrases, row),
        confidence: at(&confidences, row).unwrap_or_default(),
        begin: position(count(&begins, row)),
        end: position(count(&ends, row)),
    };
    Ok((0..batch.num_rows()).map(of_row).collect())
}

fn copies_of(batch: &RecordBatch) -> Result<Vec<PostCopy>> {
    let columns = Columns(batch);
    let [ids, authors, platforms, urls] = ["post_id", "author", "platform", "url"].map(|name| columns.texts(name));
    let (ids, authors, platforms, urls) = (ids?, authors?, platforms?, urls?);
    let times = columns.micros("occurred_at")?;
    let of_row = |row| {
        Some(PostCopy {
            id: PostId::parse(at(&ids, row)?).ok()?,
            author: at(&authors, row).map(str::to_owned),
            platform: text(&platforms, row),
            occurred_at: time(&times, row)?,
            url: at(&urls, row).map(str::to_owned),
        })
    };
    Ok((0..batch.num_rows()).filter_map(of_row).collect())
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
    let columns = Columns(batch);
    let [ids, texts, authors, languages] = ["post_id", "text", "author", "language"].map(|name| columns.texts(name));
    let (ids, texts, authors, languages) = (ids?, texts?, authors?, languages?);
    let times = columns.micros("occurred_at")?;
    let of_row = move |row| {
        Some(PostText {
            id: PostId::parse(at(&ids, row)?).ok()?,
            text: text(&texts, row),
            author: at(&authors, row).map(str::to_owned),
            language: at(&languages, row).map(str::to_owned),
            occurred_at: time(&times, row)?,
        })
    };
    Ok((0..batch.num_rows()).filter_map(of_row))
}
