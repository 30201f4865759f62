//! Posts, anomalies and alerts as rows: one record batch per table and UTC day, in the file schema of the table.

use crate::error::{Error, Result};
use crate::schema::{TableName, list_element};
use arrow::array::{
    ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use chrono::NaiveDate;
use domain::{Alert, Anomaly, EnrichedPost, Entity, KeyPhrase, PlaceKind, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns by name; put into the table's order when the batch is made.
type Columns = Vec<(&'static str, ArrayRef)>;

/// The rows of posts for one table, by day of the event.
pub(crate) fn of_posts(table: TableName, posts: &[&EnrichedPost]) -> Result<Vec<(NaiveDate, RecordBatch)>> {
    let mut batches = Vec::new();
    for (day, posts) in by_day(posts, |post| post.post.occurred_at) {
        let columns = match table {
            TableName::Raw => raw(&posts),
            TableName::Sentiment => sentiment(&posts),
            TableName::Entities => entities(&posts),
            TableName::KeyPhrases => key_phrases(&posts),
            TableName::Anomalies | TableName::Alerts => continue,
        };
        let batch = batch(table, columns)?;
        if batch.num_rows() > 0 {
            batches.push((day, batch));
        }
    }
    Ok(batches)
}

/// The rows of anomalies, by day of the onset.
pub(crate) fn of_anomalies(anomalies: &[Anomaly]) -> Result<Vec<(NaiveDate, RecordBatch)>> {
    let anomalies: Vec<&Anomaly> = anomalies.iter().collect();
    let days = by_day(&anomalies, |anomaly| anomaly.onset).into_iter();
    days.map(|(day, rows)| Ok((day, batch(TableName::Anomalies, anomaly_columns(&rows))?))).collect()
}

/// The rows of alerts, by day of their opening.
pub(crate) fn of_alerts(alerts: &[Alert]) -> Result<Vec<(NaiveDate, RecordBatch)>> {
    let alerts: Vec<&Alert> = alerts.iter().collect();
    let days = by_day(&alerts, |alert| alert.opened_at).into_iter();
    days.map(|(day, rows)| Ok((day, batch(TableName::Alerts, alert_columns(&rows))?))).collect()
}

fn by_day<'a, T>(items: &[&'a T], time: impl Fn(&T) -> Timestamp) -> BTreeMap<NaiveDate, Vec<&'a T>> {
    let mut days: BTreeMap<NaiveDate, Vec<&T>> = BTreeMap::new();
    for item in items.iter().copied() {
        days.entry(time(item).date_naive()).or_default().push(item);
    }
    days
}

fn batch(table: TableName, mut columns: Columns) -> Result<RecordBatch> {
    let schema = table.file_schema();
    let failed = |source| Error::Rows { table: table.as_str(), source };
    let mut ordered = Vec::with_capacity(columns.len());
    for field in schema.fields() {
        let at = columns.iter().position(|(name, _)| name == field.name()).ok_or_else(|| {
            failed(arrow::error::ArrowError::SchemaError(format!("column {} was not made", field.name())))
        })?;
        ordered.push(columns.swap_remove(at).1);
    }
    RecordBatch::try_new(Arc::clone(schema), ordered).map_err(failed)
}

fn text<'a, T: 'a>(rows: &[&'a T], value: impl Fn(&'a T) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| value(row)).collect::<StringArray>())
}

fn owned<T>(rows: &[&T], value: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| value(row)).collect::<StringArray>())
}

fn time<T>(rows: &[&T], value: impl Fn(&T) -> Option<Timestamp>) -> ArrayRef {
    let micros = rows.iter().map(|row| value(row).map(|at| at.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn float<T>(rows: &[&T], value: impl Fn(&T) -> Option<f32>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| value(row)).collect::<Float32Array>())
}

fn double<T>(rows: &[&T], value: impl Fn(&T) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| value(row)).collect::<Float64Array>())
}

fn long<T>(rows: &[&T], value: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| value(row)).collect::<Int64Array>())
}

fn int<T>(rows: &[&T], value: impl Fn(&T) -> u32) -> ArrayRef {
    Arc::new(rows.iter().map(|row| i32::try_from(value(row)).ok()).collect::<Int32Array>())
}

fn list<T, S: AsRef<str>>(rows: &[&T], values: impl Fn(&T) -> Vec<S>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(list_element());
    for row in rows {
        for value in values(row) {
            builder.values().append_value(value);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// Counts beyond what a signed column holds don't occur; they would be kept at its limit.
fn count(value: Option<u64>) -> Option<i64> {
    value.map(|value| i64::try_from(value).unwrap_or(i64::MAX))
}

fn raw(posts: &[&EnrichedPost]) -> Columns {
    vec![
        ("post_id", text(posts, |p| Some(p.post.id.as_str()))),
        ("source", text(posts, |p| Some(&p.post.source.0))),
        ("platform", text(posts, |p| Some(&p.post.platform))),
        ("provenance", text(posts, |p| Some(p.post.provenance.as_str()))),
        ("received_at", time(posts, |p| Some(p.post.received_at))),
        ("occurred_at", time(posts, |p| Some(p.post.occurred_at))),
        ("topics", list(posts, |p| p.topics.clone())),
        ("payload", text(posts, |p| Some(&p.post.payload))),
        ("payload_format", text(posts, |p| p.post.payload_format.as_deref())),
    ]
}

fn sentiment(posts: &[&EnrichedPost]) -> Columns {
    let mut columns = origin(posts);
    columns.extend(understood(posts));
    columns.extend(places(posts));
    columns
}

fn origin(posts: &[&EnrichedPost]) -> Columns {
    vec![
        ("post_id", text(posts, |p| Some(p.post.id.as_str()))),
        ("source", text(posts, |p| Some(&p.post.source.0))),
        ("platform", text(posts, |p| Some(&p.post.platform))),
        ("author", text(posts, |p| p.post.author.as_ref()?.username.as_deref())),
        ("author_id", text(posts, |p| p.post.author.as_ref()?.id.as_deref())),
        ("author_followers", long(posts, |p| count(p.post.author.as_ref()?.followers))),
        ("url", text(posts, |p| p.post.url.as_deref())),
        ("occurred_at", time(posts, |p| Some(p.post.occurred_at))),
        ("received_at", time(posts, |p| Some(p.post.received_at))),
        ("enriched_at", time(posts, |p| Some(p.enriched_at))),
        ("text", text(posts, |p| Some(&p.post.text))),
        ("topics", list(posts, |p| p.topics.clone())),
        ("hashtags", list(posts, EnrichedPost::hashtags)),
        ("repost_of", text(posts, |p| p.post.repost_of.as_ref().map(domain::PostId::as_str))),
        ("reach", long(posts, |p| count(p.post.reach))),
    ]
}

fn understood(posts: &[&EnrichedPost]) -> Columns {
    vec![
        ("language", text(posts, |p| Some(&p.enrichment.language.code))),
        ("language_confidence", float(posts, |p| Some(p.enrichment.language.confidence))),
        ("text_en", text(posts, |p| p.enrichment.text_en.as_deref())),
        ("sentiment", text(posts, |p| p.enrichment.sentiment.map(|s| s.label.as_str()))),
        ("sentiment_positive", float(posts, |p| p.enrichment.sentiment.map(|s| s.positive))),
        ("sentiment_negative", float(posts, |p| p.enrichment.sentiment.map(|s| s.negative))),
        ("sentiment_neutral", float(posts, |p| p.enrichment.sentiment.map(|s| s.neutral))),
        ("sentiment_mixed", float(posts, |p| p.enrichment.sentiment.map(|s| s.mixed))),
        ("emotion", text(posts, |p| p.enrichment.emotion.as_ref().map(|e| e.label.as_str()))),
        ("emotion_confidence", float(posts, |p| p.enrichment.emotion.as_ref().map(|e| e.confidence))),
        ("offensive", float(posts, |p| p.enrichment.offensive)),
        ("category", text(posts, |p| p.enrichment.category.as_ref().map(|c| c.label.as_str()))),
        ("category_confidence", float(posts, |p| p.enrichment.category.as_ref().map(|c| c.confidence))),
        ("fingerprint", long(posts, |p| p.enrichment.fingerprint)),
        ("model", text(posts, |p| Some(&p.enrichment.model))),
        ("issues", list(posts, |p| p.enrichment.issues.clone())),
    ]
}

fn places(posts: &[&EnrichedPost]) -> Columns {
    vec![
        ("place", text(posts, |p| p.place.as_ref().map(|(place, _)| place.name.as_str()))),
        ("place_kind", text(posts, |p| p.place.as_ref().map(|(place, _)| place_kind(place.kind)))),
        ("region", text(posts, |p| p.place.as_ref()?.0.region.as_deref())),
        ("region_code", text(posts, |p| p.place.as_ref()?.0.region_code.as_deref())),
        ("country", text(posts, |p| p.place.as_ref().map(|(place, _)| place.country.as_str()))),
        ("lat", double(posts, |p| p.place.as_ref().map(|(place, _)| place.coordinates.lat))),
        ("lon", double(posts, |p| p.place.as_ref().map(|(place, _)| place.coordinates.lon))),
        ("place_from", text(posts, |p| p.place.as_ref().map(|(_, from)| from.as_str()))),
        ("place_confidence", float(posts, |p| p.place.as_ref().map(|(place, _)| place.confidence))),
        ("author_place", text(posts, |p| p.author_place.as_ref().map(|place| place.name.as_str()))),
        ("author_country", text(posts, |p| p.author_place.as_ref().map(|place| place.country.as_str()))),
    ]
}

fn place_kind(kind: PlaceKind) -> &'static str {
    match kind {
        PlaceKind::Country => "country",
        PlaceKind::Region => "region",
        PlaceKind::City => "city",
        PlaceKind::Point => "point",
    }
}

fn sentiment_label(post: &EnrichedPost) -> Option<&'static str> {
    post.enrichment.sentiment.map(|sentiment| sentiment.label.as_str())
}

fn entities(posts: &[&EnrichedPost]) -> Columns {
    let found: Vec<(&EnrichedPost, &Entity)> =
        posts.iter().flat_map(|post| post.enrichment.entities.iter().map(move |entity| (*post, entity))).collect();
    let rows: Vec<&(&EnrichedPost, &Entity)> = found.iter().collect();
    vec![
        ("post_id", text(&rows, |(p, _)| Some(p.post.id.as_str()))),
        ("occurred_at", time(&rows, |(p, _)| Some(p.post.occurred_at))),
        ("entity", text(&rows, |(_, e)| Some(&e.text))),
        ("kind", text(&rows, |(_, e)| Some(e.kind.as_str()))),
        ("confidence", float(&rows, |(_, e)| Some(e.confidence))),
        ("begin", int(&rows, |(_, e)| e.begin)),
        ("end", int(&rows, |(_, e)| e.end)),
        ("sentiment", text(&rows, |(p, _)| sentiment_label(p))),
        ("topics", list(&rows, |(p, _)| p.topics.clone())),
    ]
}

fn key_phrases(posts: &[&EnrichedPost]) -> Columns {
    let found: Vec<(&EnrichedPost, &KeyPhrase)> =
        posts.iter().flat_map(|post| post.enrichment.key_phrases.iter().map(move |phrase| (*post, phrase))).collect();
    let rows: Vec<&(&EnrichedPost, &KeyPhrase)> = found.iter().collect();
    vec![
        ("post_id", text(&rows, |(p, _)| Some(p.post.id.as_str()))),
        ("occurred_at", time(&rows, |(p, _)| Some(p.post.occurred_at))),
        ("phrase", text(&rows, |(_, k)| Some(&k.text))),
        ("confidence", float(&rows, |(_, k)| Some(k.confidence))),
        ("begin", int(&rows, |(_, k)| k.begin)),
        ("end", int(&rows, |(_, k)| k.end)),
        ("sentiment", text(&rows, |(p, _)| sentiment_label(p))),
        ("topics", list(&rows, |(p, _)| p.topics.clone())),
    ]
}

fn anomaly_columns(rows: &[&Anomaly]) -> Columns {
    vec![
        ("anomaly_id", text(rows, |a| Some(&a.id))),
        ("topic", text(rows, |a| Some(&a.topic))),
        ("category", text(rows, |a| a.category.as_deref())),
        ("interval_s", long(rows, |a| Some(i64::from(a.interval_s)))),
        ("onset", time(rows, |a| Some(a.onset))),
        ("ended_at", time(rows, |a| a.end)),
        ("observed", double(rows, |a| Some(a.observed))),
        ("expected", double(rows, |a| Some(a.expected))),
        ("lower", double(rows, |a| Some(a.lower))),
        ("upper", double(rows, |a| Some(a.upper))),
        ("score", double(rows, |a| Some(a.score))),
        ("severity", text(rows, |a| Some(a.severity.as_str()))),
        ("sentence", text(rows, |a| Some(&a.sentence))),
        ("drivers", owned(rows, |a| serde_json::to_string(&a.drivers).ok())),
        ("examples", owned(rows, |a| serde_json::to_string(&a.examples).ok())),
        ("detected_at", time(rows, |a| Some(a.detected_at))),
        ("dimension", text(rows, |a| a.slice.as_ref().map(|slice| slice.dimension.name()))),
        ("value", text(rows, |a| a.slice.as_ref().map(|slice| slice.value.as_str()))),
    ]
}

fn alert_columns(rows: &[&Alert]) -> Columns {
    vec![
        ("alert_id", text(rows, |a| Some(&a.id))),
        ("rule", text(rows, |a| Some(&a.rule))),
        ("topic", text(rows, |a| a.topic.as_deref())),
        ("state", text(rows, |a| Some(a.state.as_str()))),
        ("severity", text(rows, |a| Some(a.severity.as_str()))),
        ("title", text(rows, |a| Some(&a.title))),
        ("opened_at", time(rows, |a| Some(a.opened_at))),
        ("updated_at", time(rows, |a| Some(a.updated_at))),
        ("resolved_at", time(rows, |a| a.resolved_at)),
        ("anomaly_ids", list(rows, |a| a.anomalies.iter().map(|anomaly| anomaly.id.clone()).collect())),
        ("notified", owned(rows, |a| serde_json::to_string(&a.notified).ok())),
    ]
}
