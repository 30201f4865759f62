//! The promises of [`RawPosts`].

use crate::posts::{batch, enriched, noon};
use domain::{EnrichedPost, PostId, RawPosts, RawSelection, TimeRange};

fn post(offset: u64, native_id: &str, minutes: i64) -> EnrichedPost {
    let mut post = EnrichedPost { offset, ..enriched(native_id, "en hello") };
    post.post.occurred_at = noon() + chrono::TimeDelta::minutes(minutes);
    post.post.payload_format = Some("simple".into());
    post
}

/// Runs the suite; see [`crate::conformance`].
pub async fn raw_posts<T: RawPosts>(make: impl AsyncFn() -> T) {
    let lake = make().await;
    lake.commit(batch(vec![post(1, "1", 0), post(2, "2", 10), post(3, "3", 2_000)])).await.expect("commit");
    let read = async |selection: RawSelection| {
        let (mut after, mut ids) = (String::new(), Vec::new());
        loop {
            let page = lake.raw_posts(&selection, &after, 2).await.expect("read");
            let Some(last) = page.last() else { break };
            after.clone_from(&last.post_id);
            ids.extend(page.iter().map(|raw| raw.post_id.clone()));
        }
        assert_eq!(lake.count_raw(&selection).await.expect("count"), ids.len() as u64, "{selection:?}");
        ids
    };
    let hour = TimeRange { from: noon(), to: noon() + chrono::TimeDelta::hours(1) };
    assert_eq!(read(RawSelection::Range(hour)).await, ["x:1", "x:2"], "by id");
    let until_the_second = TimeRange { to: noon() + chrono::TimeDelta::minutes(10), ..hour };
    assert_eq!(read(RawSelection::Range(until_the_second)).await, ["x:1"], "the end of a range is not in it");
    assert_eq!(read(RawSelection::Days(vec![noon().date_naive()])).await, ["x:1", "x:2"]);
    let ids = ["x:3", "x:1", "x:unknown"].map(|id| PostId::parse(id).expect("an id"));
    assert_eq!(read(RawSelection::Ids(ids.to_vec())).await, ["x:1", "x:3"]);
    for nothing in [RawSelection::Days(Vec::new()), RawSelection::Ids(Vec::new()), RawSelection::NotEnriched] {
        assert!(read(nothing).await.is_empty());
    }
    comes_back_as_received(&lake).await;
}

async fn comes_back_as_received(lake: &impl RawPosts) {
    let stored = post(1, "1", 0).post;
    let selection = RawSelection::Ids(vec![stored.id.clone()]);
    let raw = lake.raw_posts(&selection, "", 1).await.expect("read").remove(0);
    assert_eq!((raw.source, raw.platform, raw.received_at), (stored.source.0, stored.platform, stored.received_at));
    assert_eq!((raw.payload, raw.payload_format), (stored.payload, stored.payload_format));
    assert_eq!(raw.provenance, stored.provenance.as_str());
    let count = lake.count_raw(&selection).await.expect("count");
    lake.rewrite(vec![post(1, "1", 0)]).await.expect("rewrite");
    assert_eq!(lake.count_raw(&selection).await.expect("count"), count, "rewriting adds nothing");
}
