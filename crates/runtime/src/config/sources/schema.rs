//! The JSON schema of `[[sources]]`: one alternative for each kind.

use super::{PushConfig, SourcesConfig};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use std::borrow::Cow;

impl JsonSchema for SourcesConfig {
    fn schema_name() -> Cow<'static, str> {
        "SourcesConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut kinds: Vec<Value> =
            sources::KINDS.iter().map(|kind| of_kind(kind.name, kind.schema().to_value())).collect();
        kinds.push(of_kind("push", generator.root_schema_for::<PushConfig>().to_value()));
        json_schema!({"type": "array", "items": {"oneOf": kinds}})
    }
}

/// The schema of a source of a kind: the keys that all have, and its own.
fn of_kind(kind: &str, mut schema: Value) -> Value {
    schema["properties"]["kind"] = json!({"const": kind});
    schema["properties"]["name"] =
        json!({"type": "string", "description": "Unique; part of every post that it brings."});
    schema["properties"]["enabled"] = json!({"type": "boolean", "default": true});
    schema["properties"]["redact"] = json!({"type": "array", "items": {"enum": ["email", "phone", "card"]},
        "description": "What is taken out of its posts before they are stored."});
    let mut required = schema["required"].as_array().cloned().unwrap_or_default();
    required.retain(|key| key != "name");
    required.extend(["kind".into(), "name".into()]);
    schema["required"] = required.into();
    schema
}
