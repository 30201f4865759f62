//! The tools: operations of the API that read. A call is a request to the API with the caller's own credentials, and the
//! arguments of a tool are the parameters that the OpenAPI document names.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Extensions, HeaderMap, Request, header};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;
use url::form_urlencoded::Serializer;
use utoipa::openapi::OpenApi;

/// Name, operation and description.
const TOOLS: [(&str, &str, &str); 8] = [
    (
        "search_posts",
        "/api/posts",
        "Search posts, newest first, with text, author, sentiment, entities and place. Cite them by post_id and url. Use `next` as `cursor` for the next page.",
    ),
    ("get_post", "/api/post", "Get one post by its id, with near-duplicates, key phrases and the original record."),
    (
        "count_mentions",
        "/api/overview",
        "Count mentions, authors, reach and sentiment in a time range, compared with the previous period of the same length.",
    ),
    (
        "mentions_over_time",
        "/api/series",
        "Count mentions per interval, split by a dimension, with the anomalies in that time.",
    ),
    (
        "top_values",
        "/api/breakdown",
        "List the most frequent values of dimensions, such as `phrase,entity,author,hashtag,platform,country`, with their sentiment.",
    ),
    (
        "find_anomalies",
        "/api/anomalies",
        "List anomalies: unusual numbers of mentions, with expected and observed values, the drivers of the change, a one-sentence explanation, and example posts to cite.",
    ),
    ("list_topics", "/api/topics", "List the topics (saved queries) with their volume."),
    ("list_alerts", "/api/alerts", "List alerts that were opened in a time range or are still open."),
];

/// Largest answer of a tool, bytes.
const ANSWER_MAX: usize = 4 << 20;

struct Tool {
    name: &'static str,
    path: &'static str,
    /// As `tools/list` shows it.
    shown: Value,
}

pub(crate) struct Tools {
    tools: Vec<Tool>,
    api: Router,
}

impl Tools {
    pub(crate) fn new(document: &OpenApi, api: Router) -> Self {
        let document = serde_json::to_value(document).unwrap_or_default();
        let tool = |(name, path, about): (&'static str, &'static str, &str)| {
            let parameters = document["paths"][path]["get"]["parameters"].as_array();
            let schema = schema(parameters.map_or(&[], Vec::as_slice));
            let annotations = json!({ "readOnlyHint": true, "openWorldHint": false });
            let shown =
                json!({ "name": name, "description": about, "inputSchema": schema, "annotations": annotations });
            Tool { name, path, shown }
        };
        Self { tools: TOOLS.into_iter().map(tool).collect(), api }
    }

    pub(crate) fn list(&self) -> Vec<&Value> {
        self.tools.iter().map(|tool| &tool.shown).collect()
    }

    /// Calls a tool. An error of the API is a result, so that the model can correct its arguments.
    pub(crate) async fn call(
        &self,
        params: &Value,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Value, String> {
        let name = params["name"].as_str().unwrap_or_default();
        let tool = self.tools.iter().find(|tool| tool.name == name).ok_or_else(|| format!("unknown tool {name:?}"))?;
        let query = match query(&params["arguments"]) {
            Ok(query) => query,
            Err(message) => return Ok(result(message, None, true)),
        };
        let mut request = Request::builder().uri(format!("{}?{query}", tool.path));
        for name in [header::AUTHORIZATION, header::COOKIE] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let mut request = request.body(Body::empty()).map_err(|error| error.to_string())?;
        *request.extensions_mut() = extensions.clone();
        let Ok(response) = self.api.clone().oneshot(request).await;
        let ok = response.status().is_success();
        let body = to_bytes(response.into_body(), ANSWER_MAX).await;
        let Ok(body) = body else {
            return Ok(result("the answer is too large; narrow the filter or lower `limit`".into(), None, true));
        };
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = String::from_utf8_lossy(&body).into_owned();
        // Structured content is an object in versions before 2026-07-28.
        let structured = if value.is_array() { json!({ "items": value }) } else { value };
        Ok(result(text, ok.then_some(structured), !ok))
    }
}

fn result(text: String, structured: Option<Value>, is_error: bool) -> Value {
    let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": is_error });
    if let Some(structured) = structured {
        result["structuredContent"] = structured;
    }
    result
}

/// The JSON Schema of the arguments: the parameters of the operation.
fn schema(parameters: &[Value]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        let mut schema = parameter["schema"].clone();
        if parameter["description"].is_string() {
            schema["description"] = parameter["description"].clone();
        }
        properties.insert(name.to_owned(), schema);
        if parameter["required"] == true {
            required.push(name);
        }
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Arguments as the query of a URL; lists repeat their parameter.
fn query(arguments: &Value) -> Result<String, String> {
    let empty = Map::new();
    let arguments = match arguments {
        Value::Null => &empty,
        Value::Object(arguments) => arguments,
        _ => return Err("arguments must be an object".into()),
    };
    let mut query = Serializer::new(String::new());
    for (name, value) in arguments {
        let values = match value {
            Value::Null => &[],
            Value::Array(values) => values.as_slice(),
            other => std::slice::from_ref(other),
        };
        for value in values {
            match value {
                Value::String(text) => query.append_pair(name, text),
                Value::Number(_) | Value::Bool(_) => query.append_pair(name, &value.to_string()),
                _ => return Err(format!("{name} must be a text, a number, or a list of them")),
            };
        }
    }
    Ok(query.finish())
}
