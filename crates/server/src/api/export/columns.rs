//! The columns of an exported file: what each holds, and what of a post may be passed on.

use crate::api::post::{decimal, translation, web_address};
use crate::csv::harmless;
use arrow::array::{
    ArrayRef, Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use domain::Timestamp;
use domain::analytics::StoredPost;
use serde::Serialize;
use std::sync::Arc;

/// A value of a column.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Cell {
    Empty,
    Text(String),
    Texts(Vec<String>),
    Time(Timestamp),
    Number(f64),
    Whole(u64),
}

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Time,
    Number,
    Whole,
}

/// Whether a value is part of what the platform gave us.
#[derive(Debug, Clone, Copy, PartialEq)]
enum From {
    Platform,
    Us,
}

/// A column of the file.
pub(super) struct Column {
    pub(super) name: &'static str,
    kind: Kind,
    from: From,
    value: fn(&StoredPost) -> Cell,
}

/// The columns, in order.
pub(super) const COLUMNS: [Column; 20] = [
    of("post_id", Kind::Text, From::Us, |post| Cell::Text(post.id.to_string())),
    of("platform", Kind::Text, From::Us, |post| Cell::Text(post.platform.clone())),
    of("source", Kind::Text, From::Us, |post| Cell::Text(post.source.clone())),
    of("author", Kind::Text, From::Platform, |post| text(post.author.clone())),
    of("url", Kind::Text, From::Platform, |post| text(web_address(post.url.as_deref()))),
    of("occurred_at", Kind::Time, From::Platform, |post| Cell::Time(post.occurred_at)),
    of("received_at", Kind::Time, From::Us, |post| post.received_at.map_or(Cell::Empty, Cell::Time)),
    of("language", Kind::Text, From::Platform, |post| text(post.language.clone())),
    of("text", Kind::Text, From::Platform, |post| Cell::Text(post.text.clone())),
    of("text_en", Kind::Text, From::Platform, |post| text(translation(post).map(str::to_owned))),
    of("sentiment", Kind::Text, From::Us, |post| text(post.sentiment.map(|label| label.as_str().to_owned()))),
    of("emotion", Kind::Text, From::Us, |post| text(post.emotion.clone())),
    of("offensive", Kind::Number, From::Us, |post| number(post.offensive)),
    of("category", Kind::Text, From::Us, |post| text(post.category.as_ref().map(|category| category.label.clone()))),
    of("category_confidence", Kind::Number, From::Us, |post| {
        number(post.category.as_ref().map(|category| category.confidence))
    }),
    of("topics", Kind::Texts, From::Us, |post| Cell::Texts(post.topics.clone())),
    of("hashtags", Kind::Texts, From::Platform, |post| Cell::Texts(post.hashtags.clone())),
    of("place", Kind::Text, From::Platform, |post| text(post.place.clone())),
    of("country", Kind::Text, From::Platform, |post| text(post.country.clone())),
    of("reach", Kind::Whole, From::Platform, |post| post.reach.map_or(Cell::Empty, Cell::Whole)),
];

const fn of(name: &'static str, kind: Kind, from: From, value: fn(&StoredPost) -> Cell) -> Column {
    Column { name, kind, from, value }
}

fn text(text: Option<String>) -> Cell {
    text.map_or(Cell::Empty, Cell::Text)
}

fn number(number: Option<f32>) -> Cell {
    number.map_or(Cell::Empty, |number| Cell::Number(decimal(number)))
}

impl Column {
    /// The value of a post. Of a platform in `ids_only`, what it gave us stays here.
    pub(super) fn cell(&self, post: &StoredPost, ids_only: &[String]) -> Cell {
        match self.from == From::Platform && ids_only.contains(&post.platform) {
            true => Cell::Empty,
            false => (self.value)(post),
        }
    }

    pub(super) fn field(&self) -> Field {
        let data_type = match self.kind {
            Kind::Text => DataType::Utf8,
            Kind::Texts => DataType::List(Arc::new(element())),
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Number => DataType::Float64,
            Kind::Whole => DataType::Int64,
        };
        Field::new(self.name, data_type, true)
    }

    /// The values of posts as an Arrow array of [`Column::field`].
    pub(super) fn array(&self, posts: &[StoredPost], ids_only: &[String]) -> ArrayRef {
        let cells = posts.iter().map(|post| self.cell(post, ids_only));
        match self.kind {
            Kind::Text => Arc::new(cells.map(Cell::into_text).collect::<StringArray>()),
            Kind::Time => {
                Arc::new(cells.map(Cell::into_micros).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
            Kind::Number => Arc::new(cells.map(Cell::into_number).collect::<Float64Array>()),
            Kind::Whole => Arc::new(cells.map(Cell::into_whole).collect::<Int64Array>()),
            Kind::Texts => {
                let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element());
                cells.for_each(|cell| lists.append_option(cell.into_texts()));
                Arc::new(lists.finish())
            }
        }
    }
}

fn element() -> Field {
    Field::new("element", DataType::Utf8, true)
}

impl Cell {
    /// As a cell of a spreadsheet; several texts are joined by a bar.
    pub(super) fn to_csv(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => harmless(text),
            Self::Texts(texts) => harmless(&texts.join("|")),
            Self::Time(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
            Self::Number(number) => number.to_string(),
            Self::Whole(number) => number.to_string(),
        }
    }

    fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    fn into_texts(self) -> Option<Vec<Option<String>>> {
        if let Self::Texts(texts) = self { Some(texts.into_iter().map(Some).collect()) } else { None }
    }

    fn into_micros(self) -> Option<i64> {
        if let Self::Time(time) = self { Some(time.timestamp_micros()) } else { None }
    }

    fn into_number(self) -> Option<f64> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    fn into_whole(self) -> Option<i64> {
        if let Self::Whole(number) = self { i64::try_from(number).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PostId;

    #[test]
    fn of_x_only_the_id_and_what_we_understood_is_passed_on() {
        let x_only = ["x".to_owned()];
        let post = |platform: &str| {
            let id = PostId::new(platform, "1").unwrap();
            let sentiment = Some(domain::SentimentLabel::Negative);
            let at = "2026-09-21T07:00:00Z".parse().unwrap();
            StoredPost { sentiment, reach: Some(12), ..StoredPost::new(id, "late again".into(), at) }
        };
        let cell = |post: &StoredPost, name: &str, ids_only: &[String]| {
            COLUMNS.iter().find(|column| column.name == name).unwrap().cell(post, ids_only)
        };
        for name in ["text", "occurred_at", "reach", "author", "url", "hashtags"] {
            assert_eq!(cell(&post("x"), name, &x_only), Cell::Empty, "{name}");
        }
        assert_eq!(cell(&post("x"), "post_id", &x_only), Cell::Text("x:1".into()));
        assert_eq!(cell(&post("x"), "sentiment", &x_only), Cell::Text("negative".into()));
        assert_eq!(cell(&post("reviews"), "text", &x_only), Cell::Text("late again".into()));
        assert_eq!(cell(&post("x"), "text", &[]), Cell::Text("late again".into()), "a setting");
    }

    #[test]
    fn a_cell_of_a_spreadsheet_never_becomes_a_formula() {
        assert_eq!(Cell::Texts(vec!["=b".into()]).to_csv(), "'=b");
        assert_eq!(Cell::Texts(vec!["a".into(), "=b".into()]).to_csv(), "a|=b");
        assert_eq!((Cell::Text("=1".into()).to_csv(), Cell::Number(-1.5).to_csv()), ("'=1".into(), "-1.5".into()));
        assert_eq!(Cell::Time("2026-11-23T07:00:00Z".parse().unwrap()).to_csv(), "2026-11-23T07:00:00Z");
    }
}
