//! Credentials by the standard chain: the environment, a profile of the shared files, web identity, the role of the
//! container, the role of the machine (IMDSv2). All but the first are looked at again, so that keys are replaced without a
//! restart. The object store that the lake uses brings the chain; profiles are added here.

use crate::profile::Profile;
use async_trait::async_trait;
use domain::{Error, ErrorKind, Result};
use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::{BackoffConfig, ClientOptions, CredentialProvider, RetryConfig, StaticCredentialProvider};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for whoever hands out credentials.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where keys come from.
#[derive(Clone)]
pub struct Credentials(AwsCredentialProvider);

/// Keys, for one signature.
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: SecretString,
    pub(crate) session_token: Option<SecretString>,
}

impl Credentials {
    /// The standard chain.
    ///
    /// # Errors
    /// Kind `Stop` when AWS_PROFILE names a profile that can't be used, or no client can be made.
    pub fn standard() -> Result<Self> {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !is_set("AWS_ACCESS_KEY_ID")
            && let Some(profile) = Profile::with_keys()?
        {
            return Ok(Self(Arc::new(OfProfile(profile))));
        }
        let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: ANSWER_MAX };
        // The builder makes a store; its bucket is never asked.
        let store = AmazonS3Builder::from_env().with_bucket_name("none").with_retry(retry);
        let store = store.with_client_options(ClientOptions::new().with_timeout(ANSWER_MAX).with_allow_http(true));
        let store =
            store.build().map_err(|error| Error::caused(ErrorKind::Stop, "set up the credentials of AWS", error))?;
        Ok(Self(store.credentials().clone()))
    }

    /// These keys for ever.
    pub fn fixed(access_key_id: &str, secret_access_key: &SecretString, session_token: Option<&SecretString>) -> Self {
        Self(Arc::new(StaticCredentialProvider::new(AwsCredential {
            key_id: access_key_id.to_owned(),
            secret_key: secret_access_key.expose_secret().to_owned(),
            token: session_token.map(|token| token.expose_secret().to_owned()),
        })))
    }

    /// The keys that are valid now.
    pub(crate) async fn keys(&self) -> Result<Keys> {
        let advice = "find no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the \
                      machine or container a role";
        let found = self.0.get_credential().await.map_err(|error| Error::caused(ErrorKind::Retry, advice, error))?;
        Ok(Keys {
            access_key_id: found.key_id.clone(),
            secret_access_key: found.secret_key.clone().into(),
            session_token: found.token.clone().map(Into::into),
        })
    }

    /// For an object store.
    pub(crate) fn provider(&self) -> AwsCredentialProvider {
        self.0.clone()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials")
    }
}

/// The keys of a profile, read each time: whoever replaces them changes the file.
#[derive(Debug)]
struct OfProfile(Profile);

#[async_trait]
impl CredentialProvider for OfProfile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        match self.0.keys() {
            Ok(keys) => Ok(Arc::new(keys)),
            Err(error) => Err(object_store::Error::Generic { store: "AWS profile", source: error.into() }),
        }
    }
}
