//! X's rules kept in step with our topics: what X has is compared with what the topics ask for, new rules are tried
//! first (`dry_run`), and only the difference is added and deleted. Rules whose tag is not ours are left alone.

use super::api::{Api, Rule};
use super::payload::TAG_PREFIX;
use super::query::{RULE_LENGTH_MAX_CHARS, rules_within};
use crate::kit::failure::Failure;
use crate::kit::status::SharedStatus;
use domain::Topic;
use domain::topic::Query;
use std::collections::{BTreeMap, HashSet};

/// Most rules in one request.
const PER_REQUEST: usize = 100;
/// X's answer for a rule that it has already.
const DUPLICATE: &str = "DuplicateRule";

/// What the topics ask of X.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// Value and tag.
    pub(super) rules: Vec<(String, String)>,
    /// Topics that X can't be asked for.
    pub(super) left_out: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
}

/// The rules for the topics. Two topics with the same rule share it: what comes is matched with all topics by us.
pub(super) fn wanted(topics: &[Topic], length_max: usize) -> Wanted {
    let mut wanted = Wanted::default();
    let mut seen = HashSet::new();
    for topic in topics {
        let rules = Query::parse(&topic.query)
            .map_err(|error| error.to_string())
            .and_then(|query| rules_within(&query, length_max).map_err(|error| error.to_string()));
        match rules {
            Ok(rules) => {
                wanted.notes.extend(rules.notes.into_iter().map(|note| format!("{}: {note}", topic.name)));
                for value in rules.rules {
                    if seen.insert(value.clone()) {
                        wanted.rules.push((value, format!("{TAG_PREFIX}{}", topic.name)));
                    }
                }
            }
            Err(reason) => {
                wanted.left_out.insert(topic.name.clone(), reason);
            }
        }
    }
    wanted
}

/// What must change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    add: Vec<(String, String)>,
    delete: Vec<String>,
}

fn difference(present: &[Rule], wanted: &[(String, String)]) -> Difference {
    let ours = |rule: &Rule| rule.tag.as_deref().is_some_and(|tag| tag.starts_with(TAG_PREFIX));
    let same = |rule: &Rule, (value, tag): &(String, String)| {
        // Somebody else's rule of the same value brings the posts already, and X would refuse a second.
        rule.value == *value && (!ours(rule) || rule.tag.as_ref() == Some(tag))
    };
    Difference {
        add: wanted.iter().filter(|want| !present.iter().any(|rule| same(rule, want))).cloned().collect(),
        delete: present
            .iter()
            .filter(|rule| ours(rule) && !wanted.iter().any(|want| same(rule, want)))
            .map(|rule| rule.id.clone())
            .collect(),
    }
}

/// Brings X's rules in step with the topics.
pub(super) async fn synchronise(
    api: &Api,
    topics: &[Topic],
    rules_max: usize,
    status: &SharedStatus,
) -> Result<(), Failure> {
    let mut wanted = wanted(topics, RULE_LENGTH_MAX_CHARS);
    let present = api.rules().await?;
    let others =
        present.iter().filter(|rule| !rule.tag.as_deref().is_some_and(|tag| tag.starts_with(TAG_PREFIX))).count();
    let room = rules_max.saturating_sub(others);
    for (_, tag) in wanted.rules.drain(room.min(wanted.rules.len())..) {
        let topic = tag.trim_start_matches(TAG_PREFIX).to_owned();
        wanted.left_out.insert(topic, format!("X allows {rules_max} rules, and they are used up"));
    }
    let mut change = difference(&present, &wanted.rules);
    try_out(api, &mut change.add, &mut wanted).await?;
    // A rule whose tag changed is there under the old one until that is deleted; X refuses the same value twice.
    let values: HashSet<&str> = change.add.iter().map(|(value, _)| value.as_str()).collect();
    let (replaced, rest): (Vec<String>, Vec<String>) = change
        .delete
        .into_iter()
        .partition(|id| present.iter().any(|rule| rule.id == *id && values.contains(rule.value.as_str())));
    let tight = present.len() + change.add.len() > rules_max;
    let (before, after) = if tight { ([replaced, rest].concat(), Vec::new()) } else { (replaced, rest) };
    delete(api, &before).await?;
    for some in change.add.chunks(PER_REQUEST) {
        for refused in api.add_rules(some, false).await?.into_iter().filter(|refused| refused.title != DUPLICATE) {
            leave_out(&mut wanted, &refused.value, refused.reason);
        }
    }
    delete(api, &after).await?;
    if !change.add.is_empty() || !before.is_empty() || !after.is_empty() {
        tracing::info!(added = change.add.len(), deleted = before.len() + after.len(), "rules of X changed");
    }
    status.set_topics(wanted.left_out, wanted.notes);
    Ok(())
}

async fn delete(api: &Api, ids: &[String]) -> Result<(), Failure> {
    for some in ids.chunks(PER_REQUEST) {
        api.delete_rules(some).await?;
    }
    Ok(())
}

/// Tries the new rules; those that X would not take are left out, with its reason.
async fn try_out(api: &Api, add: &mut Vec<(String, String)>, wanted: &mut Wanted) -> Result<(), Failure> {
    let mut bad = HashSet::new();
    for some in add.chunks(PER_REQUEST) {
        for refused in api.add_rules(some, true).await?.into_iter().filter(|refused| refused.title != DUPLICATE) {
            bad.insert(refused.value.clone());
            leave_out(wanted, &refused.value, refused.reason);
        }
    }
    add.retain(|(value, _)| !bad.contains(value));
    Ok(())
}

fn leave_out(wanted: &mut Wanted, value: &str, reason: String) {
    if let Some(place) = wanted.rules.iter().position(|(known, _)| known == value) {
        let (_, tag) = wanted.rules.remove(place);
        wanted
            .left_out
            .insert(tag.trim_start_matches(TAG_PREFIX).to_owned(), format!("X refuses the rule {value}: {reason}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, value: &str, tag: Option<&str>) -> Rule {
        Rule { id: id.into(), value: value.into(), tag: tag.map(str::to_owned) }
    }

    fn want(value: &str, topic: &str) -> (String, String) {
        (value.into(), format!("{TAG_PREFIX}{topic}"))
    }

    #[test]
    fn only_the_difference_is_changed_and_others_rules_stay() {
        let present = [
            rule("1", "delta", Some("overheard:airlines")),
            rule("2", "united", Some("overheard:airlines")),
            rule("3", "cats", Some("somebody's")),
            rule("4", "dogs", None),
        ];
        let wanted = [want("delta", "airlines"), want("jetblue", "airlines"), want("cats", "pets")];
        let change = difference(&present, &wanted);
        assert_eq!(change.add, [want("jetblue", "airlines")], "cats come by somebody's rule");
        assert_eq!(change.delete, ["2"]);
        assert_eq!(difference(&present[..1], &wanted[..1]), Difference::default());
    }

    #[test]
    fn a_topic_with_a_new_name_gets_a_new_tag() {
        let change = difference(&[rule("1", "delta", Some("overheard:old"))], &[want("delta", "new")]);
        assert_eq!((change.add.len(), change.delete.len()), (1, 1), "tags can't be changed");
    }

    #[test]
    fn topics_that_x_cannot_be_asked_for_are_named() {
        let topic = |name: &str, query: &str| Topic {
            name: name.into(),
            query: query.into(),
            created_at: testkit::posts::noon(),
        };
        let wanted = wanted(&[topic("a", "delta"), topic("b", "lang:en"), topic("c", "delta"), topic("d", "(")], 1_024);
        assert_eq!(wanted.rules, [want("delta", "a")], "the same rule once");
        assert_eq!(wanted.left_out.keys().collect::<Vec<_>>(), ["b", "d"]);
    }
}
