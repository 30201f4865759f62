//! Facts about platforms, in one table: how a platform is named, what its terms allow to be passed on, where people read
//! a post. A platform that is not in the table works as well; it is shown under its code.

/// One platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// The code in post ids: lower case.
    pub code: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// The platform's terms allow only ids of posts to be passed on.
    pub export_ids_only: bool,
    /// Address of a post, with `{username}` and `{id}`; empty: posts carry their own.
    post_url: &'static str,
    /// Stands for a username that is not known.
    any_username: &'static str,
    /// Texts come with `&`, `<` and `>` escaped.
    escapes_text: bool,
}

impl Platform {
    const fn new(code: &'static str, name: &'static str) -> Self {
        Self { code, name, export_ids_only: false, post_url: "", any_username: "", escapes_text: false }
    }
}

/// The platforms that we know.
pub const PLATFORMS: &[Platform] = &[
    Platform {
        export_ids_only: true,
        post_url: "https://x.com/{username}/status/{id}",
        any_username: "i",
        escapes_text: true,
        ..Platform::new("x", "X")
    },
    Platform::new("bluesky", "Bluesky"),
    Platform::new("mastodon", "Mastodon"),
    Platform::new("hackernews", "Hacker News"),
    Platform::new("discourse", "Discourse"),
    Platform::new("github", "GitHub"),
    Platform::new("stackexchange", "Stack Exchange"),
    Platform::new("appstore", "App Store"),
    Platform::new("googleplay", "Google Play"),
    Platform::new("news", "News"),
    Platform::new("reviews", "Reviews"),
    Platform::new("reddit", "Reddit"),
    Platform::new("youtube", "YouTube"),
    Platform::new("file", "File"),
];

fn find(code: &str) -> Option<&'static Platform> {
    PLATFORMS.iter().find(|platform| platform.code == code)
}

/// Codes of the platforms whose terms allow only ids to be passed on.
pub fn export_ids_only() -> Vec<String> {
    PLATFORMS.iter().filter(|platform| platform.export_ids_only).map(|platform| platform.code.to_owned()).collect()
}

/// Where people can read a post, if that follows from its id. Ids that are no number (such as those that we make) have no page.
pub fn post_url(platform: &str, username: Option<&str>, native_id: &str) -> Option<String> {
    let platform = find(platform).filter(|platform| !platform.post_url.is_empty())?;
    let is_number = !native_id.is_empty() && native_id.bytes().all(|byte| byte.is_ascii_digit());
    let username = username.unwrap_or(platform.any_username);
    is_number.then(|| platform.post_url.replace("{username}", username).replace("{id}", native_id))
}

/// Whether texts of the platform come with `&`, `<` and `>` escaped.
pub fn escapes_text(platform: &str) -> bool {
    find(platform).is_some_and(|platform| platform.escapes_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_lower_case() {
        let mut codes: Vec<&str> = PLATFORMS.iter().map(|platform| platform.code).collect();
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase())));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), PLATFORMS.len());
    }

    /// The dashboard's names.
    #[test]
    fn golden_platform_names() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/src/format/platforms.json");
        let lines: Vec<String> =
            PLATFORMS.iter().map(|platform| format!("  {:?}: {:?}", platform.code, platform.name)).collect();
        let names = format!("{{\n{}\n}}\n", lines.join(",\n"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &names).unwrap();
        }
        let agreed = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(names, agreed, "UPDATE_GOLDEN=1 cargo test -p domain golden_platform_names writes it anew");
    }

    #[test]
    fn a_post_has_an_address_where_its_id_tells() {
        assert_eq!(post_url("x", Some("united"), "12").as_deref(), Some("https://x.com/united/status/12"));
        assert_eq!(post_url("x", None, "12").as_deref(), Some("https://x.com/i/status/12"));
        assert_eq!(post_url("x", None, "made-12"), None, "an id that we made");
        assert_eq!((post_url("reviews", None, "12"), post_url("elsewhere", None, "12")), (None, None));
    }
}
