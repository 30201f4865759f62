//! The formats of an exported file. Each takes posts in pieces and gives back what is ready to be sent.

use super::columns::Column;
use crate::csv::CsvWriter;
use crate::error::Error;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use domain::analytics::StoredPost;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::{Serialize, Serializer};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a Parquet file are written in groups that hold about so much memory.
const GROUP_BYTES: usize = 8 << 20;

/// A file as it is written.
pub(super) struct Format {
    writer: Writer,
    columns: &'static [Column],
    /// Platforms of whose posts no more than the id may be passed on.
    ids_only: Vec<String>,
}

enum Writer {
    Csv { csv: Box<CsvWriter>, has_begun: bool },
    Jsonl,
    Parquet(Box<ParquetFile>),
}

impl Format {
    pub(super) fn parse(name: &str, columns: &'static [Column], bom: bool, ids_only: &[String]) -> Result<Self, Error> {
        let writer = match name {
            "csv" => Writer::Csv { csv: Box::new(CsvWriter::new(bom)), has_begun: false },
            "jsonl" => Writer::Jsonl,
            "parquet" => Writer::Parquet(Box::new(ParquetFile::begin(columns)?)),
            _ => return Err(Error::bad_field("format", "The format is csv, jsonl or parquet.")),
        };
        Ok(Self { writer, columns, ids_only: ids_only.to_vec() })
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self.writer {
            Writer::Csv { .. } => "text/csv; charset=utf-8",
            Writer::Jsonl => "application/x-ndjson",
            Writer::Parquet(_) => "application/vnd.apache.parquet",
        }
    }

    pub(super) fn file_name(&self) -> &'static str {
        match self.writer {
            Writer::Csv { .. } => "posts.csv",
            Writer::Jsonl => "posts.jsonl",
            Writer::Parquet(_) => "posts.parquet",
        }
    }

    /// Takes posts; gives what can be sent so far.
    pub(super) fn rows(&mut self, posts: &[StoredPost]) -> Result<Vec<u8>, Error> {
        let (columns, ids_only) = (self.columns, &self.ids_only);
        match &mut self.writer {
            Writer::Csv { csv, has_begun } => {
                if !std::mem::replace(has_begun, true) {
                    csv.line(columns.iter().map(|column| column.name.to_owned())).map_err(Error::internal)?;
                }
                for post in posts {
                    let cells = columns.iter().map(|column| column.cell(post, ids_only).to_csv());
                    csv.line(cells).map_err(Error::internal)?;
                }
                csv.take().map_err(Error::internal)
            }
            Writer::Jsonl => {
                let mut lines = Vec::new();
                for post in posts {
                    serde_json::to_writer(&mut lines, &Line { post, columns, ids_only }).map_err(Error::internal)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
            Writer::Parquet(file) => {
                let arrays = columns.iter().map(|column| column.array(posts, ids_only)).collect();
                file.rows(RecordBatch::try_new(Arc::clone(&file.schema), arrays).map_err(Error::internal)?)
            }
        }
    }

    /// The end of the file.
    pub(super) fn end(mut self) -> Result<Vec<u8>, Error> {
        // The names of the columns, where there was no post.
        let rest = if matches!(self.writer, Writer::Csv { .. }) { self.rows(&[])? } else { Vec::new() };
        if let Writer::Parquet(file) = self.writer { file.end() } else { Ok(rest) }
    }
}

/// A post as a JSON object of the columns.
struct Line<'a> {
    post: &'a StoredPost,
    columns: &'static [Column],
    ids_only: &'a [String],
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().map(|column| (column.name, column.cell(self.post, self.ids_only))))
    }
}

/// A Parquet file as it is written.
struct ParquetFile {
    schema: SchemaRef,
    writer: ArrowWriter<Written>,
    written: Written,
}

impl ParquetFile {
    fn begin(columns: &[Column]) -> Result<Self, Error> {
        let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let written = Written::default();
        let writer = ArrowWriter::try_new(written.clone(), Arc::clone(&schema), Some(properties));
        Ok(Self { schema, writer: writer.map_err(Error::internal)?, written })
    }

    fn rows(&mut self, batch: RecordBatch) -> Result<Vec<u8>, Error> {
        self.writer.write(&batch).map_err(Error::internal)?;
        if self.writer.in_progress_size() > GROUP_BYTES {
            self.writer.flush().map_err(Error::internal)?;
        }
        Ok(self.written.take())
    }

    fn end(self) -> Result<Vec<u8>, Error> {
        self.writer.close().map_err(Error::internal)?;
        Ok(self.written.take())
    }
}

/// Bytes that a writer has let go of.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::COLUMNS;
    use super::*;
    use axum::body::Bytes;
    use domain::PostId;

    #[test]
    fn a_parquet_file_holds_typed_columns_of_every_piece() {
        let mut format = Format::parse("parquet", &COLUMNS, false, &[]).unwrap();
        let id = PostId::new("reviews", "1").unwrap();
        let post = StoredPost {
            topics: vec!["storm".into()],
            reach: Some(12),
            ..StoredPost::new(id, "late again".into(), "2026-09-21T07:00:00Z".parse().unwrap())
        };
        let mut file = Vec::new();
        for _ in 0..3 {
            file.extend(format.rows(std::slice::from_ref(&post)).unwrap());
        }
        file.extend(format.end().unwrap());
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(Bytes::from(file), 10).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!((batches.len(), batches[0].num_rows(), batches[0].num_columns()), (1, 3, COLUMNS.len()));
        let text = |name: &str| {
            let column = batches[0].column_by_name(name).unwrap();
            arrow::util::display::array_value_to_string(column, 0).unwrap()
        };
        assert_eq!(
            (text("text").as_str(), text("topics").as_str(), text("reach").as_str()),
            ("late again", "[storm]", "12")
        );
        assert!(text("occurred_at").starts_with("2026-09-21"), "{}", text("occurred_at"));
    }
}
