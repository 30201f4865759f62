//! Secrets at AWS: read when they are needed and remembered for some minutes, so that a new value is seen without a
//! restart. While AWS can't be asked, the former value is good.

use crate::clock::clock;
use anyhow::{Context as _, Result, anyhow};
use aws::{Client, Credentials, Service, Settings, secrets};
use domain::{Error, ErrorKind};
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a value is remembered: a call costs a little.
const KEPT: Duration = Duration::from_secs(240);
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What was read, by name.
static KNOWN: LazyLock<Mutex<HashMap<String, (Instant, SecretString)>>> = LazyLock::new(Mutex::default);

/// The value of `ssm:NAME` or `secret:NAME`.
pub(super) fn read(name: &str) -> Result<SecretString> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let former = known().get(name).cloned();
    if let Some((at, value)) = &former
        && at.elapsed() < KEPT
    {
        return Ok(value.clone());
    }
    let value = match (fetch_apart(name.to_owned()), former) {
        (Ok(value), _) => value,
        (Err(error), Some((_, value))) => {
            tracing::warn!(
                name,
                error = format!("{error:#}"),
                "a secret can't be read again; its former value is used"
            );
            value
        }
        (Err(error), None) => return Err(error),
    };
    known().insert(name.to_owned(), (Instant::now(), value.clone()));
    Ok(value)
}

/// On a thread of its own: the caller's may belong to a runtime, which must not wait.
fn fetch_apart(name: String) -> Result<SecretString> {
    let told = format!("read {name}");
    let fetching = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(fetch(&name))?)
    });
    let fetched: Result<SecretString> = fetching.join().map_err(|_| anyhow!("the thread that reads it failed"))?;
    fetched.context(told)
}

async fn fetch(name: &str) -> domain::Result<SecretString> {
    let http = reqwest::Client::builder().timeout(ANSWER_MAX).build();
    let http = http.map_err(|error| Error::caused(ErrorKind::Stop, "set up calls to AWS", error))?;
    let settings = Settings { credentials: Some(Credentials::standard()?), ..Settings::default() };
    let client = |service| Client::new(service, &settings, http.clone(), clock());
    match name.split_once(':') {
        Some(("ssm", name)) => secrets::parameter(&client(Service::Ssm)?, name).await,
        Some(("secret", name)) => secrets::secret(&client(Service::SecretsManager)?, name).await,
        _ => Err(Error::stop(format!("{name:?} names no secret at AWS"))),
    }
}
