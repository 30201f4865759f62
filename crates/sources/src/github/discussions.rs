//! Discussions of a repository, with comments and replies, over GitHub's GraphQL. The query names the fields as the REST API
//! does, so that all items have one form.

use super::{COMMENT, DISCUSSION};
use crate::kit::api::Api;
use crate::kit::failure::Failure;
use crate::kit::items;
use crate::kit::listing::{Item, Page};
use domain::Timestamp;
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use url::Url;

const QUERY: &str = "query($owner:String!,$name:String!,$after:String){repository(owner:$owner,name:$name){\
    discussions(first:20,after:$after,orderBy:{field:UPDATED_AT,direction:DESC}){pageInfo{hasNextPage endCursor}\
    nodes{...D updated_at:updatedAt title comments(last:30){nodes{...C replies(last:10){nodes{...C}}}}}}}}\
    fragment D on Discussion{node_id:id html_url:url created_at:createdAt body user:author{login}}\
    fragment C on DiscussionComment{node_id:id html_url:url created_at:createdAt body user:author{login}}";

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    errors: Vec<Mistake>,
}

#[derive(Deserialize)]
struct Mistake {
    #[serde(default, rename = "type")]
    kind: String,
    message: String,
}

#[derive(Deserialize)]
struct Data {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    discussions: Discussions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discussions {
    page_info: PageInfo,
    nodes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

/// A page of discussions, those changed last first.
pub(super) async fn page(api: &Api, name: &str, from: Option<&str>, now: Timestamp) -> Result<Page, Failure> {
    let (owner, repository) = name.split_once('/').unwrap_or_default();
    let variables = json!({"owner": owner, "name": repository, "after": from});
    let answer: Answer = api.post(&address(api), &json!({"query": QUERY, "variables": variables}), now).await?;
    if let Some(mistake) = answer.errors.into_iter().next() {
        return Err(match mistake.kind.as_str() {
            "RATE_LIMITED" => Failure::Rate { message: mistake.message, retry_at: None },
            _ => Failure::Http { status: 200, message: format!("discussions: {}", mistake.message), retry_at: None },
        });
    }
    let Some(found) = answer.data.and_then(|data| data.repository) else { return Ok(Page::default()) };
    let mut items = Vec::new();
    for discussion in found.discussions.nodes {
        let changed = discussion["updated_at"].as_str().and_then(items::date);
        let order = changed.map_or(0, |changed| changed.timestamp());
        unfold(DISCUSSION, discussion, &mut |kind, part| {
            let raw = to_raw_value(&part).ok();
            items.extend(raw.map(|raw| Item { kind, place: name.to_owned(), order, raw }));
        });
    }
    let next = found.discussions.page_info;
    Ok(Page { items, next: next.end_cursor.filter(|_| next.has_next_page), ..Page::default() })
}

/// GraphQL is beside the REST API: of enterprise servers, at `/api/graphql` beside `/api/v3`.
fn address(api: &Api) -> Url {
    let mut url = api.url("/graphql", &[]);
    if let Some(above) = url.path().strip_suffix("/v3/graphql").map(str::to_owned) {
        url.set_path(&format!("{above}/graphql"));
    }
    url
}

/// Gives a discussion, then what belongs to it, without the nesting.
fn unfold(kind: &'static str, mut part: Value, give: &mut dyn FnMut(&'static str, Value)) {
    let mut below = Vec::new();
    for key in ["comments", "replies"] {
        if let Some(Value::Array(parts)) =
            part.as_object_mut().and_then(|part| part.remove(key)).map(|mut nested| nested["nodes"].take())
        {
            below.extend(parts);
        }
    }
    give(kind, part);
    below.into_iter().for_each(|part| unfold(COMMENT, part, give));
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderMap;
    use std::time::Duration;

    #[test]
    fn graphql_is_beside_the_rest_api() {
        let at = |base: &str| {
            let api = Api::new(base.parse().unwrap(), HeaderMap::new(), Duration::from_secs(1)).unwrap();
            address(&api).to_string()
        };
        assert_eq!(at("https://api.github.com"), "https://api.github.com/graphql");
        assert_eq!(at("https://git.example/api/v3"), "https://git.example/api/graphql");
    }

    #[test]
    fn comments_and_replies_become_items() {
        let reply = json!({"node_id": "DC_3"});
        let comment = json!({"node_id": "DC_2", "replies": {"nodes": [reply]}});
        let discussion = json!({"node_id": "D_1", "title": "Late", "comments": {"nodes": [comment]}});
        let mut found = Vec::new();
        unfold(DISCUSSION, discussion, &mut |kind, part| found.push(format!("{kind} {}", part["node_id"])));
        assert_eq!(found, ["discussion \"D_1\"", "comment \"DC_2\"", "comment \"DC_3\""]);
    }
}
