//! Refuses values that are not the numbers that their settings need. The crate `config` would turn `0.99` into 0 and `true`
//! into 1.

use super::settings;
use anyhow::{Result, bail};
use serde_json::Value;

/// Settings of rules and channels that are whole numbers: they are in lists, which have no defaults.
const IN_LISTS: [(&str, &[&str]); 2] = [
    ("/alerts/rules", &["cooldown_s", "condition/mentions_min", "condition/window_s", "condition/silent_s"]),
    ("/alerts/channels", &["port"]),
];

/// Checks every setting whose default is a number, and those of [`IN_LISTS`].
pub(super) fn check(given: &Value) -> Result<()> {
    for (name, default) in settings() {
        let Some(value) = given.pointer(&format!("/{}", name.replace('.', "/"))) else { continue };
        match (&default, value) {
            (toml::Value::Integer(_), value) => check_whole(&name, value)?,
            (toml::Value::Float(_), Value::Bool(_)) => bail!("{name} = {value} must be a number"),
            (toml::Value::Array(defaults), Value::Array(values)) if defaults.iter().any(toml::Value::is_integer) => {
                values.iter().try_for_each(|value| check_whole(&name, value))?;
            }
            _ => {}
        }
    }
    for (list, keys) in IN_LISTS {
        let items = given.pointer(list).and_then(Value::as_array);
        for (place, item) in items.into_iter().flatten().enumerate() {
            for key in keys {
                let Some(value) = item.pointer(&format!("/{key}")) else { continue };
                let list = list.trim_start_matches('/').replace('/', ".");
                check_whole(&format!("{list}[{place}].{}", key.replace('/', ".")), value)?;
            }
        }
    }
    Ok(())
}

fn check_whole(name: &str, value: &Value) -> Result<()> {
    let is_whole = match value {
        Value::Number(number) => !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0),
        Value::String(text) => text.trim().parse::<i64>().is_ok(),
        _ => false,
    };
    if !is_whole {
        bail!("{name} = {value} must be a whole number");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use std::collections::HashMap;

    fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("test.toml");
        std::fs::write(&file, text).unwrap();
        let environment: HashMap<_, _> = environment.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        format!("{:#}", Config::load_with(Some(&file), None, environment).unwrap_err())
    }

    #[test]
    fn numbers_are_not_rounded() {
        for (text, words) in [
            ("[lake]\nretention_days = 0.99", "lake.retention_days = 0.99 must be a whole number"),
            ("[lake]\nretention_days = true", "lake.retention_days = true must be a whole number"),
            ("[lake]\nretention_days = \"yes\"", "lake.retention_days = \"yes\" must be a whole number"),
            ("[lake]\nretention_days = inf", "lake.retention_days = null must be a whole number"),
            ("[server.limits]\nsql_rows = 1.5", "server.limits.sql_rows = 1.5 must be a whole number"),
            ("[watch]\nintervals_s = [300.5]", "watch.intervals_s = 300.5 must be a whole number"),
            ("[watch]\nfalse_alarms_per_week = true", "watch.false_alarms_per_week = true must be a number"),
            (
                "[[alerts.rules]]\nname=\"r\"\nseverity_min=\"low\"\nchannels=[]\ncooldown_s=0.5",
                "alerts.rules[0].cooldown_s = 0.5 must be a whole number",
            ),
            (
                "[[alerts.rules]]\nname=\"r\"\nchannels=[]\ncondition={when=\"threshold\",mentions_min=1.5,window_s=60}",
                "alerts.rules[0].condition.mentions_min = 1.5 must be a whole number",
            ),
        ] {
            assert_eq!(refusal(text, &[]), words);
        }
        for value in ["0.99", "true", "on", "1e0x"] {
            let words = refusal("", &[("OVERHEARD__LAKE__RETENTION_DAYS", value)]);
            assert!(words.contains("must be a whole number"), "{words}");
        }
        let words = refusal("", &[("OVERHEARD__WATCH__INTERVALS_S", "300,0.5")]);
        assert!(words.contains("must be a whole number"), "{words}");
    }
}
