//! Where a request comes from: the address of the connection, or what a trusted proxy says of it.

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};
use domain::Network;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The header in which trusted proxies say who asks. Only one is believed: the other would be the client's own words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

/// The address of whoever asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// The address of a request; `header` of `trusted` proxies is believed.
    pub(crate) fn of(
        extensions: &Extensions,
        headers: &HeaderMap,
        trusted: &[Network],
        header: ForwardedHeader,
    ) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self(client(peer, headers, trusted, header))
    }
}

/// The last address that no trusted proxy has: each proxy adds the one that it was asked by at the end.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network], header: ForwardedHeader) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let name = match header {
        ForwardedHeader::XForwardedFor => "x-forwarded-for",
        ForwardedHeader::Forwarded => "forwarded",
    };
    let lines: Vec<&str> = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let address = match header {
            ForwardedHeader::XForwardedFor => address_of(hop),
            ForwardedHeader::Forwarded => forwarded_for(hop).and_then(address_of),
        };
        // Something else than an address (`unknown`): nothing before it can be told either.
        let Some(address) = address else { break };
        client = address;
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// The `for` of one element of a `Forwarded` header.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, value)| value.trim_matches('"'))
}

/// An address, with or without a port.
fn address_of(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, header: &'static str, lines: &[&'static str]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "::1"].iter().map(|text| text.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header, line.parse().unwrap());
        }
        let kind = if header == "forwarded" { ForwardedHeader::Forwarded } else { ForwardedHeader::XForwardedFor };
        client(peer.parse().unwrap(), &headers, &trusted, kind).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let xff = "x-forwarded-for";
        assert_eq!(seen("203.0.113.9", xff, &["1.2.3.4"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", xff, &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(seen("::ffff:10.0.0.1", xff, &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(
            seen("10.0.0.1", xff, &["6.6.6.6, 1.2.3.4, 10.0.0.2"]),
            "1.2.3.4",
            "what a client wrote comes first"
        );
        assert_eq!(seen("10.0.0.1", xff, &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(seen("10.0.0.1", xff, &["6.6.6.6, unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", xff, &[]), "10.0.0.1");
        assert_eq!(seen("::1", "forwarded", &["for=6.6.6.6, for=\"[2001:db8::7]:4711\";proto=https"]), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", "x-real-ip", &["6.6.6.6"]), "10.0.0.1");
    }
}
