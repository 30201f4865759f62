//! The section `sources`: both forms, the environment, and what is wrong.

use super::*;
use serde_json::json;

fn read(toml: &str) -> Result<SourcesConfig> {
    let value: toml::Table = toml.parse()?;
    SourcesConfig::read(serde_json::to_value(value.get("sources"))?)
}

const NEWS: &str = "[[sources]]\nkind = \"feed\"\nname = \"my-news\"\nurls = [\"https://a.example/feed\"]\n";

#[test]
fn both_forms_are_read() {
    let earlier = read(
        "[sources.x]\nenabled = true\ntoken_env = \"T\"\n\
         [[sources.push]]\nname = \"a\"\nplatform = \"reviews\"\ntoken_env = \"A\"\n",
    );
    let earlier = earlier.unwrap();
    let now = read(
        "[[sources]]\nkind = \"x\"\nname = \"x\"\ntoken_env = \"T\"\n\
         [[sources]]\nkind = \"push\"\nname = \"a\"\nplatform = \"reviews\"\ntoken_env = \"A\"\n",
    );
    let now = now.unwrap();
    assert_eq!(earlier.connectors, now.connectors);
    assert_eq!(earlier.tables().unwrap(), now.tables().unwrap());
    assert_eq!((earlier.is_earlier_form, now.is_earlier_form), (true, false));
    let written = SourcesConfig::read(now.tables().unwrap().into()).unwrap();
    assert_eq!(written.tables().unwrap(), now.tables().unwrap(), "what is written is read again");
    assert!(!read("[sources.x]\ntoken_env = \"T\"\n").unwrap().connectors[0].enabled, "as in earlier versions");
    assert!(read("").unwrap().connectors.is_empty());
}

#[test]
fn what_earlier_versions_accepted_is_still_read() {
    let push = |name: &str| {
        format!("[[sources.push]]\nname = \"{name}\"\nplatform = \"reviews\"\ntoken_env = \"A\"\ndeletes = true\n")
    };
    let names = ["My Reviews!", "", "a", "a", "x", "größe\t"];
    let toml: String = names.iter().map(|name| push(name)).collect();
    let sources = read(&toml).unwrap();
    sources.check().unwrap();
    assert_eq!(sources.push.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), names);
    assert!(sources.push_rights("My Reviews!").unwrap().keep.is_empty());
    let notices = sources.notices().join("\n");
    for word in ["kind = \"push\"", "\"My Reviews!\" must be", "the name \"\" must be", "two sources", "dead letters"] {
        assert!(notices.contains(word), "{word}: {notices}");
    }
    let off = read("[sources.x]\nenabled = false\nbase_url = \"nowhere\"\n").unwrap();
    off.check().unwrap();
    let error = format!(
        "{:#}",
        read(&push("My Reviews!").replace("[[sources.push]]", "[[sources]]\nkind = \"push\""))
            .and_then(|sources| sources.check())
            .unwrap_err()
    );
    assert!(error.contains("\"My Reviews!\" must be") && error.contains("the token and the stored posts"), "{error}");
    assert!(read(NEWS).unwrap().notices().is_empty());
}

#[test]
fn the_environment_sets_what_it_set_in_earlier_versions() {
    let mut sources = read("[[sources.push]]\nname = \"x\"\nplatform = \"reviews\"\ntoken_env = \"A\"\n").unwrap();
    let variables = [("ENABLED", "yes"), ("TOKEN_ENV", "12"), ("COST_PER_POST", "0.01")];
    sources.apply(variables.iter().map(|(key, value)| (format!("{ENVIRONMENT}__X__{key}"), (*value).into()))).unwrap();
    let x = &sources.connectors[0];
    assert_eq!((x.enabled, &x.settings["token_env"], &x.settings["cost_per_post"]), (true, &json!("12"), &json!(0.01)));
    assert_eq!(sources.push[0].token_env, "A");
    sources.check().unwrap();
}

#[test]
fn every_kind_has_an_example_among_the_defaults() {
    let (_, examples) = crate::config::DEFAULT_TOML.split_once("# [[sources]]").unwrap();
    let examples: Vec<&str> = examples.lines().map(|line| line.trim_start_matches("# ")).collect();
    let sources = read(&format!("[[sources]]{}", examples.join("\n"))).unwrap();
    sources.check().unwrap();
    let shown = |kind: &&str| sources.connectors.iter().any(|source| source.kind == **kind);
    let missing: Vec<&str> = sources::KINDS.iter().map(|kind| kind.name).filter(|kind| !shown(kind)).collect();
    assert!(missing.is_empty() && !sources.push.is_empty(), "config/default.toml has no example of {missing:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let error = |toml: &str| format!("{:#}", read(toml).and_then(|sources| sources.check()).unwrap_err());
    assert!(error("[[sources]]\nname = \"a\"").contains("no kind"));
    assert!(error("[[sources]]\nkind = \"feed\"").contains("no name"));
    assert!(error("[[sources]]\nkind = \"fed\"\nname = \"a\"").contains("expected one of x, feed"));
    assert!(error(&NEWS.replace("urls", "ulrs")).contains("ulrs"));
    assert!(error(&format!("{NEWS}{NEWS}")).contains("two sources have the name \"my-news\""));
    assert!(error(&NEWS.replace("my-news", "my news")).contains("must be 1 to 64"));
    assert!(error("[sources.feed]\nurls = []").contains("[[sources]]"));
    assert!(error("[[sources]]\nkind = \"push\"\nname = \"a\"\nplatform = \"a\"").contains("token_env"));
}

#[test]
fn the_environment_sets_keys_of_sources() {
    let apply = |toml: &str, variables: &[(&str, &str)]| {
        let mut sources = read(toml)?;
        sources.apply(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))?;
        Ok::<_, anyhow::Error>(sources)
    };
    let x = apply("", &[("OVERHEARD__SOURCES__X__ENABLED", "true"), ("OVERHEARD__SOURCES__X__TOKEN_ENV", "T")]);
    let x = x.unwrap().connectors.remove(0);
    assert_eq!((x.kind.as_str(), x.enabled, &x.settings["token_env"]), ("x", true, &json!("T")));
    let news = apply(
        NEWS,
        &[
            ("OVERHEARD__SOURCES__MY_NEWS__URLS", "https://b.example, https://c.example"),
            ("OVERHEARD__SOURCES__MY_NEWS__INTERVAL_S", "60"),
        ],
    );
    let news = news.unwrap().connectors.remove(0);
    assert_eq!(news.settings["urls"], json!(["https://b.example", "https://c.example"]));
    assert_eq!(news.settings["interval_s"], json!(60));
    let tags = apply(
        "[[sources]]\nkind = \"mastodon\"\nname = \"m\"\nurl = \"https://a.example\"\n",
        &[("OVERHEARD__SOURCES__M__TAGS", "2026")],
    );
    assert_eq!(tags.unwrap().connectors[0].settings["tags"], json!(["2026"]), "one item that is a number");
    let list = r#"[{"kind": "bluesky", "name": "sky"}]"#;
    assert_eq!(apply(NEWS, &[("OVERHEARD__SOURCES", list)]).unwrap().connectors[0].name, "sky");
    let error = format!("{:#}", apply(NEWS, &[("OVERHEARD__SOURCES__NEWS__URLS", "[]")]).unwrap_err());
    assert!(error.contains("OVERHEARD__SOURCES__NEWS"), "{error}");
    let push = "[[sources]]\nkind = \"push\"\nname = \"my-shop\"\nplatform = \"shop\"\ntoken_env = \"A\"\n";
    let variables = [
        ("OVERHEARD__SOURCES__MY_SHOP__TOKEN_ENV", "B"),
        ("OVERHEARD__SOURCES__MY_SHOP__PLATFORMS", "x, news"),
        ("OVERHEARD__SOURCES__MY_SHOP__DELETES", "true"),
    ];
    let shop = apply(push, &variables).unwrap().push.remove(0);
    assert_eq!((shop.name.as_str(), shop.token_env.as_str(), shop.deletes), ("my-shop", "B", Some(true)));
    assert_eq!(shop.platforms, ["x", "news"]);
    let off = [("OVERHEARD__SOURCES__MY_SHOP__ENABLED", "false"), variables[0]];
    assert!(apply(push, &off).unwrap().push.is_empty());
    assert!(apply(push, &[("OVERHEARD__SOURCES__MY_SHOP__TOKENENV", "B")]).is_err());
    assert!(apply(NEWS, &[("OVERHEARD__SOURCES__X", "1"), ("OVERHEARD__SOURCESX", "1")]).is_err());
}

#[test]
fn a_push_source_keeps_what_a_connector_brings() {
    let push = "[[sources]]\nkind = \"push\"\nname = \"a\"\nplatform = \"news\"\ntoken_env = \"A\"\n";
    let keep = |toml: &str| read(toml).unwrap().push_rights("a").unwrap().keep;
    assert_eq!(keep(push), [""; 0]);
    assert_eq!(keep(&format!("{push}{NEWS}")), ["news"]);
    assert_eq!(keep(&format!("{push}{NEWS}enabled = false\n")), [""; 0]);
    assert!(read(NEWS).unwrap().rights_of("news").unwrap_err().contains("another source"));
}
