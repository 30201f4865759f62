//! Tables whose posts go to streams as well. A batch goes to the streams first: what the lake has, every stream has got, at
//! least once. A stream that can't take it holds the batch up, as the lake does.

use async_trait::async_trait;
use domain::{Alert, Anomaly, EnrichedBatch, EnrichedPost, Offset, PartitionId, PostSink, PostTable, Result};
use std::sync::Arc;

/// A table with streams beside it.
pub struct Copied {
    pub table: Arc<dyn PostTable>,
    pub sinks: Vec<Arc<dyn PostSink>>,
}

#[async_trait]
impl PostTable for Copied {
    async fn commit(&self, batch: EnrichedBatch) -> Result<()> {
        for sink in &self.sinks {
            sink.put(&batch.posts).await?;
        }
        self.table.commit(batch).await
    }

    async fn committed(&self, partition: &PartitionId) -> Result<Option<Offset>> {
        self.table.committed(partition).await
    }

    async fn rewrite(&self, posts: Vec<EnrichedPost>) -> Result<()> {
        self.table.rewrite(posts).await
    }

    async fn put_anomalies(&self, anomalies: Vec<Anomaly>) -> Result<()> {
        self.table.put_anomalies(anomalies).await
    }

    async fn put_alerts(&self, alerts: Vec<Alert>) -> Result<()> {
        self.table.put_alerts(alerts).await
    }
}
