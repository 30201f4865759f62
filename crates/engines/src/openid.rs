//! Sign-in with an identity provider: OpenID Connect's authorization code flow with PKCE (OpenID Connect Core 1.0 section
//! 3.1, RFC 7636).
//!
//! The ID token comes from the provider's own address over TLS, which section 3.1.3.7 accepts in place of its signature.
//! So addresses without TLS are refused, except on this machine.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Clock, Error, ErrorKind, Identity, IdentityProvider, Result, SignInAttempt};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// For one call.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read, bytes.
const ANSWER_MAX: usize = 1 << 20;
/// How long the provider's description is used.
const DESCRIPTION_AGE_MAX: Duration = Duration::from_secs(3_600);
/// How far the clocks of the provider and of this machine may differ, seconds.
const SKEW_S: f64 = 60.0;

/// A provider, and what it knows this installation as.
#[derive(Debug, Clone)]
pub struct OpenIdSettings {
    /// On the sign-in button.
    pub name: String,
    /// The provider's address, as its description and its tokens name it.
    pub issuer: Url,
    pub client_id: String,
    pub client_secret: SecretString,
    /// Asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that names people here, such as `email` or `preferred_username`.
    pub name_claim: String,
    /// The claim that lists their groups.
    pub groups_claim: String,
}

/// See the module. Asks nothing before the first sign-in.
pub struct OpenId {
    settings: OpenIdSettings,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    description: Mutex<Option<(Instant, Description)>>,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0 section 3).
#[derive(Debug, Clone, Deserialize)]
struct Description {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    id_token: String,
}

type Claims = Map<String, Value>;

impl OpenId {
    pub fn new(settings: OpenIdSettings, clock: Arc<dyn Clock>) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| Error::caused(ErrorKind::Stop, "make a client", error))?;
        check_tls(&settings.issuer)?;
        Ok(Self { settings, client, clock, description: Mutex::default() })
    }

    async fn description(&self) -> Result<Description> {
        let mut kept = self.description.lock().await;
        if let Some((_, known)) = kept.as_ref().filter(|(read, _)| read.elapsed() < DESCRIPTION_AGE_MAX) {
            return Ok(known.clone());
        }
        let issuer = self.settings.issuer.as_str().trim_end_matches('/');
        let address = format!("{issuer}/.well-known/openid-configuration");
        let read: Description = answer(self.client.get(&address), &address).await?;
        if read.issuer.trim_end_matches('/') != issuer {
            return Err(Error::reject(format!("{address} describes another provider: {}", read.issuer)));
        }
        let others = [Some(&read.authorization_endpoint), Some(&read.token_endpoint), read.userinfo_endpoint.as_ref()];
        others.into_iter().flatten().try_for_each(check_tls)?;
        *kept = Some((Instant::now(), read.clone()));
        Ok(read)
    }

    async fn tokens(&self, provider: &Description, code: &str, attempt: &SignInAttempt) -> Result<Tokens> {
        let (id, secret) = (self.settings.client_id.as_str(), self.settings.client_secret.expose_secret());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &attempt.callback),
            ("code_verifier", &attempt.verifier),
        ];
        let methods = &provider.token_endpoint_auth_methods_supported;
        let knows = |method: &str| methods.iter().any(|known| known == method);
        let request = self.client.post(provider.token_endpoint.clone());
        let request = if knows("client_secret_post") && !knows("client_secret_basic") {
            form.extend([("client_id", id), ("client_secret", secret)]);
            request
        } else {
            // RFC 6749 section 2.3.1: both are encoded as in a form.
            request.basic_auth(encoded(id), Some(encoded(secret)))
        };
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        answer(request, provider.token_endpoint.as_str()).await
    }

    /// Checks what an ID token says (OpenID Connect Core 1.0 section 3.1.3.7).
    fn checked(&self, provider: &Description, id_token: &str, attempt: &SignInAttempt) -> Result<Claims> {
        let refused = |why: &str| Error::reject(format!("the provider's ID token {why}"));
        let payload = id_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Option<Claims> = payload.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let claims = claims.ok_or_else(|| refused("can't be read"))?;
        if text(&claims, "iss") != Some(&provider.issuer) {
            return Err(refused("is of another provider"));
        }
        let client = self.settings.client_id.as_str();
        let audience = list(claims.get("aud"));
        let is_shared = audience.len() > 1 && text(&claims, "azp") != Some(client);
        if !audience.iter().any(|name| name == client) || is_shared {
            return Err(refused("is for another client"));
        }
        let now = self.clock.now().timestamp();
        if claims.get("exp").and_then(Value::as_f64).is_none_or(|end| end + SKEW_S < now as f64) {
            return Err(refused("has expired"));
        }
        if text(&claims, "nonce") != Some(&attempt.nonce) {
            return Err(refused("is of another attempt"));
        }
        Ok(claims)
    }

    /// Adds what only the user info endpoint says.
    async fn completed(&self, provider: &Description, mut claims: Claims, access_token: &str) -> Result<Claims> {
        let lacks = |name: &str| !claims.contains_key(name);
        let is_complete = !lacks(&self.settings.name_claim) && !lacks(&self.settings.groups_claim);
        if let Some(address) = provider.userinfo_endpoint.as_ref().filter(|_| !is_complete) {
            let request = self.client.get(address.clone()).bearer_auth(access_token);
            let more: Claims = answer(request, address.as_str()).await?;
            if text(&more, "sub") != text(&claims, "sub") {
                return Err(Error::reject("the provider's user info is of another person"));
            }
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(claims)
    }
}

#[async_trait]
impl IdentityProvider for OpenId {
    fn name(&self) -> &str {
        &self.settings.name
    }

    async fn page(&self, attempt: &SignInAttempt) -> Result<String> {
        let mut page = self.description().await?.authorization_endpoint;
        let scope = ["openid"].into_iter().chain(self.settings.scopes.iter().map(String::as_str)).collect::<Vec<_>>();
        page.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &attempt.callback)
            .append_pair("scope", &scope.join(" "))
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&attempt.verifier)))
            .append_pair("code_challenge_method", "S256");
        Ok(page.into())
    }

    async fn identity(&self, code: &str, attempt: &SignInAttempt) -> Result<Identity> {
        let provider = self.description().await?;
        let Tokens { access_token, id_token } = self.tokens(&provider, code, attempt).await?;
        let claims = self.checked(&provider, &id_token, attempt)?;
        let claims = self.completed(&provider, claims, &access_token).await?;
        let claim = &self.settings.name_claim;
        if claim == "email" && claims.get("email_verified").is_some_and(|value| *value != Value::Bool(true)) {
            return Err(Error::reject("the provider has not verified the e-mail address"));
        }
        let needed = |name: &str| {
            let missing = || Error::reject(format!("the provider says no {name:?} of the person"));
            text(&claims, name).filter(|value| !value.is_empty()).ok_or_else(missing)
        };
        Ok(Identity {
            subject: format!("{} {}", provider.issuer, needed("sub")?),
            name: needed(claim)?.to_owned(),
            groups: list(claims.get(&self.settings.groups_claim)),
        })
    }
}

fn check_tls(address: &Url) -> Result<()> {
    let is_local = match address.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match address.scheme() == "https" || (address.scheme() == "http" && is_local) {
        true => Ok(()),
        false => Err(Error::reject(format!("the identity provider's address {address} must begin with https://"))),
    }
}

/// The answer to a request as JSON.
async fn answer<T: DeserializeOwned>(request: RequestBuilder, address: &str) -> Result<T> {
    let unreachable = |error: reqwest::Error| {
        Error::caused(
            ErrorKind::Retry,
            format!("the identity provider can't be reached at {address}"),
            error.without_url(),
        )
    };
    let mut response = request.header("accept", "application/json").send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&part);
        if body.len() > ANSWER_MAX {
            return Err(Error::reject(format!("{address} answers more than {ANSWER_MAX} bytes")));
        }
    }
    if status != StatusCode::OK {
        // RFC 6749 section 5.2; a code that was used or is too old is the person's to try again.
        let said: Option<Value> = serde_json::from_slice(&body).ok();
        let why = said.as_ref().and_then(|said| said.get("error")?.as_str()).unwrap_or_default().to_owned();
        let kind = if status.is_server_error() { ErrorKind::Retry } else { ErrorKind::Reject };
        return Err(Error::new(kind, format!("{address} answers {status} {why}")));
    }
    serde_json::from_slice(&body).map_err(|error| Error::reject(format!("{address}: {error}")))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// A claim that is one text or several.
fn list(claim: Option<&Value>) -> Vec<String> {
    let texts = |values: &Vec<Value>| values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    match claim {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(several)) => texts(several),
        _ => Vec::new(),
    }
}
