//! Rows of table `sentiment` as posts.

use super::cells::Cells;
use arrow::array::RecordBatch;
use domain::analytics::StoredPost;
use domain::{Category, PostId, Result};

/// The columns that [`stored_posts`] reads.
pub(super) const COLUMNS: &str = "post_id, source, platform, author, author_followers, url, occurred_at, received_at, \
     language, text, text_en, sentiment, sentiment_positive, sentiment_negative, sentiment_neutral, sentiment_mixed, \
     emotion, offensive, category, category_confidence, topics, hashtags, place, region, country, place_from, repost_of, \
     reach, model, issues";

/// The posts of the rows, in their order.
pub(super) fn stored_posts(batch: &RecordBatch) -> Result<Vec<StoredPost>> {
    let rows = Cells::of(batch)?;
    let [id, text, occurred_at] = rows.places(["post_id", "text", "occurred_at"])?;
    let of_row = |row| {
        let occurred_at = rows.time(occurred_at, row).unwrap_or_default();
        Ok(StoredPost::new(PostId::parse(rows.string(id, row))?, rows.string(text, row), occurred_at))
    };
    let mut posts = (0..rows.rows).map(of_row).collect::<Result<Vec<_>>>()?;
    origin(&rows, &mut posts)?;
    enrichment(&rows, &mut posts)?;
    place(&rows, &mut posts)?;
    Ok(posts)
}

fn origin(rows: &Cells, posts: &mut [StoredPost]) -> Result<()> {
    let [source, platform, author, followers, url] =
        rows.places(["source", "platform", "author", "author_followers", "url"])?;
    let [received_at, repost_of, reach] = rows.places(["received_at", "repost_of", "reach"])?;
    let [topics, hashtags] = rows.places(["topics", "hashtags"])?;
    for (row, post) in posts.iter_mut().enumerate() {
        post.source = rows.string(source, row);
        if let Some(platform) = rows.owned(platform, row) {
            post.platform = platform;
        }
        (post.author, post.url) = (rows.owned(author, row), rows.owned(url, row));
        post.author_followers = rows.natural(followers, row);
        post.received_at = rows.time(received_at, row);
        post.repost_of = rows.text(repost_of, row).and_then(|id| PostId::parse(id).ok());
        post.reach = rows.natural(reach, row);
        (post.topics, post.hashtags) = (rows.texts(topics, row), rows.texts(hashtags, row));
    }
    Ok(())
}

fn enrichment(rows: &Cells, posts: &mut [StoredPost]) -> Result<()> {
    let [language, text_en, sentiment, emotion, offensive] =
        rows.places(["language", "text_en", "sentiment", "emotion", "offensive"])?;
    let scores = rows.places(["sentiment_positive", "sentiment_negative", "sentiment_neutral", "sentiment_mixed"])?;
    let [category, confidence, model, issues] = rows.places(["category", "category_confidence", "model", "issues"])?;
    for (row, post) in posts.iter_mut().enumerate() {
        (post.language, post.text_en) = (rows.owned(language, row), rows.owned(text_en, row));
        (post.sentiment, post.emotion) = (rows.word(sentiment, row), rows.owned(emotion, row));
        post.offensive = rows.single(offensive, row);
        let scores = scores.map(|score| rows.single(score, row));
        post.sentiment_scores = scores[0].is_some().then(|| scores.map(Option::unwrap_or_default));
        let confidence = rows.single(confidence, row).unwrap_or_default();
        post.category = rows.owned(category, row).map(|label| Category { label, confidence });
        (post.model, post.issues) = (rows.owned(model, row), rows.texts(issues, row));
    }
    Ok(())
}

fn place(rows: &Cells, posts: &mut [StoredPost]) -> Result<()> {
    let [place, region, country, place_from] = rows.places(["place", "region", "country", "place_from"])?;
    for (row, post) in posts.iter_mut().enumerate() {
        (post.place, post.region) = (rows.owned(place, row), rows.owned(region, row));
        (post.country, post.place_from) = (rows.owned(country, row), rows.word(place_from, row));
    }
    Ok(())
}
