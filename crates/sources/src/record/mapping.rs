//! Which column of a table, or which key of a JSON object, is which field: for files whose names we don't know.

use super::names::field;
use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// Which column is which field: `text=Review,created_at=Posted on,username=User`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMapping(pub(super) Vec<(String, String)>);

impl ColumnMapping {
    /// Reads `field=column` pairs, separated by commas.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, column) = pair.split_once('=').ok_or_else(|| {
                Error::Setting(format!("{pair:?} is no mapping: write field=column, as in text=Review"))
            })?;
            let (name, column) = (name.trim(), column.trim());
            if field(name).is_none() {
                return Err(Error::Setting(format!(
                    "there is no field {name:?}; the fields are id, text, created_at, time, timezone, username, \
                     author_id, user_location, followers, lat_lon, lat, lon, place, lang, url, reach, repost_of, platform"
                )));
            }
            pairs.push((name.to_owned(), column.to_owned()));
        }
        Ok(Self(pairs))
    }

    /// The JSON object with the mapped keys (`user.name` is a key within `user`, `items.0` the first of a list) under their fields' names; `None` when
    /// nothing is mapped, or it is no object. It is what is kept, so that it can be read again without the mapping.
    pub(crate) fn apply(&self, record: &[u8]) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut object: Map<String, Value> = serde_json::from_slice(record).ok()?;
        let found: Vec<(&str, Value)> =
            self.0.iter().filter_map(|(name, key)| Some((name.as_str(), lookup(&object, key)?.clone()))).collect();
        for (name, value) in found {
            let meant = field(name).map(|(field, _)| field);
            object.retain(|key, _| super::names::known(key).map(|(field, _)| field) != meant);
            object.insert(name.to_owned(), value);
        }
        Some(Value::Object(object).to_string())
    }
}

/// What stands at a path: `user.name`, `items.0.text`, also written as JSONPath (`$.items[0].text`).
fn lookup<'v>(object: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let plain = path.trim_start_matches("$.").replace('[', ".").replace(']', "");
    let key = plain.as_str();
    object.get(path).or_else(|| {
        let mut steps = key.split('.');
        let first = object.get(steps.next()?)?;
        steps.try_fold(first, |value, step| match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => value.get(step),
        })
    })
}
