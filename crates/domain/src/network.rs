//! Networks of IP addresses, as the configuration names them, and which addresses may be called on behalf of others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that begin with the same bits: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is neither an address nor a network like 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| bad())?;
        if bits > most { Err(bad()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    /// Whether an address belongs to the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                (u32::from(ours) ^ u32::from(other)).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                (u128::from(ours) ^ u128::from(other)).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Which addresses may be called if someone else names them: the author of an alert rule, a server that redirects. They
/// could otherwise make this machine call its own network: a metadata service, a database, the router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Loopback, private, link-local and the like are allowed too.
    pub internal: bool,
}

impl AddressPolicy {
    /// Whether an address may be connected to. To be asked for the address that a name resolved to, so that a name that
    /// resolves differently the second time gains nothing.
    pub fn allows(self, address: IpAddr) -> bool {
        self.internal || is_public(address)
    }

    /// Whether the host of a URL may be called, as far as its text says: an IP address (of version 6 in brackets) or a
    /// name.
    pub fn allows_host(self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        match host.parse() {
            Ok(address) => self.allows(address),
            Err(_) => self.internal || !(host == "localhost" || host.ends_with(".localhost")),
        }
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
    fn a_network_contains_its_addresses() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let contains =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "9.9.9.9") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdff::1") && !contains("::1", "::2"));
    }

    #[test]
    fn internal_hosts_are_refused_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "172.20.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:7f00:1::]",
            "localhost",
            "localhost.",
            "a.localhost",
        ] {
            assert!(!AddressPolicy::default().allows_host(host), "{host}");
            assert!(AddressPolicy { internal: true }.allows_host(host), "{host}");
        }
        for host in ["hooks.slack.com", "8.8.8.8", "[2606:4700::1111]"] {
            assert!(AddressPolicy::default().allows_host(host), "{host}");
        }
    }
}
