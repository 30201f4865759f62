//! The words of the house and the ports that join its rooms: posts, topics, what was understood, places, series,
//! anomalies, alerts, and the traits behind which disks, networks and models stand. No I/O, no runtime, no clock.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod alert;
pub mod analytics;
pub mod anomaly;
pub mod backfill;
pub mod categories;
pub mod clock;
pub mod enriched;
pub mod enrichment;
pub mod error;
pub mod fault;
pub mod health;
pub mod history;
pub mod ids;
mod imports;
pub mod markup;
pub mod network;
pub mod operations;
pub mod place;
pub mod platform;
pub mod ports;
pub mod post;
pub mod quiet;
pub mod raw;
pub mod series;
pub mod sources;
pub mod topic;

pub use alert::{Alert, AlertRule, AlertState, Condition, Notification};
pub use analytics::{Analytics, Dimension, Selection, TimeRange};
pub use anomaly::{Anomaly, AnomalyListener, Driver, ExamplePost, Severity, Slice, driver_name};
pub use backfill::{Backfill, Backfills};
pub use categories::{CategoryDefinition, check_categories};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp, seconds};
pub use enriched::EnrichedPost;
pub use enrichment::{
    Category, EmotionScore, Enrichment, Entity, EntityKind, KeyPhrase, Language, Sentiment, SentimentLabel,
    macrolanguage, varieties,
};
pub use error::{Error, ErrorKind, Result};
pub use fault::{Fault, check_name};
pub use health::{Health, Problem};
pub use history::{
    Evidence, EvidencePost, IncidentScope, PostInWindow, RuleHistory, WatchHistory, WindowCount, Windows,
};
pub use ids::{PartitionId, PostId, SourceId};
pub use imports::{FileImport, FileImports, ImportOrder, ImportState};
pub use network::{AddressPolicy, Network};
pub use operations::{
    AlertDesk, AlertNow, Forgotten, Identity, IdentityProvider, PostAdmin, PushError, PushIntake, PushOutcome,
    PushStatus, Replayed, SignInAttempt, SourceStatus, SqlAnswer, SqlRunner, SystemInfo, SystemReport, TableReport,
    ToForget, Undelivered,
};
pub use place::{Coordinates, Place, PlaceFrom, PlaceKind};
pub use ports::*;
pub use post::{Author, Deletion, Post, Provenance, Record};
pub use quiet::QuietHours;
pub use raw::{Origin, PayloadRecords, RawPost, RawPosts, RawSelection, ReadPayload};
pub use series::{ALL_POSTS, SeriesCounts, SeriesKey, WATCHED_DIMENSIONS};
pub use sources::{
    AddedSource, FieldKind, SamplePost, SourceError, SourceField, SourceKind, SourceOrder, SourceSettings, SourceTrial,
};
pub use topic::Topic;
