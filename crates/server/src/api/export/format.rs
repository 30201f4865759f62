//! The forms of an exported file. Each takes rows in pieces and gives back what is ready to be sent.

use super::Record;
use crate::csv::{CsvWriter, cell};
use crate::error::Error;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::json::reader::Decoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What a column holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Texts,
    Time,
    Number,
    Whole,
}

/// Name and kind.
pub(super) type Column = (&'static str, Kind);

/// Columns of the file, in order: keys of a post as the API tells it.
pub(super) const COLUMNS: [Column; 20] = [
    ("post_id", Kind::Text),
    ("platform", Kind::Text),
    ("source", Kind::Text),
    ("author", Kind::Text),
    ("url", Kind::Text),
    ("occurred_at", Kind::Time),
    ("received_at", Kind::Time),
    ("language", Kind::Text),
    ("text", Kind::Text),
    ("text_en", Kind::Text),
    ("sentiment", Kind::Text),
    ("emotion", Kind::Text),
    ("offensive", Kind::Number),
    ("category", Kind::Text),
    ("category_confidence", Kind::Number),
    ("topics", Kind::Texts),
    ("hashtags", Kind::Texts),
    ("place", Kind::Text),
    ("country", Kind::Text),
    ("reach", Kind::Whole),
];

/// Rows of a Parquet file are written in groups that hold about so much memory.
const GROUP_BYTES: usize = 8 << 20;

/// A file as it is written.
pub(super) enum Format {
    Csv { columns: &'static [Column], csv: Box<CsvWriter>, begun: bool },
    Jsonl,
    Parquet(Box<ParquetFile>),
}

impl Format {
    pub(super) fn parse(name: &str, columns: &'static [Column], bom: bool) -> Result<Self, Error> {
        match name {
            "csv" => Ok(Self::Csv { columns, csv: Box::new(CsvWriter::new(bom)), begun: false }),
            "jsonl" => Ok(Self::Jsonl),
            "parquet" => Ok(Self::Parquet(Box::new(ParquetFile::begin(columns)?))),
            _ => Err(Error::bad_field("format", "The format is csv, jsonl or parquet.")),
        }
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Csv { .. } => "text/csv; charset=utf-8",
            Self::Jsonl => "application/x-ndjson",
            Self::Parquet(_) => "application/vnd.apache.parquet",
        }
    }

    pub(super) fn file_name(&self) -> &'static str {
        match self {
            Self::Csv { .. } => "posts.csv",
            Self::Jsonl => "posts.jsonl",
            Self::Parquet(_) => "posts.parquet",
        }
    }

    /// Takes rows; gives what can be sent so far.
    pub(super) fn rows(&mut self, records: &[Record]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Csv { columns, csv, begun } => {
                if !std::mem::replace(begun, true) {
                    csv.line(columns.iter().map(|(name, _)| (*name).to_owned())).map_err(Error::internal)?;
                }
                for record in records {
                    csv.line(columns.iter().map(|(name, _)| cell(&record[*name]))).map_err(Error::internal)?;
                }
                csv.take().map_err(Error::internal)
            }
            Self::Jsonl => {
                let mut lines = Vec::new();
                for record in records {
                    serde_json::to_writer(&mut lines, record).map_err(Error::internal)?;
                    lines.push(b'\n');
                }
                Ok(lines)
            }
            Self::Parquet(file) => file.rows(records),
        }
    }

    /// The end of the file.
    pub(super) fn end(mut self) -> Result<Vec<u8>, Error> {
        match self {
            // The names of the columns, where there was no row.
            Self::Csv { .. } => self.rows(&[]),
            Self::Jsonl => Ok(Vec::new()),
            Self::Parquet(file) => file.end(),
        }
    }
}

/// A Parquet file as it is written.
pub(super) struct ParquetFile {
    decoder: Decoder,
    writer: ArrowWriter<Written>,
    written: Written,
}

impl ParquetFile {
    fn begin(columns: &[Column]) -> Result<Self, Error> {
        let data_type = |kind: &Kind| match kind {
            Kind::Text => DataType::Utf8,
            Kind::Texts => DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Number => DataType::Float64,
            Kind::Whole => DataType::Int64,
        };
        let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(*name, data_type(kind), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let decoder = arrow::json::ReaderBuilder::new(Arc::clone(&schema))
            // A piece of rows is one batch, whatever its length.
            .with_batch_size(usize::from(u16::MAX))
            .build_decoder()
            .map_err(Error::internal)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let written = Written::default();
        let writer = ArrowWriter::try_new(written.clone(), schema, Some(properties)).map_err(Error::internal)?;
        Ok(Self { decoder, writer, written })
    }

    fn rows(&mut self, records: &[Record]) -> Result<Vec<u8>, Error> {
        self.decoder.serialize(records).map_err(Error::internal)?;
        if let Some(batch) = self.decoder.flush().map_err(Error::internal)? {
            self.writer.write(&batch).map_err(Error::internal)?;
        }
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
