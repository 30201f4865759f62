//! Settings of the HTTP server. The binary turns them into the server's own type.

use super::bounds::within;
use super::limits::LimitsConfig;
use super::words::word;
use crate::secrets;
use anyhow::{Context, Result, bail};
use domain::Network;
use engines::OpenIdSettings;
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on.
    pub bind: String,
    /// Where a process without the role serve answers /healthz, /readyz and /metrics; empty: nowhere.
    pub health_bind: String,
    /// Address by which people reach the dashboard; empty: http:// and `bind`.
    pub public_url: String,
    pub tls: TlsConfig,
    pub openid: OpenIdConfig,
    /// Environment variable with the token that reads `/metrics`; empty: anybody does.
    pub metrics_token_env: String,
    /// Platforms of whose posts an export holds the id and what was understood only.
    pub export_ids_only: Vec<String>,
    pub limits: LimitsConfig,
    /// Other origins whose pages may write with a session.
    pub origins: Vec<String>,
    /// Other names that the server answers to.
    pub allowed_hosts: Vec<String>,
    /// Addresses and networks of proxies that are believed about who asks.
    pub trusted_proxies: Vec<String>,
    /// The header in which they say it.
    #[serde(deserialize_with = "word")]
    pub forwarded_header: ForwardedHeader,
    /// Environment variable with the first admin's password.
    pub admin_password_env: String,
    /// File with the first admin's password.
    pub admin_password_file: String,
    /// Days that the audit log is kept.
    pub audit_days: u32,
    /// Days after which a session ends.
    pub session_days: u64,
}

/// HTTPS without a proxy.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// File with the certificate and those that lead to its authority, PEM; empty: the server speaks HTTP.
    pub certificate: String,
    /// File with the certificate's key, PEM.
    pub key: String,
}

impl TlsConfig {
    pub fn is_on(&self) -> bool {
        !self.certificate.is_empty()
    }
}

/// Sign-in with an identity provider.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenIdConfig {
    /// Address of the provider; empty: people sign in with passwords only.
    pub issuer: String,
    /// Text of the sign-in button.
    pub name: String,
    pub client_id: String,
    /// Environment variable, or file, with the client's secret.
    pub client_secret_env: String,
    pub client_secret_file: String,
    /// Scopes that are asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that becomes the user's name.
    pub name_claim: String,
    /// The claim that lists the user's groups.
    pub groups_claim: String,
    /// Groups whose members have each role; `*`: everyone whom the provider signs in.
    pub admins: Vec<String>,
    pub analysts: Vec<String>,
    pub viewers: Vec<String>,
}

impl OpenIdConfig {
    pub fn is_on(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// What the client needs; none: it is off.
    pub fn settings(&self) -> Result<Option<OpenIdSettings>> {
        if !self.is_on() {
            return Ok(None);
        }
        let secret = secrets::read(&self.client_secret_env, &self.client_secret_file);
        Ok(Some(OpenIdSettings {
            name: self.name.clone(),
            issuer: self.issuer()?,
            client_id: self.client_id.clone(),
            client_secret: secret.context("server.openid: client_secret_env or client_secret_file")?,
            scopes: self.scopes.clone(),
            name_claim: self.name_claim.clone(),
            groups_claim: self.groups_claim.clone(),
        }))
    }

    fn issuer(&self) -> Result<url::Url> {
        let parsed = self.issuer.parse();
        parsed.with_context(|| format!("server.openid.issuer = {:?} is not a web address", self.issuer))
    }

    fn check(&self) -> Result<()> {
        if !self.is_on() {
            return Ok(());
        }
        self.issuer()?;
        let needed = [("name", &self.name), ("client_id", &self.client_id), ("name_claim", &self.name_claim)];
        if let Some((key, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
            bail!("server.openid: set {key} as well as issuer");
        }
        if self.admins.iter().any(|group| group == "*") {
            bail!("server.openid.admins must name groups, not \"*\": everyone would be an admin");
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    XForwardedFor,
    Forwarded,
}

impl ServerConfig {
    /// The dashboard's address, without a slash at its end.
    pub fn address(&self) -> String {
        match self.public_url.trim_end_matches('/') {
            "" => self.local_address(),
            public => public.to_owned(),
        }
    }

    /// The address by `bind`.
    pub fn local_address(&self) -> String {
        format!("{}://{}", if self.tls.is_on() { "https" } else { "http" }, self.bind)
    }

    /// Where to listen.
    pub fn bind(&self) -> Result<SocketAddr> {
        self.bind.parse().with_context(|| {
            format!("server.bind = {:?} is not an address with a port, like 127.0.0.1:8480", self.bind)
        })
    }

    /// Where a process without the role `serve` answers its health pages.
    pub fn health_bind(&self) -> Result<Option<SocketAddr>> {
        if self.health_bind.is_empty() {
            return Ok(None);
        }
        let bind = self.health_bind.parse().with_context(|| {
            format!("server.health_bind = {:?} is not an address with a port, like 0.0.0.0:8481", self.health_bind)
        })?;
        Ok(Some(bind))
    }

    /// The origin by which people reach the dashboard; none: by `bind`.
    pub fn public_origin(&self) -> Result<Option<String>> {
        let given = (!self.public_url.is_empty()).then_some(self.public_url.as_str());
        given.map(|url| origin("server.public_url", url)).transpose()
    }

    /// Other origins whose pages may write with a session.
    pub fn other_origins(&self) -> Result<Vec<String>> {
        self.origins.iter().map(|url| origin("server.origins", url)).collect()
    }

    /// Networks of proxies that are believed about the client's address.
    pub fn proxies(&self) -> Result<Vec<Network>> {
        let network = |text: &String| text.parse::<Network>().map_err(anyhow::Error::msg);
        self.trusted_proxies.iter().map(network).collect::<Result<_>>().context("read server.trusted_proxies")
    }

    /// The token that reads `/metrics`; none: anyone may read them.
    pub fn metrics_token(&self) -> Result<Option<String>> {
        let name = &self.metrics_token_env;
        if name.is_empty() {
            return Ok(None);
        }
        let token = secrets::read(name, "").with_context(|| format!("server.metrics_token_env: set {name}"))?;
        Ok(Some(token.expose_secret().to_owned()))
    }

    /// The first admin's password, where a variable or a file is named for it.
    pub fn first_admin_password(&self) -> Result<Option<String>> {
        let (variable, file) = (&self.admin_password_env, &self.admin_password_file);
        if variable.is_empty() && file.is_empty() {
            return Ok(None);
        }
        let password = secrets::read(variable, file);
        let password = password.context("server.admin_password_env and server.admin_password_file: set one of them")?;
        Ok(Some(password.expose_secret().to_owned()))
    }

    /// Checks the lists of names. There are no wildcards.
    fn check_names(&self) -> Result<()> {
        let is_host =
            |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.[]:".contains(c));
        if let Some(name) = self.allowed_hosts.iter().find(|name| !is_host(name)) {
            bail!("server.allowed_hosts: {name:?} is not the name of a host, like overheard.example.org");
        }
        let is_platform =
            |name: &String| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "*:".contains(c));
        if let Some(name) = self.export_ids_only.iter().find(|name| !is_platform(name)) {
            bail!("server.export_ids_only: {name:?} is not the name of a platform, like x");
        }
        Ok(())
    }

    /// Checks what types can't express.
    pub(super) fn check(&self) -> Result<()> {
        self.bind()?;
        self.health_bind()?;
        self.public_origin()?;
        self.other_origins()?;
        self.proxies()?;
        if self.tls.certificate.is_empty() != self.tls.key.is_empty() {
            bail!("server.tls: set both certificate and key, or neither");
        }
        self.check_names()?;
        self.openid.check()?;
        self.limits.check()?;
        within(
            "server",
            &[("audit_days", self.audit_days.into(), 1, 36_500), ("session_days", self.session_days, 1, 365)],
        )
    }
}

/// Scheme, host and port of a web address, as browsers write an origin.
fn origin(setting: &str, url: &str) -> Result<String> {
    let found = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let found = found.map(|url| url.origin()).filter(|origin| origin.is_tuple());
    let found = found
        .with_context(|| format!("{setting}: {url:?} is not a web address, like https://overheard.example.org"))?;
    Ok(found.ascii_serialization())
}
