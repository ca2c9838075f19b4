//! Which addresses are on this machine, and a way to resolve names that gives no other.

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};

/// Whether a host, as it stands in an address, is this machine by its own words: 127.0.0.0/8, ::1, or `localhost`.
pub(super) fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => is_local(address),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether a host is written as a number, so that no name is looked up.
pub(super) fn is_number(url: &Url) -> bool {
    url.host_str().is_some_and(|host| host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok())
}

fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A name has no address on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not on this machine")]
pub(super) struct NotHere(pub(super) String);

/// The addresses of a name: blocking, as the system gives them.
type Lookup = fn(&str) -> std::io::Result<Vec<SocketAddr>>;

/// Resolves names and gives only addresses on this machine.
#[derive(Clone, Copy)]
pub(super) struct LoopbackOnly {
    lookup: Lookup,
}

impl LoopbackOnly {
    /// With the system's own lookup.
    pub(super) fn system() -> Self {
        Self { lookup: |name| std::net::ToSocketAddrs::to_socket_addrs(&(name, 0)).map(Iterator::collect) }
    }

    fn only_local(&self, name: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let mut found = (self.lookup)(name)?;
        found.retain(|address| is_local(address.ip()));
        if found.is_empty() { Err(Box::new(NotHere(name.to_owned()))) } else { Ok(found) }
    }
}

impl Resolve for LoopbackOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let this = *self;
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || this.only_local(&name)).await??;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others_however_it_is_written() {
        let here = [
            "http://127.0.0.1:8080/v1",
            "http://127.9.9.9",
            "http://[::1]:1/",
            "http://localhost/v1",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:127.0.0.1]/",
        ];
        let elsewhere = [
            "http://192.0.2.1/",
            "http://0.0.0.0/",
            "http://localhost.example.org/",
            "http://[2001:db8::1]/",
            "http://[::ffff:192.0.2.1]/",
            "http://127.0.0.1.example.org/",
        ];
        for (urls, expected) in [(&here[..], true), (&elsewhere[..], false)] {
            for url in urls {
                assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
            }
        }
    }

    #[test]
    fn a_name_that_points_elsewhere_is_refused_and_one_that_points_both_ways_keeps_this_machine() {
        fn planted(name: &str) -> std::io::Result<Vec<SocketAddr>> {
            Ok(match name {
                "here" => vec!["127.0.0.1:0".parse().unwrap()],
                "both" => vec!["203.0.113.5:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()],
                _ => vec!["203.0.113.5:0".parse().unwrap(), "10.0.0.1:0".parse().unwrap(), "0.0.0.0:0".parse().unwrap()],
            })
        }
        let resolver = LoopbackOnly { lookup: planted };
        assert_eq!(resolver.only_local("here").unwrap(), ["127.0.0.1:0".parse().unwrap()]);
        assert_eq!(resolver.only_local("both").unwrap(), ["127.0.0.2:0".parse().unwrap()]);
        let error = resolver.only_local("models").unwrap_err();
        assert_eq!(error.downcast_ref::<NotHere>(), Some(&NotHere("models".into())));
    }
}
