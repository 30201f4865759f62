//! Profiles of `~/.aws/credentials` and `~/.aws/config`: static keys and the region. Profiles that sign in otherwise (SSO,
//! an assumed role, a process) are refused with a sentence when they are named, and passed over when they are the default.

use domain::{Error, Result};
use object_store::aws::AwsCredential;
use std::collections::HashMap;
use std::path::PathBuf;

/// One profile.
#[derive(Debug)]
pub(crate) struct Profile {
    name: String,
    files: [PathBuf; 2],
}

type Settings = HashMap<String, String>;

impl Profile {
    /// The profile of the environment.
    fn of_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = PathBuf::from(variable("HOME").unwrap_or_default()).join(".aws");
        let file = |name: &str, otherwise: &str| variable(name).map_or_else(|| home.join(otherwise), PathBuf::from);
        Self {
            name: variable("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()),
            files: [file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), file("AWS_CONFIG_FILE", "config")],
        }
    }

    /// The profile of the environment, if it holds keys.
    pub(crate) fn with_keys() -> Result<Option<Self>> {
        let profile = Self::of_environment();
        let is_named = std::env::var_os("AWS_PROFILE").is_some_and(|name| !name.is_empty());
        match profile.keys() {
            Ok(_) => Ok(Some(profile)),
            Err(error) if is_named => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The region of the profile of the environment.
    pub(crate) fn region() -> Option<String> {
        Self::of_environment().settings().remove("region")
    }

    /// Its keys, as they are in the files now.
    pub(crate) fn keys(&self) -> Result<AwsCredential> {
        let mut settings = self.settings();
        let is_otherwise = |name: &&str| settings.contains_key(*name);
        let otherwise =
            ["sso_session", "sso_start_url", "role_arn", "credential_process"].into_iter().find(is_otherwise);
        match (settings.remove("aws_access_key_id"), settings.remove("aws_secret_access_key"), otherwise) {
            (Some(key_id), Some(secret_key), _) => {
                Ok(AwsCredential { key_id, secret_key, token: settings.remove("aws_session_token") })
            }
            (.., Some(way)) => Err(Error::stop(format!(
                "the AWS profile {:?} signs in by {way}, which is not supported: export its keys (aws configure \
                 export-credentials --profile {} --format env)",
                self.name, self.name
            ))),
            _ => Err(Error::stop(format!(
                "the AWS profile {:?} has no aws_access_key_id and aws_secret_access_key in {}",
                self.name,
                self.files[0].display()
            ))),
        }
    }

    /// Its settings in both files; those of the file for credentials stand before the others.
    fn settings(&self) -> Settings {
        let [credentials, config] = &self.files;
        let read = |file: &PathBuf| std::fs::read_to_string(file).unwrap_or_default();
        let mut settings = section(&read(config), &format!("profile {}", self.name));
        if self.name == "default" {
            settings.extend(section(&read(config), "default"));
        }
        settings.extend(section(&read(credentials), &self.name));
        settings
    }
}

/// The settings of a section.
fn section(text: &str, name: &str) -> Settings {
    let mut settings = Settings::new();
    let mut is_inside = false;
    for line in text.lines() {
        if let Some(found) = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_inside = found.split_whitespace().eq(name.split_whitespace());
        } else if let Some((key, value)) =
            line.split_once('=').filter(|(key, _)| is_inside && !key.starts_with([' ', '\t', '#']))
        {
            settings.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str, credentials: &str, config: &str) -> (tempfile::TempDir, Profile) {
        let folder = tempfile::tempdir().unwrap();
        let files = ["credentials", "config"].map(|file| folder.path().join(file));
        std::fs::write(&files[0], credentials).unwrap();
        std::fs::write(&files[1], config).unwrap();
        (folder, Profile { name: name.into(), files })
    }

    #[test]
    fn keys_and_region_are_read_from_both_files_as_they_are_now() {
        let credentials = "[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n[team]\naws_access_key_id=C\n\
                           # aws_session_token = old\naws_secret_access_key = D=\naws_session_token = E\n";
        let (_folder, team) = profile("team", credentials, "[profile team]\nregion = eu-west-1\ns3 =\n  region = no\n");
        let keys = team.keys().unwrap();
        assert_eq!((keys.key_id.as_str(), keys.secret_key.as_str(), keys.token.as_deref()), ("C", "D=", Some("E")));
        assert_eq!(team.settings()["region"], "eu-west-1");
        std::fs::write(&team.files[0], credentials.replace("=C", "=NEW")).unwrap();
        assert_eq!(team.keys().unwrap().key_id, "NEW");
    }

    #[test]
    fn a_profile_without_keys_says_what_it_lacks() {
        let (_folder, sso) = profile("sso", "", "[profile sso]\nsso_session = corp\nregion = us-east-1\n");
        assert!(sso.keys().unwrap_err().to_string().contains("export-credentials --profile sso"));
        let (_folder, none) = profile("none", "[other]\naws_access_key_id = A\naws_secret_access_key = B\n", "");
        assert!(none.keys().unwrap_err().to_string().contains("has no aws_access_key_id"));
    }
}
