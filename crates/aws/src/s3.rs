//! Objects of S3 that others wrote.

use crate::client::Settings;
use bytes::Bytes;
use domain::{Error, ErrorKind, Result};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Reads objects of any bucket.
pub struct Objects {
    settings: Settings,
    /// By bucket.
    stores: Mutex<HashMap<String, std::sync::Arc<dyn ObjectStore>>>,
}

impl Objects {
    pub fn new(settings: Settings) -> Self {
        Self { settings, stores: Mutex::default() }
    }

    /// An object of at most `bytes_max` bytes. Kind `Reject`: there is none, or it is larger.
    pub async fn read(&self, bucket: &str, key: &str, bytes_max: u64) -> Result<Bytes> {
        let store = self.store(bucket)?;
        let path = Path::parse(key).map_err(|error| Error::caused(ErrorKind::Reject, format!("key {key:?}"), error))?;
        let failed = |error: StoreError| {
            let kind = if matches!(error, StoreError::NotFound { .. }) { ErrorKind::Reject } else { ErrorKind::Retry };
            Error::caused(kind, format!("read s3://{bucket}/{key}: {error}"), error)
        };
        let found = store.get(&path).await.map_err(failed)?;
        if found.meta.size > bytes_max {
            let size = found.meta.size;
            return Err(Error::reject(format!("s3://{bucket}/{key} has {size} bytes; {bytes_max} are read")));
        }
        found.bytes().await.map_err(failed)
    }

    fn store(&self, bucket: &str) -> Result<std::sync::Arc<dyn ObjectStore>> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(bucket) {
            return Ok(store.clone());
        }
        let Settings { region, endpoint, credentials } = &self.settings;
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if !region.is_empty() {
            builder = builder.with_region(region);
        }
        if !endpoint.is_empty() {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(credentials) = credentials {
            builder = builder.with_credentials(credentials.provider());
        }
        let store = builder.build();
        let store =
            store.map_err(|error| Error::caused(ErrorKind::Stop, format!("set up the bucket {bucket}"), error))?;
        let store: std::sync::Arc<dyn ObjectStore> = std::sync::Arc::new(store);
        stores.insert(bucket.to_owned(), store.clone());
        Ok(store)
    }
}
