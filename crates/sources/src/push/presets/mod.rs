//! What platforms send to us, one file each: how a call proves where it comes from, and which posts it holds. A post is
//! made of one event; the event as it came is what is kept, with the name of its format.

mod discourse;
mod firehose;
mod github;
mod intercom;
mod trustpilot;
mod typeform;
mod zendesk;

use super::proof::{Headers, Proof};
use crate::formats;
use crate::record::exports::{Converter, Item, Object, at, simple, text_at};
use crate::record::{ColumnMapping, Format, Origin, Parsed, Rejection};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

/// A platform that pushes in its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    Zendesk,
    Intercom,
    Typeform,
    Trustpilot,
    Discourse,
    Github,
    /// Amazon Data Firehose, to an HTTP endpoint.
    Firehose,
    /// Any JSON, read by a mapping.
    Json,
}

/// The formats, by which stored events are read again.
pub(crate) const FORMATS: [Format; 6] = [
    zendesk::CONVERTER.format,
    intercom::CONVERTER.format,
    typeform::CONVERTER.format,
    trustpilot::CONVERTER.format,
    discourse::CONVERTER.format,
    github::CONVERTER.format,
];

impl Preset {
    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zendesk => "zendesk",
            Self::Intercom => "intercom",
            Self::Typeform => "typeform",
            Self::Trustpilot => "trustpilot",
            Self::Discourse => "discourse",
            Self::Github => "github",
            Self::Firehose => "firehose",
            Self::Json => "json",
        }
    }

    /// A help desk: people write there what is not for the public, so that numbers and addresses are left out unless the
    /// source says otherwise.
    pub fn is_help_desk(self) -> bool {
        matches!(self, Self::Zendesk | Self::Intercom | Self::Typeform)
    }

    pub(super) fn proof(self) -> Proof {
        match self {
            Self::Zendesk => {
                let (header, time) = ("x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp");
                Proof::Timed { header, time }
            }
            Self::Intercom => Proof::Sha1Hex { header: "x-hub-signature" },
            Self::Typeform => Proof::Sha256Base64 { header: "typeform-signature" },
            Self::Discourse => Proof::Sha256Hex { header: "x-discourse-event-signature" },
            Self::Github => Proof::Sha256Hex { header: "x-hub-signature-256" },
            Self::Firehose => Proof::Secret { header: "x-amz-firehose-access-key" },
            Self::Trustpilot | Self::Json => Proof::Token,
        }
    }

    /// The format of events that were rejected, by which they are read again.
    pub(super) fn format(self) -> Option<Format> {
        let converter = match self {
            Self::Zendesk => zendesk::CONVERTER,
            Self::Intercom => intercom::CONVERTER,
            Self::Typeform => typeform::CONVERTER,
            Self::Trustpilot => trustpilot::CONVERTER,
            Self::Discourse => discourse::CONVERTER,
            Self::Github => github::CONVERTER,
            Self::Firehose | Self::Json => return None,
        };
        Some(converter.format)
    }

    /// The posts of a call whose proof was found good. An error: the body as a whole is not what the platform sends.
    pub(super) fn parse(self, call: &Call<'_>, mapping: &ColumnMapping, origin: &Origin) -> Result<Parsed, String> {
        let mut parsed = Parsed::default();
        if self == Self::Firehose {
            firehose::parse(call.body, mapping, origin, &mut parsed)?;
            return Ok(parsed);
        }
        let body: Value = serde_json::from_slice(call.body).map_err(|error| format!("malformed JSON: {error}"))?;
        match self {
            Self::Zendesk => zendesk::read(&body, origin, &mut parsed),
            Self::Intercom => intercom::CONVERTER.read_value(&body, origin, &mut parsed),
            Self::Typeform => typeform::CONVERTER.read_value(&body, origin, &mut parsed),
            Self::Trustpilot => trustpilot::read(&body, origin, &mut parsed)?,
            Self::Discourse => {
                let header = |name| call.headers.get(name).unwrap_or_default();
                let place = header("x-discourse-instance").trim_start_matches("https://").trim_start_matches("http://");
                let event = json!({ "event": header("x-discourse-event"), "place": place, "item": body });
                discourse::CONVERTER.read_value(&event, origin, &mut parsed);
            }
            Self::Github => {
                let event = json!({ "event": call.headers.get("x-github-event").unwrap_or_default(), "item": body });
                github::CONVERTER.read_value(&event, origin, &mut parsed);
            }
            Self::Json | Self::Firehose => mapped(&body, mapping, origin, &mut parsed),
        }
        Ok(parsed)
    }
}

/// A call as it came.
#[derive(Debug, Clone, Copy)]
pub(in crate::push) struct Call<'a> {
    pub(in crate::push) headers: Headers<'a>,
    pub(in crate::push) body: &'a [u8],
}

/// One post, or a list of them, by a mapping.
fn mapped(body: &Value, mapping: &ColumnMapping, origin: &Origin, parsed: &mut Parsed) {
    match body {
        Value::Array(items) => items.iter().for_each(|item| mapped(item, mapping, origin, parsed)),
        item => formats::parse_mapped(item.to_string().as_bytes(), mapping, origin, parsed),
    }
}

/// The id of a version of a thing, made of its words: an event that comes twice, or again after a newer one, is known.
fn version(id: &str, words: &str) -> String {
    format!("{id}#{:016x}", xxh3_64(words.as_bytes()))
}
