//! The connectors: what brings posts from outside into the queue. Each is one folder. They share how posts are stored and
//! connections are held ([`kit`]), how records are read ([`record`], [`formats`]) and what the program asks of them
//! ([`connector`]); the kinds that can be configured are listed in [`KINDS`].
//!
//! Relies on the ports of `domain` alone. Never enriches a text and never drops a post silently: what can't be read goes
//! to the dead letters with its reason.

#![warn(clippy::print_stdout, clippy::unwrap_used)]

pub mod appstore;
pub mod bluesky;
pub mod connector;
pub mod discourse;
mod error;
pub mod feed;
pub mod file;
pub mod formats;
pub mod github;
pub mod googleplay;
pub mod hackernews;
pub mod kit;
pub mod mastodon;
pub mod push;
pub mod record;
pub mod redact;
pub mod registry;
pub mod sample;
pub mod stackexchange;
pub mod x;
pub mod youtube;

/// The kinds of sources, by the name in `[[sources]] kind = "..."`. A new connector is one line here.
pub const KINDS: &[Kind] = &[
    Kind::of::<x::Settings>("x"),
    Kind::of::<feed::Settings>("feed"),
    Kind::of::<bluesky::Settings>("bluesky"),
    Kind::of::<mastodon::Settings>("mastodon"),
    Kind::of::<hackernews::Settings>("hackernews"),
    Kind::of::<discourse::Settings>("discourse"),
    Kind::of::<github::Settings>("github"),
    Kind::of::<stackexchange::Settings>("stackexchange"),
    Kind::of::<youtube::Settings>("youtube"),
    Kind::of::<appstore::Settings>("appstore"),
    Kind::of::<googleplay::Settings>("googleplay"),
];

/// The formats of calls that platforms make in their own form.
pub(crate) const PUSHED: &[record::Format] = &push::FORMATS;

pub use connector::{Check, Connector, Context, keep_running};
pub use error::{Error, Result};
pub use file::{FileConfig, FileSource};
pub use push::PushSource;
pub use record::{Origin, Rejection};
pub use registry::Kind;
