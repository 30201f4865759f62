//! The rules of the stream: adding, trying out, deleting, counting, with X's refusals. Rules are read with our own query
//! language, whose syntax is X's but for operators that the simulator does not know.

use super::payload::SimulatedPost;
use domain::topic::Query;
use serde::Deserialize;
use serde_json::{Value, json};

/// A rule in force.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) value: String,
    pub(super) tag: Option<String>,
    query: Query,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct NewRule {
    value: String,
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    last_id: u64,
    max: usize,
    length_max: usize,
}

/// An answer: status and body.
pub(super) type Answer = (u16, Value);

impl Rules {
    pub(super) fn new(max: usize, length_max: usize) -> Self {
        Self { rules: Vec::new(), last_id: 1_494_398_938_734_350_336, max, length_max }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rules that let the post through, as X names them.
    pub(super) fn matching(&self, post: &SimulatedPost) -> Vec<Value> {
        let subject = post.as_post();
        let hits = self.rules.iter().filter(|rule| rule.query.matches(&subject, None));
        hits.map(|rule| json!({"id": rule.id, "tag": rule.tag.clone().unwrap_or_default()})).collect()
    }

    /// `GET`: a page of rules, from the place that the token names.
    pub(super) fn page(&self, size: usize, from: usize, sent: &str) -> Answer {
        let page: Vec<Value> = self.rules.iter().skip(from).take(size).map(Rule::json).collect();
        let mut meta = json!({"sent": sent, "result_count": page.len()});
        if from + page.len() < self.rules.len() {
            meta["next_token"] = json!(format!("p{}", from + page.len()));
        }
        // Without rules X leaves `data` out.
        (200, if page.is_empty() { json!({"meta": meta}) } else { json!({"data": page, "meta": meta}) })
    }

    pub(super) fn count(&self) -> Answer {
        let count = self.rules.len();
        (
            200,
            json!({"data": {
                "client_app_rules_count": count.to_string(), "project_rules_count": count.to_string(),
                "cap_per_client_app": self.max.to_string(), "cap_per_project": self.max.to_string(),
            }}),
        )
    }

    pub(super) fn add(&mut self, new: Vec<NewRule>, dry_run: bool, sent: &str) -> Answer {
        let asked = new.len();
        let mut accepted: Vec<Rule> = Vec::new();
        let mut errors = Vec::new();
        for rule in new {
            match self.check(&rule, &accepted) {
                Ok(query) => {
                    self.last_id += 1;
                    accepted.push(Rule { id: self.last_id.to_string(), value: rule.value, tag: rule.tag, query });
                }
                Err(error) => errors.push(error),
            }
        }
        if self.rules.len() + accepted.len() > self.max {
            return (
                429,
                json!({"title": "RulesCapExceeded", "detail": "Rule cap exceeded", "status": 429,
                "type": "https://api.twitter.com/2/problems/rule-cap"}),
            );
        }
        let created = accepted.len();
        let data: Vec<Value> = accepted.iter().map(Rule::json).collect();
        if !dry_run {
            self.rules.extend(accepted);
        }
        let meta = json!({"sent": sent, "summary": {
            "created": created, "not_created": asked - created, "valid": created, "invalid": asked - created}});
        let mut body = json!({"meta": meta});
        if !data.is_empty() {
            body["data"] = json!(data);
        }
        if !errors.is_empty() {
            body["errors"] = json!(&errors);
        }
        // Clients in the wild print `DuplicateRule` from answers that count as a success.
        let repeats_only = errors.iter().all(|error| error["title"] == "DuplicateRule");
        (
            if created > 0 {
                201
            } else if repeats_only {
                200
            } else {
                400
            },
            body,
        )
    }

    fn check(&self, rule: &NewRule, accepted: &[Rule]) -> Result<Query, Value> {
        let invalid = |details: &str| {
            json!({"value": rule.value, "details": [details], "title": "UnprocessableEntity",
            "type": "https://api.twitter.com/2/problems/invalid-rules"})
        };
        if let Some(same) = self.rules.iter().chain(accepted).find(|known| known.value == rule.value) {
            return Err(json!({"value": rule.value, "id": same.id, "title": "DuplicateRule",
                "type": "https://api.twitter.com/2/problems/duplicate-rules"}));
        }
        let length = rule.value.chars().count();
        if length > self.length_max {
            return Err(invalid(&format!("Rule length of {length} exceeds the limit of {}", self.length_max)));
        }
        if rule.value.split_whitespace().any(|word| word == "AND" || word == "NOT" || word.starts_with("-(")) {
            return Err(invalid("Reserved words and negated groups are not allowed"));
        }
        let query = Query::parse(&rule.value).map_err(|error| invalid(&error.message))?;
        if rule.value.split_whitespace().all(|word| word.trim_start_matches(['-', '(']).starts_with("lang:")) {
            return Err(invalid("Rules must contain at least one standalone operator"));
        }
        Ok(query)
    }

    /// Deletes by id, by value, or all.
    pub(super) fn delete(&mut self, which: Option<&(Vec<String>, Vec<String>)>, dry_run: bool, sent: &str) -> Answer {
        let Some((ids, values)) = which else {
            let deleted = self.rules.len();
            if !dry_run {
                self.rules.clear();
            }
            return (200, json!({"meta": {"sent": sent, "summary": {"deleted": deleted, "not_deleted": 0}}}));
        };
        let wanted = |rule: &Rule| ids.contains(&rule.id) || values.contains(&rule.value);
        let deleted = self.rules.iter().filter(|rule| wanted(rule)).count();
        let asked = ids.len() + values.len();
        if !dry_run {
            self.rules.retain(|rule| !wanted(rule));
        }
        let mut body = json!({"meta": {"sent": sent, "summary": {"deleted": deleted, "not_deleted": asked.saturating_sub(deleted)}}});
        if deleted < asked {
            body["errors"] = json!([{"errors": [{"message": "Rule does not exist", "parameters": {}}],
                "title": "Invalid Request", "detail": "One or more parameters to your request was invalid.",
                "type": "https://api.twitter.com/2/problems/invalid-request"}]);
        }
        (200, body)
    }
}

impl Rule {
    fn json(&self) -> Value {
        match &self.tag {
            Some(tag) => json!({"id": self.id, "value": self.value, "tag": tag}),
            None => json!({"id": self.id, "value": self.value}),
        }
    }
}
