//! Examples of requests and responses for the OpenAPI document. `fuzz/clients.py` checks them against the schemas.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Content, RefOr};

const EXAMPLES: &str = include_str!("examples.json");
const JSON: &str = "application/json";

#[derive(Deserialize)]
struct Example {
    request: Option<Value>,
    response: Option<Value>,
}

/// Examples by operation id.
pub(super) struct Examples(BTreeMap<String, Example>);

impl Examples {
    pub(super) fn read() -> Self {
        Self(serde_json::from_str(EXAMPLES).unwrap_or_default())
    }

    /// Adds the example of an operation, if there is one.
    pub(super) fn add_to(&mut self, operation: &mut Operation) {
        let example = operation.operation_id.as_ref().and_then(|id| self.0.remove(id));
        let Some(Example { request, response }) = example else { return };
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            set(body.content.get_mut(JSON), request);
        }
        if let Some(RefOr::T(success)) = operation.responses.responses.get_mut("200") {
            set(success.content.get_mut(JSON), response);
        }
    }
}

fn set(content: Option<&mut RefOr<Content>>, example: Option<Value>) {
    if let Some(RefOr::T(content)) = content {
        content.example = example;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_in_the_document() {
        let examples: BTreeMap<String, Example> = serde_json::from_str(EXAMPLES).unwrap();
        let document = serde_json::to_value(crate::document()).unwrap();
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        let found: BTreeMap<&str, &Value> =
            operations.filter_map(|one| Some((one["operationId"].as_str()?, one))).collect();
        for (id, Example { request, response }) in examples {
            let operation = found.get(id.as_str()).unwrap_or_else(|| panic!("there is no operation {id}"));
            let shown = |place: &Value| place["content"][JSON].get("example").cloned();
            assert_eq!(shown(&operation["requestBody"]), request, "{id}");
            assert_eq!(shown(&operation["responses"]["200"]), response, "{id}");
        }
    }
}
