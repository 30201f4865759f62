//! Versions of things that platforms list again and again: a changed text is an edit and becomes a post of its own.

use serde::{Deserialize, Serialize};

/// Versions of one thing that are followed: text that changes with each request is not an edit.
pub(crate) const VERSIONS_MAX: u32 = 10;

/// The newest version of a listed thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// The native id of its post. The first version has the id of the thing.
    pub(crate) post: String,
    hash: String,
    count: u32,
}

impl Version {
    /// The version of the thing `id` whose text has this hash, and whether it is new.
    pub(crate) fn next(known: Option<&Self>, id: &str, hash: &str) -> (Self, bool) {
        let Some(known) = known else {
            return (Self { post: id.to_owned(), hash: hash.to_owned(), count: 1 }, true);
        };
        if known.hash == hash || known.count >= VERSIONS_MAX {
            return (known.clone(), false);
        }
        // With its number: a text that is changed back has the hash of a version that was replaced.
        let count = known.count + 1;
        (Self { post: format!("{id}#{count}-{hash}"), hash: hash.to_owned(), count }, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edit_has_an_id_of_its_own() {
        let (first, is_new) = Version::next(None, "a", "one");
        assert!(is_new && first.post == "a");
        assert_eq!(Version::next(Some(&first), "a", "one"), (first.clone(), false));
        let (second, is_new) = Version::next(Some(&first), "a", "two");
        assert!(is_new && second.post == "a#2-two");
        let (back, _) = Version::next(Some(&second), "a", "one");
        assert_eq!(back.post, "a#3-one", "the queue refuses the id of a version that was replaced");
        let worn = Version { count: VERSIONS_MAX, ..back };
        assert_eq!(Version::next(Some(&worn), "a", "four"), (worn.clone(), false), "a text that changes all the time");
    }
}
