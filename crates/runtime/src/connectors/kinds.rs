//! The kinds of sources as a form shows them, from the JSON Schema of their settings.

use domain::{FieldKind, SourceField, SourceKind};
use serde_json::{Map, Value};
use sources::Kind;

/// The suffixes of the two settings that name a secret.
const VARIABLE: &str = "_env";
const FILE: &str = "_file";

/// A kind with its settings: those that are required come first. The two settings that name the variable and the file
/// of a secret are one field, the secret itself.
pub(super) fn describe(kind: &Kind) -> SourceKind {
    let schema = kind.schema().to_value();
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let required = |key: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == key));
    let mut fields: Vec<SourceField> =
        properties.iter().filter_map(|(key, property)| field(key, property, required(key), properties)).collect();
    fields.sort_by_key(|field| !field.required);
    fields.push(SourceField {
        key: "redact".into(),
        kind: FieldKind::List,
        about: "What is taken out of its posts before they are stored: email, phone, card".into(),
        required: false,
        default: None,
    });
    SourceKind { name: kind.name.into(), title: kind.title.into(), about: kind.about.into(), fields }
}

fn field(key: &str, property: &Value, required: bool, all: &Map<String, Value>) -> Option<SourceField> {
    if let Some(secret) = key.strip_suffix(FILE)
        && all.contains_key(&format!("{secret}{VARIABLE}"))
    {
        return None;
    }
    let about = plain(property["description"].as_str().unwrap_or_default());
    if let Some(secret) = secret_of(key) {
        let about = plain(about.trim_start_matches("Environment variable with "));
        return Some(SourceField {
            key: secret.into(),
            kind: FieldKind::Secret,
            about,
            required: false,
            default: None,
        });
    }
    let kind = match property["type"].as_str().or_else(|| property["type"][0].as_str()) {
        Some("array") => FieldKind::List,
        Some("boolean") => FieldKind::Switch,
        Some("integer" | "number") => FieldKind::Number,
        _ => FieldKind::Text,
    };
    let default = property.get("default").filter(|value| !value.is_null()).cloned();
    Some(SourceField { key: key.into(), kind, about, required, default })
}

/// A description as people read it: one line, without marks, beginning with a capital letter.
fn plain(about: &str) -> String {
    let text = about.replace('\n', " ").replace('`', "");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The secret whose variable this setting names.
fn secret_of(key: &str) -> Option<&str> {
    key.strip_suffix(VARIABLE)
}

/// Whether a setting names where a secret lies. Only the configuration may say that: on the page it would let people read
/// the variables and files of the server.
pub(super) fn names_secret(key: &str) -> bool {
    key.ends_with(VARIABLE) || key.ends_with(FILE)
}

/// The setting that names the variable of a secret.
pub(super) fn variable_of(secret: &str) -> String {
    format!("{secret}{VARIABLE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_every_kind_is_a_field_that_says_what_it_means() {
        for kind in sources::KINDS {
            let described = describe(kind);
            assert!(!described.title.is_empty() && !described.about.is_empty(), "{}", kind.name);
            for field in &described.fields {
                assert!(!names_secret(&field.key), "{} {}", kind.name, field.key);
                assert!(!field.about.is_empty(), "{} {} has no description", kind.name, field.key);
            }
        }
    }

    #[test]
    fn fields_are_as_the_settings() {
        let kind = |name: &str| describe(sources::registry::find(name).unwrap());
        let feed = kind("feed").fields;
        assert_eq!((feed[0].key.as_str(), feed[0].kind, feed[0].required), ("urls", FieldKind::List, true));
        let interval = feed.iter().find(|field| field.key == "interval_s").unwrap();
        assert_eq!((interval.kind, interval.default.as_ref()), (FieldKind::Number, Some(&900.into())));
        let secrets = |name: &str| {
            let fields = kind(name).fields.into_iter();
            fields.filter(|field| field.kind == FieldKind::Secret).map(|field| field.key).collect::<Vec<_>>()
        };
        assert_eq!((secrets("x"), secrets("feed")), (vec!["token".to_owned()], vec![]));
    }
}
