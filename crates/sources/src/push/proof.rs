//! How a call proves that it comes from the platform: a signature over the body, or a secret. Compared in constant time;
//! where a platform signs the time as well, an old call is refused. Relies on `aws-lc-rs`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta};
use domain::Timestamp;

/// How far the signed time may lie from our clock.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Headers of a call, by names in small letters.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(pub &'a [(String, String)]);

impl<'a> Headers<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What proves a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    /// HMAC with SHA-256 in hexadecimal digits behind `sha256=`.
    Sha256Hex { header: &'static str },
    /// The same in base64 behind `sha256=`.
    Sha256Base64 { header: &'static str },
    /// HMAC with SHA-1 in hexadecimal digits behind `sha1=`.
    Sha1Hex { header: &'static str },
    /// HMAC with SHA-256 in base64, over a time of another header and the body.
    Timed { header: &'static str, time: &'static str },
    /// The secret itself.
    Secret { header: &'static str },
    /// The secret as a bearer token, or as the password of HTTP's basic authentication.
    Token,
}

/// What is wrong with a call that does not prove where it comes from.
pub(super) type Refusal = String;

impl Proof {
    /// Refuses what can be refused before the body is read.
    pub(super) fn check_headers(self, headers: Headers<'_>, secret: &str, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::Secret { .. } | Self::Token => self.check(headers, &[], secret, now),
            Self::Timed { header, time } => {
                self.signature(headers, header)?;
                in_time(headers, time, now).map(drop)
            }
            Self::Sha256Hex { header } | Self::Sha256Base64 { header } | Self::Sha1Hex { header } => {
                self.signature(headers, header).map(drop)
            }
        }
    }

    /// Whether the call comes from who knows the secret.
    pub(super) fn check(self, headers: Headers<'_>, body: &[u8], secret: &str, now: Timestamp) -> Result<(), Refusal> {
        let wrong = || "the signature does not fit the body and the configured secret".to_owned();
        let verify = |algorithm, header, signed: &[&[u8]]| {
            let signature = self.signature(headers, header)?;
            let key = hmac::Key::new(algorithm, secret.as_bytes());
            hmac::verify(&key, &signed.concat(), &signature).map_err(|_| wrong())
        };
        match self {
            Self::Sha256Hex { header } | Self::Sha256Base64 { header } => verify(hmac::HMAC_SHA256, header, &[body]),
            Self::Sha1Hex { header } => verify(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, header, &[body]),
            Self::Timed { header, time } => {
                let written = in_time(headers, time, now)?;
                verify(hmac::HMAC_SHA256, header, &[written.as_bytes(), body])
            }
            Self::Secret { header } => same(headers.get(header).unwrap_or_default(), secret),
            Self::Token => same(&token(headers).unwrap_or_default(), secret),
        }
    }

    fn signature(self, headers: Headers<'_>, header: &str) -> Result<Vec<u8>, Refusal> {
        let text = headers.get(header).ok_or_else(|| format!("the call is not signed: it has no header {header}"))?;
        let read = match self {
            Self::Sha256Hex { .. } => text.strip_prefix("sha256=").and_then(of_hex),
            Self::Sha1Hex { .. } => text.strip_prefix("sha1=").and_then(of_hex),
            Self::Sha256Base64 { .. } => text.strip_prefix("sha256=").and_then(|text| STANDARD.decode(text).ok()),
            _ => STANDARD.decode(text).ok(),
        };
        read.ok_or_else(|| format!("the header {header} is no signature"))
    }
}

/// The signed time as it is written, if it is close to our clock.
fn in_time<'a>(headers: Headers<'a>, header: &str, now: Timestamp) -> Result<&'a str, Refusal> {
    let text = headers.get(header).ok_or_else(|| format!("the call has no header {header}"))?;
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| format!("the header {header} is no time"))?;
    let apart = (at.to_utc() - now).abs();
    match apart <= WINDOW {
        true => Ok(text),
        false => Err(format!("the call was signed at {text}, more than {} minutes from now", WINDOW.num_minutes())),
    }
}

fn same(told: &str, secret: &str) -> Result<(), Refusal> {
    let equal = verify_slices_are_equal(told.as_bytes(), secret.as_bytes());
    equal.map_err(|_| "the secret of the call is missing or not the configured one".into())
}

fn token(headers: Headers<'_>) -> Option<String> {
    let (scheme, value) = headers.get("authorization")?.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(value.trim().to_owned()),
        "basic" => {
            let pair = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
            pair.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

fn of_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() % 2 == 1 {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
