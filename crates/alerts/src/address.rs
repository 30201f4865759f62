//! Which addresses a rule may call. A user who may write rules could otherwise make this machine call its own network:
//! the metadata service, a database, the router. The check is made on the address that is really connected to, inside the
//! HTTP client's resolver, so that a name that resolves differently the second time (DNS rebinding) gains nothing.
//! Redirects are off, proxies are not read from the environment.

use crate::error::Error;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// What may be called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Loopback, private, link-local and the like are allowed too (a receiver in the same house).
    pub internal: bool,
}

impl AddressPolicy {
    /// Whether an address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        self.internal || is_public(address)
    }

    /// Reads a web address and refuses what is plainly forbidden: other schemes, credentials in it, internal addresses.
    pub fn check(self, address: &str) -> Result<Url, Error> {
        let url = Url::parse(address).map_err(|_| Error::Address(host_part(address).to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Address(url.origin().ascii_serialization()));
        }
        let allowed = match url.host() {
            Some(Host::Ipv4(ip)) => self.allows(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => self.allows(IpAddr::V6(ip)),
            Some(Host::Domain(name)) => self.internal || !(name == "localhost" || name.ends_with(".localhost")),
            None => return Err(Error::Address(host_part(address).to_owned())),
        };
        if allowed { Ok(url) } else { Err(Error::Forbidden(url.host_str().unwrap_or_default().to_owned())) }
    }

    /// An HTTP client that connects to allowed addresses only.
    pub fn client(self) -> Result<reqwest::Client, Error> {
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(GuardedResolver(self)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .user_agent(concat!("overheard/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(client)
    }
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

/// Whether an address lies on the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)        // this network, private, loopback, multicast, reserved
            | (100, 64..=127, _)                 // carrier-grade NAT
            | (169, 254, _)                      // link-local, cloud metadata
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)                    // protocol assignments, documentation
            | (192, 88, 99)
            | (198, 18..=19, _)                  // benchmarks
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    // Embedded IPv4: mapped, NAT64, 6to4 are as public as the address inside.
    let embedded = match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = embedded {
        return is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    }
    // Only global unicast, less documentation and the tunnels and protocols of 2001::/23.
    (s[0] & 0xe000) == 0x2000 && !(s[0] == 0x2001 && (s[1] < 0x0200 || s[1] == 0x0db8)) && s[0] != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_refused_in_every_spelling() {
        let policy = AddressPolicy::default();
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost:8080/x",
            "http://10.1.2.3/",
            "http://169.254.169.254/latest/meta-data",
            "http://172.20.0.1/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[fe80::1]/",
            "http://[fd00::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[64:ff9b::a00:1]/",
            "http://[2002:7f00:1::]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://a.localhost/",
        ] {
            assert!(matches!(policy.check(url), Err(Error::Forbidden(_))), "{url}");
        }
        for url in ["file:///etc/passwd", "gopher://x", "http://user:secret@example.org/", "nothing"] {
            assert!(matches!(policy.check(url), Err(Error::Address(_))), "{url}");
        }
    }

    #[test]
    fn an_address_that_cant_be_read_is_told_without_its_secret() {
        for url in ["hooks.slack.com/services/T0/B0/SECRET", "https://user:SECRET@ex ample.org/SECRET", "//SECRET"] {
            let error = AddressPolicy::default().check(url).unwrap_err().to_string();
            assert!(!error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn public_addresses_are_allowed_and_internal_ones_when_configured() {
        for url in ["https://hooks.slack.com/services/1", "http://8.8.8.8/", "https://[2606:4700::1111]/"] {
            assert!(AddressPolicy::default().check(url).is_ok(), "{url}");
        }
        assert!(AddressPolicy { internal: true }.check("http://127.0.0.1:9/").is_ok());
    }
}
