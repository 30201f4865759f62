//! How a bucket is reached: address, credentials, limits.
//!
//! Credentials that are not configured come from where the provider's tools look: for S3 the variables `AWS_*`, web
//! identity, the container's or the machine's role; for Google Cloud `GOOGLE_*` and the metadata server; for Azure
//! `AZURE_*` and managed identity.

use crate::error::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Debug, Formatter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Longest time that a request is tried again for, by the store's client itself.
const RETRIED_FOR: Duration = Duration::from_secs(60);

/// How a bucket is reached.
#[derive(Clone, Serialize, Deserialize)]
pub struct BucketConfig {
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub url: String,
    /// Address of the service; empty: the provider's own.
    pub endpoint: String,
    /// Region of the bucket; empty: as the environment says. S3 only.
    pub region: String,
    /// S3: id and secret of the access key. Azure: account and its key. Empty: the provider's usual chain.
    pub access_key: String,
    pub secret: String,
    /// Allow requests without TLS to an endpoint that is not on this machine.
    pub allow_http: bool,
    /// Longest time of one request.
    pub timeout: Duration,
    /// Folder for copies of data files.
    pub cache: PathBuf,
    /// Size of these copies, in bytes.
    pub cache_bytes_max: u64,
}

impl Default for BucketConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            endpoint: String::new(),
            region: String::new(),
            access_key: String::new(),
            secret: String::new(),
            allow_http: false,
            timeout: Duration::from_secs(60),
            cache: PathBuf::new(),
            cache_bytes_max: 4 << 30,
        }
    }
}

impl Debug for BucketConfig {
    /// Without the credentials.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("BucketConfig")
            .field("url", &self.url)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl BucketConfig {
    /// The address, without a slash at the end, and the prefix in the bucket.
    pub(crate) fn parsed(&self) -> Result<(Url, Path)> {
        let wrong = || Error::Address(self.url.clone());
        let url = Url::parse(self.url.trim_end_matches('/')).map_err(|_| wrong())?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !is_plain || url.host_str().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        let prefix = Path::from_url_path(url.path()).map_err(|_| wrong())?;
        Ok((url, prefix))
    }

    /// The store; its root is the bucket's.
    pub(crate) fn connect(&self) -> Result<Arc<dyn ObjectStore>> {
        let (url, _) = self.parsed()?;
        self.refuse_plain_http()?;
        let failed =
            |source| Error::Store { doing: "connect to", path: self.url.clone().into(), source: Box::new(source) };
        let bucket = url.host_str().unwrap_or_default();
        match url.scheme() {
            "s3" => self.s3(bucket).build().map(|store| Arc::new(store) as _).map_err(failed),
            "gs" => self.google(bucket).build().map(|store| Arc::new(store) as _).map_err(failed),
            "az" => self.azure(bucket).build().map(|store| Arc::new(store) as _).map_err(failed),
            _ => Err(Error::Address(self.url.clone())),
        }
    }

    fn s3(&self, bucket: &str) -> AmazonS3Builder {
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry());
        builder = builder.with_client_options(self.client()).with_allow_http(self.plain_http());
        if !self.endpoint.is_empty() {
            builder = builder.with_endpoint(&self.endpoint);
        }
        if !self.region.is_empty() {
            builder = builder.with_region(&self.region);
        }
        if !self.access_key.is_empty() {
            builder = builder.with_access_key_id(&self.access_key).with_secret_access_key(&self.secret);
        }
        builder
    }

    fn google(&self, bucket: &str) -> GoogleCloudStorageBuilder {
        let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry());
        let builder = builder.with_client_options(self.client());
        if self.endpoint.is_empty() { builder } else { builder.with_base_url(&self.endpoint) }
    }

    fn azure(&self, container: &str) -> MicrosoftAzureBuilder {
        let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container).with_retry(retry());
        builder = builder.with_client_options(self.client()).with_allow_http(self.plain_http());
        if !self.endpoint.is_empty() {
            builder = builder.with_endpoint(self.endpoint.clone());
        }
        if !self.access_key.is_empty() {
            builder = builder.with_account(&self.access_key).with_access_key(&self.secret);
        }
        builder
    }

    fn client(&self) -> ClientOptions {
        ClientOptions::new().with_timeout(self.timeout).with_allow_http(self.plain_http())
    }

    fn plain_http(&self) -> bool {
        self.endpoint.starts_with("http://")
    }

    /// Requests without TLS go to this machine only, unless the settings allow more.
    fn refuse_plain_http(&self) -> Result<()> {
        let is_local = Url::parse(&self.endpoint).is_ok_and(|url| match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        });
        if self.plain_http() && !is_local && !self.allow_http {
            return Err(Error::PlainHttp(self.endpoint.clone()));
        }
        Ok(())
    }
}

fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 8, retry_timeout: RETRIED_FOR }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, endpoint: &str) -> BucketConfig {
        BucketConfig {
            url: url.into(),
            endpoint: endpoint.into(),
            region: "eu-central-1".into(),
            ..BucketConfig::default()
        }
    }

    #[test]
    fn an_address_names_a_bucket_and_a_prefix() {
        let (url, prefix) = of("s3://posts/team/lake/", "").parsed().unwrap();
        assert_eq!((url.as_str(), prefix.as_ref()), ("s3://posts/team/lake", "team/lake"));
        assert_eq!(of("gs://posts", "").parsed().unwrap().1.as_ref(), "");
        for wrong in ["", "s3://", "posts/lake", "s3://key@posts/lake", "s3://posts/lake?versionId=1"] {
            assert!(matches!(of(wrong, "").parsed(), Err(Error::Address(_))), "{wrong}");
        }
        assert!(matches!(of("ftp://posts/lake", "").connect(), Err(Error::Address(_))));
    }

    #[test]
    fn requests_without_tls_stay_on_this_machine_unless_allowed() {
        for local in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "https://s3.example.org"] {
            of("s3://posts", local).connect().unwrap();
        }
        let mut far = of("s3://posts", "http://minio.example.org");
        let error = far.connect().unwrap_err().to_string();
        assert!(error.contains("lake.allow_http"), "{error}");
        far.allow_http = true;
        far.connect().unwrap();
    }

    #[test]
    fn the_secret_is_not_shown() {
        let config = BucketConfig { secret: "hush".into(), access_key: "id".into(), ..of("s3://posts", "") };
        assert!(!format!("{config:?}").contains("hush"));
    }
}
