//! A service account of Google: its key signs a request for an access token, which is good for an hour (RFC 7523). The
//! signature is made by the library that also makes our TLS connections.

use crate::error::{Error, Result};
use crate::kit::api::Api;
use crate::kit::failure::Failure;
use chrono::TimeDelta;
use domain::Timestamp;
use reqwest::header::HeaderMap;
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const SCOPE: &str = "https://www.googleapis.com/auth/androidpublisher";
const HEADER: &str = r#"{"alg":"RS256","typ":"JWT"}"#;
/// Longest time that Google lets a request be good for.
const GOOD_FOR_S: i64 = 3_600;
/// A token is replaced so long before its end.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

/// An account that can sign.
pub(super) struct Account {
    email: String,
    key: Arc<dyn SigningKey>,
    token_url: Url,
    api: Api,
}

/// The file of a service account, as far as we need it.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    token_uri: Url,
}

/// An access token.
pub(super) struct Token {
    pub(super) value: SecretString,
    pub(super) good_until: Timestamp,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: i64,
}

impl Account {
    /// `file`: the JSON of a key as the Google Cloud console gives it.
    pub(super) fn new(file: &SecretString, timeout: Duration) -> Result<Self> {
        // The parser's own words would quote the key.
        let wrong = |what: &str| Error::Setting(format!("the key of the service account {what}; create one as JSON"));
        let file: KeyFile = serde_json::from_str(file.expose_secret())
            .map_err(|_| wrong("is not a JSON file with client_email, private_key and token_uri"))?;
        let key = PrivateKeyDer::from_pem_slice(file.private_key.as_bytes())
            .map_err(|_| wrong("holds no private key in the form PEM"))?;
        let key = any_supported_type(&key).map_err(|_| wrong("holds a private key of an unknown kind"))?;
        if key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_none() {
            return Err(wrong("holds no RSA key"));
        }
        let api = Api::new(file.token_uri.clone(), HeaderMap::new(), timeout)?;
        Ok(Self { email: file.client_email, key, token_url: file.token_uri, api })
    }

    /// Asks for a token.
    pub(super) async fn token(&self, now: Timestamp) -> Result<Token, Failure> {
        let assertion = self.assertion(now)?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &*assertion)];
        let answer: Answer = self.api.post_form(&self.token_url, &form, now).await?;
        let seconds = TimeDelta::seconds(answer.expires_in.clamp(0, GOOD_FOR_S));
        Ok(Token { value: SecretString::from(answer.access_token), good_until: now + seconds - MARGIN })
    }

    /// The signed request.
    fn assertion(&self, now: Timestamp) -> Result<String, Failure> {
        let issued = now.timestamp();
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_url, "iat": issued, "exp": issued + GOOD_FOR_S,
        });
        let message = format!("{}.{}", base64url(HEADER.as_bytes()), base64url(claims.to_string().as_bytes()));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signature = signer.and_then(|signer| signer.sign(message.as_bytes()).ok());
        let signature = signature.ok_or_else(|| Failure::Refused {
            message: "the key of the service account can't sign".into(),
            advice: "create a new key".into(),
        })?;
        Ok(format!("{message}.{}", base64url(&signature)))
    }
}

/// Base64 with the letters that addresses allow, without padding (RFC 4648).
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..=chunk.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * letter) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that was made for this test.
    fn account() -> Account {
        let key = include_str!("../../tests/fixtures/service-account-test-key.b64");
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n");
        let file = json!({"client_email": "a@b.example", "private_key": pem, "token_uri": "https://b.example/token"});
        Account::new(&SecretString::from(file.to_string()), Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn a_request_for_a_token_is_signed() {
        let account = account();
        let assertion = account.assertion("2026-11-01T10:00:00Z".parse().unwrap()).unwrap();
        let (message, signature) = assertion.rsplit_once('.').unwrap();
        assert!(message.starts_with("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."), "the header that Google's examples have");
        let signed = account.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).unwrap().sign(message.as_bytes());
        let signed = signed.unwrap();
        assert_eq!(base64url(&signed), signature);
        // The public key stands behind 24 bytes that say what it is.
        let public = account.key.public_key().unwrap().as_ref()[24..].to_vec();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let known = provider.signature_verification_algorithms.mapping.iter();
        let algorithms =
            known.filter(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).flat_map(|(_, all)| *all);
        let verified = |message: &[u8]| {
            algorithms.clone().any(|algorithm| algorithm.verify_signature(&public, message, &signed).is_ok())
        };
        assert!(verified(message.as_bytes()) && !verified(b"another message"));
    }

    #[test]
    fn bytes_become_letters() {
        for (bytes, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xff, 0xfe]), "-__-");
    }

    #[test]
    fn a_wrong_key_is_not_quoted() {
        let error = |file: &str| {
            let made = Account::new(&SecretString::from(file), Duration::from_secs(1));
            made.err().map(|error| error.to_string()).unwrap_or_default()
        };
        let pem = r#"{"client_email":"a","private_key":"hidden words","token_uri":"https://a.example"}"#;
        for file in ["hidden words", r#"{"private_key":"hidden words"}"#, pem] {
            let error = error(file);
            assert!(error.contains("service account") && !error.contains("hidden"), "{error}");
        }
    }
}
