//! Settings whose value is one of a few words.

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize as _, Deserializer};

/// Reads a variant of an enum by its name. The error of another name lists them all, which that of the crate `config`
/// does not.
pub(super) fn word<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let word: StringDeserializer<D::Error> = String::deserialize(deserializer)?.into_deserializer();
    T::deserialize(word)
}

/// The same where the setting may be left out.
pub(super) fn optional_word<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}
