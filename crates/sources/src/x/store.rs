//! Posts of X into the queue, then the cursor and the bill.

use super::cursor::{Cursor, Seen};
use super::payload::FORMAT;
use crate::connector::Context;
use crate::kit::ingest;
use crate::record::{Origin, Parsed};
use domain::Provenance;

/// Stores what was read from the stream or the search.
pub(super) async fn store(context: &Context, parsed: Parsed, origin: &Origin, cursor: &Cursor) -> domain::Result<()> {
    ingest::reject_patiently(&*context.queue, origin, FORMAT, parsed.rejections).await?;
    if parsed.records.is_empty() {
        return Ok(());
    }
    let seen = Seen::of(&parsed.records);
    let counts = ingest::append(&*context.queue, &origin.source, parsed.records).await?;
    let billed = counts.stored.min(seen.posts);
    cursor.moved(&seen, billed, origin.received_at).await?;
    context.status.read(seen.posts, billed, origin.received_at, origin.provenance == Provenance::Stream);
    metrics::counter!("overheard_x_posts_read_total").increment(seen.posts);
    metrics::counter!("overheard_x_posts_billed_total").increment(billed);
    Ok(())
}
