//! The HTTP client of the notifiers, which calls only what [`AddressPolicy`] allows. The check is made on the address that
//! is really connected to, inside the client's resolver, so that a name that resolves differently the second time (DNS
//! rebinding) gains nothing. Redirects are off, proxies are not read from the environment.

use crate::error::Error;
use domain::AddressPolicy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Reads a web address and refuses what is plainly forbidden: other schemes, credentials in it, internal addresses.
pub(crate) fn checked(address: &str, policy: AddressPolicy) -> Result<Url, Error> {
    let url = Url::parse(address).map_err(|_| Error::Address(host_part(address).to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Address(url.origin().ascii_serialization()));
    }
    let host = url.host_str().ok_or_else(|| Error::Address(host_part(address).to_owned()))?.to_owned();
    if policy.allows_host(&host) { Ok(url) } else { Err(Error::Forbidden(host)) }
}

/// An HTTP client that connects to allowed addresses only.
pub fn client(policy: AddressPolicy) -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .dns_resolver(Arc::new(GuardedResolver(policy)))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(30))
        .user_agent(concat!("overheard/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}

/// The beginning of an address that can't be read. The rest may be a secret, as in the addresses of chat webhooks.
fn host_part(address: &str) -> &str {
    let address = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
    let host = address.split(['/', '?', '#']).next().unwrap_or_default();
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

/// Resolves names and hands on allowed addresses only.
#[derive(Debug)]
struct GuardedResolver(AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(
                    Box::new(Error::Forbidden(name.as_str().to_owned())) as Box<dyn std::error::Error + Send + Sync>
                );
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_refused_in_every_spelling() {
        let policy = AddressPolicy::default();
        for url in ["http://2130706433/", "http://0x7f.1/", "http://localhost:8080/x", "http://[::ffff:10.0.0.1]/"] {
            assert!(matches!(checked(url, policy), Err(Error::Forbidden(_))), "{url}");
        }
        for url in ["file:///etc/passwd", "gopher://x", "http://user:secret@example.org/", "nothing"] {
            assert!(matches!(checked(url, policy), Err(Error::Address(_))), "{url}");
        }
        assert!(checked("https://hooks.slack.com/services/1", policy).is_ok());
        assert!(checked("http://127.0.0.1:9/", AddressPolicy { internal: true }).is_ok());
    }

    #[test]
    fn an_address_that_cant_be_read_is_told_without_its_secret() {
        for url in ["hooks.slack.com/services/T0/B0/SECRET", "https://user:SECRET@ex ample.org/SECRET", "//SECRET"] {
            let error = checked(url, AddressPolicy::default()).unwrap_err().to_string();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
