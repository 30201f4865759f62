//! The tables: names, columns, and the view `posts`. A column is never renamed or retyped; new ones are added at the
//! end, and `Lake::open` adds them to older tables.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::{Arc, LazyLock};

/// The column by whose values the tables are split into folders: the UTC date of the event.
pub(crate) const PARTITION: &str = "event_date";

/// The tables of the lake, in the order of their commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TableName {
    Raw,
    Sentiment,
    Entities,
    KeyPhrases,
    Anomalies,
    Alerts,
}

impl TableName {
    /// Every table.
    pub const ALL: [Self; 6] =
        [Self::Raw, Self::Sentiment, Self::Entities, Self::KeyPhrases, Self::Anomalies, Self::Alerts];
    /// The tables that hold posts, in the order of their commits.
    pub(crate) const OF_POSTS: [Self; 4] = [Self::Raw, Self::Sentiment, Self::Entities, Self::KeyPhrases];

    /// The name in SQL and of the folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Sentiment => "sentiment",
            Self::Entities => "entities",
            Self::KeyPhrases => "key_phrases",
            Self::Anomalies => "anomalies",
            Self::Alerts => "alerts",
        }
    }

    /// The column that says which thing a row is about; rows are replaced and deleted by it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Anomalies => "anomaly_id",
            Self::Alerts => "alert_id",
            _ => "post_id",
        }
    }

    /// The event time: rows are sorted by it when they are compacted.
    pub(crate) fn time(self) -> &'static str {
        match self {
            Self::Anomalies => "onset",
            Self::Alerts => "opened_at",
            _ => "occurred_at",
        }
    }

    /// The columns, the partition column last.
    pub(crate) fn schema(self) -> &'static SchemaRef {
        &SCHEMAS[self as usize]
    }

    /// The columns that the data files hold: all but the partition column, which the folder's name tells.
    pub(crate) fn file_schema(self) -> &'static SchemaRef {
        &FILE_SCHEMAS[self as usize]
    }
}

static SCHEMAS: LazyLock<[SchemaRef; 6]> = LazyLock::new(|| TableName::ALL.map(|table| with_partition(columns(table))));
static FILE_SCHEMAS: LazyLock<[SchemaRef; 6]> =
    LazyLock::new(|| TableName::ALL.map(|table| Arc::new(Schema::new(columns(table)))));

fn with_partition(mut columns: Vec<Field>) -> SchemaRef {
    columns.push(Field::new(PARTITION, DataType::Date32, true));
    Arc::new(Schema::new(columns))
}

/// The element of a list, under the name that Delta gives it.
pub(crate) fn list_element() -> Field {
    Field::new("element", DataType::Utf8, true)
}

fn columns(table: TableName) -> Vec<Field> {
    use DataType::{Float32, Float64, Int32, Int64, Utf8};
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let list = DataType::List(Arc::new(list_element()));
    let of = |data_type: &DataType, names: &[&str]| -> Vec<Field> {
        names.iter().map(|name| Field::new(*name, data_type.clone(), true)).collect()
    };
    match table {
        TableName::Raw => [
            of(&Utf8, &["post_id", "source", "platform", "provenance"]),
            of(&time, &["received_at", "occurred_at"]),
            of(&list, &["topics"]),
            of(&Utf8, &["payload", "payload_format"]),
        ]
        .concat(),
        TableName::Sentiment => [
            of(&Utf8, &["post_id", "source", "platform", "author", "author_id"]),
            of(&Int64, &["author_followers"]),
            of(&Utf8, &["url"]),
            of(&time, &["occurred_at", "received_at", "enriched_at"]),
            of(&Utf8, &["language"]),
            of(&Float32, &["language_confidence"]),
            of(&Utf8, &["text", "text_en", "sentiment"]),
            of(&Float32, &["sentiment_positive", "sentiment_negative", "sentiment_neutral", "sentiment_mixed"]),
            of(&Utf8, &["emotion"]),
            of(&Float32, &["emotion_confidence", "offensive"]),
            of(&Utf8, &["category"]),
            of(&Float32, &["category_confidence"]),
            of(&list, &["topics", "hashtags"]),
            of(&Utf8, &["place", "place_kind", "region", "region_code", "country"]),
            of(&Float64, &["lat", "lon"]),
            of(&Utf8, &["place_from"]),
            of(&Float32, &["place_confidence"]),
            of(&Utf8, &["author_place", "author_country", "repost_of"]),
            of(&Int64, &["fingerprint", "reach"]),
            of(&Utf8, &["model"]),
            of(&list, &["issues"]),
        ]
        .concat(),
        TableName::Entities => [
            of(&Utf8, &["post_id"]),
            of(&time, &["occurred_at"]),
            of(&Utf8, &["entity", "kind"]),
            of(&Float32, &["confidence"]),
            of(&Int32, &["begin", "end"]),
            of(&Utf8, &["sentiment"]),
            of(&list, &["topics"]),
        ]
        .concat(),
        TableName::KeyPhrases => [
            of(&Utf8, &["post_id"]),
            of(&time, &["occurred_at"]),
            of(&Utf8, &["phrase"]),
            of(&Float32, &["confidence"]),
            of(&Int32, &["begin", "end"]),
            of(&Utf8, &["sentiment"]),
            of(&list, &["topics"]),
        ]
        .concat(),
        TableName::Anomalies => [
            of(&Utf8, &["anomaly_id", "topic", "category"]),
            of(&Int64, &["interval_s"]),
            of(&time, &["onset", "ended_at"]),
            of(&Float64, &["observed", "expected", "lower", "upper", "score"]),
            of(&Utf8, &["severity", "sentence", "drivers", "examples"]),
            of(&time, &["detected_at"]),
            of(&Utf8, &["dimension", "value"]),
        ]
        .concat(),
        TableName::Alerts => [
            of(&Utf8, &["alert_id", "rule", "topic", "state", "severity", "title"]),
            of(&time, &["opened_at", "updated_at", "resolved_at"]),
            of(&list, &["anomaly_ids"]),
            of(&Utf8, &["notified"]),
        ]
        .concat(),
    }
}

/// Name of the view that [`POSTS_VIEW`] defines.
pub(crate) const VIEW: &str = "posts";

/// What people ask most, ready to hand: everything of `sentiment`, and what is often derived from it.
pub(crate) const POSTS_VIEW: &str = "SELECT *, sentiment_positive - sentiment_negative AS sentiment_score, \
     repost_of IS NOT NULL AS is_repost, date_trunc('hour', occurred_at) AS occurred_hour FROM sentiment";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The type of a column in the catalog of AWS Glue.
    fn glue_type(data_type: &DataType) -> &'static str {
        match data_type {
            DataType::Utf8 => "string",
            DataType::Int64 => "bigint",
            DataType::Int32 => "int",
            DataType::Float32 => "float",
            DataType::Float64 => "double",
            DataType::Date32 => "date",
            DataType::Timestamp(..) => "timestamp",
            DataType::List(_) => "array<string>",
            other => panic!("{other} has no type in Glue here"),
        }
    }

    #[test]
    fn golden_tables_of_the_deployment() {
        let columns = |table: TableName| -> Vec<Value> {
            let fields = table.schema().fields().iter();
            fields.map(|field| json!({ "name": field.name(), "type": glue_type(field.data_type()) })).collect()
        };
        let tables: serde_json::Map<_, _> =
            TableName::ALL.iter().map(|table| (table.as_str().to_owned(), columns(*table).into())).collect();
        let text = serde_json::to_string_pretty(&tables).unwrap() + "\n";
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/tables.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &text).unwrap();
        }
        let stored = std::fs::read_to_string(file).unwrap();
        assert_eq!(stored, text, "run `make golden` and read the diff");
    }

    #[test]
    fn every_table_has_its_key_its_time_and_the_partition() {
        for table in TableName::ALL {
            let schema = table.schema();
            assert_eq!(schema.field(0).name(), table.key());
            assert!(schema.field_with_name(table.time()).is_ok());
            assert_eq!(schema.fields().last().unwrap().name(), PARTITION);
            assert_eq!(schema.fields().len(), table.file_schema().fields().len() + 1);
        }
    }
}
