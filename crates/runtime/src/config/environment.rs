//! Environment variables that look like settings and that nothing reads.

use super::sources::ENVIRONMENT as SOURCES;
use super::{Config, settings, variable_of};
use serde_json::Value;
use std::collections::BTreeSet;

/// Settings as text, like a configuration file's: for where there are variables and no files.
pub(super) const TEXT: &str = "OVERHEARD_CONFIG_TOML";
/// What the command line reads.
const OF_FLAGS: [&str; 4] = ["OVERHEARD_CONFIG", "OVERHEARD_DATA_DIR", "OVERHEARD_LAMBDA_ACTION", "OVERHEARD_LOG"];
/// Kubernetes and Docker set these for a service that is called overheard.
const OF_SERVICES: [&str; 2] = ["OVERHEARD_SERVICE_", "OVERHEARD_PORT"];

/// A notice for each variable of these names that begins like a setting's and is not read. An unknown setting after
/// `OVERHEARD__` is an error already.
pub(super) fn unread(config: &Config, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut named = BTreeSet::new();
    add_named(&serde_json::to_value(config).unwrap_or_default(), &mut named);
    let is_unread = |name: &String| {
        let is_setting = match name.strip_prefix(SOURCES) {
            Some(rest) => rest.is_empty() || rest.starts_with("__"),
            None => name.starts_with("OVERHEARD__"),
        };
        let is_service = OF_SERVICES.iter().any(|start| name.starts_with(start));
        name.to_uppercase().starts_with("OVERHEARD_")
            && !is_setting
            && !is_service
            && name != TEXT
            && !OF_FLAGS.contains(&name.as_str())
            && !named.contains(name)
    };
    let unread: BTreeSet<String> = names.filter(is_unread).collect();
    unread.iter().map(|name| notice(name)).collect()
}

/// Collects the variables that settings name (`..._env`).
fn add_named(value: &Value, named: &mut BTreeSet<String>) {
    match value {
        Value::Object(table) => table.iter().for_each(|(key, value)| match value {
            Value::String(name) if key.ends_with("_env") => drop(named.insert(name.clone())),
            value => add_named(value, named),
        }),
        Value::Array(items) => items.iter().for_each(|item| add_named(item, named)),
        _ => {}
    }
}

fn notice(name: &str) -> String {
    let bare = |name: &str| name.to_uppercase().replace('_', "");
    let meant =
        settings().into_iter().map(|(setting, _)| variable_of(&setting)).find(|known| bare(known) == bare(name));
    let advice = meant.map_or_else(
        || "settings are named OVERHEARD__SECTION__KEY, sources OVERHEARD__SOURCES__NAME__KEY".to_owned(),
        |meant| format!("did you mean {meant}?"),
    );
    format!("the environment variable {name} is not read: {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right_are_told() {
        let mut config = Config::load(None, None).unwrap();
        config.server.metrics_token_env = "OVERHEARD_METRICS".into();
        let unread = |name: &str| unread(&config, std::iter::once(name.to_owned())).join("");
        for (name, words) in [
            ("OVERHEARD_SERVER__BIND", "OVERHEARD_SERVER__BIND is not read: did you mean OVERHEARD__SERVER__BIND?"),
            ("OVERHEARD_SERVER_BIND", "did you mean OVERHEARD__SERVER__BIND?"),
            ("overheard__server__bind", "did you mean OVERHEARD__SERVER__BIND?"),
            ("OVERHEARD_NONSENSE", "settings are named"),
            ("OVERHEARD__SOURCES_NEWS__URLS", "OVERHEARD__SOURCES__NAME__KEY"),
        ] {
            assert!(unread(name).contains(words), "{name}: {}", unread(name));
        }
        for name in [
            "OVERHEARD__SERVER__BIND",
            "OVERHEARD__SOURCES",
            "OVERHEARD__SOURCES__NEWS__URLS",
            "OVERHEARD_CONFIG_TOML",
            "OVERHEARD_CONFIG",
            "OVERHEARD_METRICS",
            "OVERHEARD_SERVICE_HOST",
            "OVERHEARD_PORT_8480_TCP",
            "PATH",
        ] {
            assert_eq!(unread(name), "");
        }
    }
}
