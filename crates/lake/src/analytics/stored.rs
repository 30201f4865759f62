//! Rows of table `sentiment` as posts.

use super::columns::{Columns, at, time, word};
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
    let columns = Columns(batch);
    let (ids, texts, times) = (columns.texts("post_id")?, columns.texts("text")?, columns.micros("occurred_at")?);
    let mut posts = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let id = PostId::parse(at(&ids, row).unwrap_or_default())?;
        let text = at(&texts, row).unwrap_or_default().to_owned();
        posts.push(StoredPost::new(id, text, time(&times, row).unwrap_or_default()));
    }
    origin(&columns, &mut posts)?;
    enrichment(&columns, &mut posts)?;
    place(&columns, &mut posts)?;
    Ok(posts)
}

fn origin(columns: &Columns<'_>, posts: &mut [StoredPost]) -> Result<()> {
    columns.each_text("source", |row, text| posts[row].source = text.to_owned())?;
    columns.each_text("platform", |row, text| posts[row].platform = text.to_owned())?;
    columns.each_text("author", |row, text| posts[row].author = Some(text.to_owned()))?;
    columns.each_text("url", |row, text| posts[row].url = Some(text.to_owned()))?;
    columns.each_text("repost_of", |row, text| posts[row].repost_of = PostId::parse(text).ok())?;
    columns.each_list("topics", |row, topics| posts[row].topics = topics)?;
    columns.each_list("hashtags", |row, hashtags| posts[row].hashtags = hashtags)?;
    let (followers, reach) = (columns.longs("author_followers")?, columns.longs("reach")?);
    let received = columns.micros("received_at")?;
    for (row, post) in posts.iter_mut().enumerate() {
        post.author_followers = at(&followers, row).and_then(|count| u64::try_from(count).ok());
        post.reach = at(&reach, row).and_then(|count| u64::try_from(count).ok());
        post.received_at = time(&received, row);
    }
    Ok(())
}

fn enrichment(columns: &Columns<'_>, posts: &mut [StoredPost]) -> Result<()> {
    columns.each_text("language", |row, text| posts[row].language = Some(text.to_owned()))?;
    columns.each_text("text_en", |row, text| posts[row].text_en = Some(text.to_owned()))?;
    columns.each_text("sentiment", |row, text| posts[row].sentiment = word(text))?;
    columns.each_text("emotion", |row, text| posts[row].emotion = Some(text.to_owned()))?;
    columns.each_text("model", |row, text| posts[row].model = Some(text.to_owned()))?;
    columns.each_list("issues", |row, issues| posts[row].issues = issues)?;
    let confidences = columns.floats("category_confidence")?;
    columns.each_text("category", |row, text| {
        let confidence = at(&confidences, row).unwrap_or_default();
        posts[row].category = Some(Category { label: text.to_owned(), confidence });
    })?;
    let offensive = columns.floats("offensive")?;
    let (positive, negative) = (columns.floats("sentiment_positive")?, columns.floats("sentiment_negative")?);
    let (neutral, mixed) = (columns.floats("sentiment_neutral")?, columns.floats("sentiment_mixed")?);
    for (row, post) in posts.iter_mut().enumerate() {
        post.offensive = at(&offensive, row);
        let scores = [&positive, &negative, &neutral, &mixed].map(|column| at(column, row));
        post.sentiment_scores = scores[0].is_some().then(|| scores.map(Option::unwrap_or_default));
    }
    Ok(())
}

fn place(columns: &Columns<'_>, posts: &mut [StoredPost]) -> Result<()> {
    columns.each_text("place", |row, text| posts[row].place = Some(text.to_owned()))?;
    columns.each_text("region", |row, text| posts[row].region = Some(text.to_owned()))?;
    columns.each_text("country", |row, text| posts[row].country = Some(text.to_owned()))?;
    columns.each_text("place_from", |row, text| posts[row].place_from = word(text))
}
