//! Signature Version 4 of AWS for a POST without a query string (AWS General Reference, "Signing AWS API requests").

use crate::credentials::Keys;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use url::Url;

/// What is called: a service in a region, at an address.
pub(crate) struct Target {
    pub(crate) service: &'static str,
    pub(crate) region: String,
    pub(crate) url: Url,
}

/// The headers of a signed POST of `body`: the given ones (names in lower case, `content-type` among them), the time, the
/// session's token where there is one, and `authorization`.
pub(crate) fn headers(
    keys: &Keys,
    target: &Target,
    given: Vec<(&'static str, String)>,
    body: &[u8],
    now: DateTime<Utc>,
) -> Vec<(&'static str, String)> {
    let date = now.format("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = given;
    headers.push(("x-amz-date", date.clone()));
    if let Some(token) = &keys.session_token {
        headers.push(("x-amz-security-token", token.expose_secret().to_owned()));
    }
    let mut signed = headers.clone();
    signed.push(("host", host(&target.url)));
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let canonical = format!("POST\n{}\n\n{lines}\n{names}\n{}", target.url.path(), hex(&Sha256::digest(body)));
    headers.push(("authorization", authorization(keys, target, &date, &names, &canonical)));
    headers
}

/// As the client will say it: with its port, where it isn't the scheme's own.
fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// Signs a canonical request: its digest under a key derived from day, region and service.
fn authorization(keys: &Keys, target: &Target, date: &str, names: &str, canonical: &str) -> String {
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/{}/aws4_request", target.region, target.service);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{}", keys.secret_access_key.expose_secret()).into_bytes();
    for part in [day, &target.region, target.service, "aws4_request"] {
        key = mac(&key, part);
    }
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        keys.access_key_id,
        hex(&mac(&key, &text))
    )
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(session_token: Option<&str>) -> Keys {
        Keys {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: session_token.map(Into::into),
        }
    }

    fn target(service: &'static str, url: &str) -> Target {
        Target { service, region: "us-east-1".into(), url: url.parse().unwrap() }
    }

    /// The worked example of AWS's manual: listing the users of an account.
    #[test]
    fn the_published_example_gets_its_published_signature() {
        let names = "content-type;host;x-amz-date";
        let canonical = format!(
            "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\n\
             host:iam.amazonaws.com\nx-amz-date:20150830T123600Z\n\n{names}\n{}",
            hex(&Sha256::digest(""))
        );
        let target = target("iam", "https://iam.amazonaws.com/");
        let header = authorization(&keys(None), &target, "20150830T123600Z", names, &canonical);
        assert_eq!(
            header,
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    /// AWS's test suite of Signature Version 4, `post-vanilla`.
    #[test]
    fn a_post_gets_the_signature_of_the_test_suite() {
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let target = target("service", "https://example.amazonaws.com/");
        let headers = headers(&keys(None), &target, Vec::new(), b"", now);
        let (name, value) = headers.last().unwrap();
        assert_eq!(*name, "authorization");
        assert!(
            value.ends_with(
                "SignedHeaders=host;x-amz-date, \
                 Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
            ),
            "{value}"
        );
    }

    #[test]
    fn every_header_is_signed_in_order_and_the_port_belongs_to_the_host() {
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        let target = target("translate", "http://127.0.0.1:4010/");
        let given =
            vec![("x-amz-target", "Service.Action".to_owned()), ("content-type", "application/json".to_owned())];
        let headers = headers(&keys(Some("token")), &target, given, b"{}", now);
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["x-amz-target", "content-type", "x-amz-date", "x-amz-security-token", "authorization"]);
        let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target,";
        assert!(headers[4].1.contains(signed), "{}", headers[4].1);
        assert_eq!(host(&target.url), "127.0.0.1:4010");
    }
}
