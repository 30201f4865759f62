//! Editing every document that copies words of posts, whatever else it holds and also when its type can't be read.

use crate::documents::TRIES_MAX;
use crate::kind::Kind;
use domain::{Result, StateStore, Swap};
use serde_json::Value;

/// Runs `edit` on the JSON of every alert and notification, also on those that were set aside. Says how many documents
/// it changed. An edit runs again when another writer was faster.
pub async fn edit_copies(store: &dyn StateStore, edit: impl Fn(&mut Value)) -> Result<usize> {
    let mut count = 0;
    for kind in Kind::WITH_POSTS.into_iter().flat_map(|kind| [kind.to_string(), kind.unreadable()]) {
        for (key, value) in store.list(&kind).await? {
            count += usize::from(edit_one(store, &kind, &key, value, &edit).await?);
        }
    }
    Ok(count)
}

async fn edit_one(
    store: &dyn StateStore,
    kind: &str,
    key: &str,
    mut before: Value,
    edit: impl Fn(&mut Value),
) -> Result<bool> {
    for _ in 0..TRIES_MAX {
        let mut after = before.clone();
        edit(&mut after);
        if after == before {
            return Ok(false);
        }
        if store.swap(vec![Swap::new(kind, key, Some(before), Some(after))]).await? {
            return Ok(true);
        }
        match store.get(kind, key).await? {
            Some(changed) => before = changed,
            None => return Ok(false),
        }
    }
    Ok(false)
}
