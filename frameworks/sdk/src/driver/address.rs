//! A master's address: as configured, and as a redirect names it.

use std::fmt;

/// `HOST:PORT`, IPv6 in brackets, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// Why a text names no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No address was given at all.
    #[error("no master was named: give HOST:PORT")]
    NoMaster,
    /// What was given isn't an address.
    #[error("{0:?} is not the address of a master: it must be HOST:PORT, with IPv6 in brackets")]
    Malformed(String),
}

impl Address {
    /// Parses `HOST:PORT`; `http://` before it and slashes behind it are taken off.
    ///
    /// # Errors
    /// When the port or the host is missing, or IPv6 stands without brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(text.to_owned());
        let bare = text.trim();
        let bare = bare.strip_prefix("http://").unwrap_or(bare).trim_end_matches('/');
        let (host, port) = bare.rsplit_once(':').ok_or_else(malformed)?;
        let port: u16 = port.parse().map_err(|_| malformed())?;
        let good = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
            }
        };
        if !good || port == 0 {
            return Err(malformed());
        }
        Ok(Self(format!("{}:{port}", host.to_ascii_lowercase())))
    }

    /// Reads the `Location` of a 307: `//host:port/path`, `http://host:port/path` or `host:port`.
    /// `None` when it names no host, or a scheme that isn't spoken here.
    pub fn from_location(location: &str) -> Option<Self> {
        let location = location.trim();
        let rest = location
            .strip_prefix("http://")
            .or_else(|| location.strip_prefix("//"))
            .unwrap_or(location);
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
        Self::parse(authority).ok()
    }

    /// `HOST:PORT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, parsed) in [
            ("127.0.0.1:5050", Some("127.0.0.1:5050")),
            (" Master.Example:5050 ", Some("master.example:5050")),
            ("http://m1:5050/", Some("m1:5050")),
            ("[::1]:5050", Some("[::1]:5050")),
            ("::1:5050", None),
            ("[::1]", None),
            ("m1", None),
            (":5050", None),
            ("m1:0", None),
            ("m1:70000", None),
            ("m 1:5050", None),
            ("", None),
        ] {
            let address = Address::parse(text);
            assert_eq!(address.as_ref().ok().map(Address::as_str), parsed, "{text:?}");
        }
    }

    #[test]
    fn a_redirect_names_the_leader_with_or_without_a_scheme() {
        for (location, leader) in [
            ("//10.0.0.2:5050/api/v1/scheduler", Some("10.0.0.2:5050")),
            ("//[fe80::1]:5050/api/v1/scheduler?x=1", Some("[fe80::1]:5050")),
            ("http://m2:5050/api/v1/scheduler", Some("m2:5050")),
            ("m2:5050", Some("m2:5050")),
            ("/api/v1/scheduler", None),
            ("https://m2:5050/", None),
            ("", None),
        ] {
            let found = Address::from_location(location);
            assert_eq!(found.as_ref().map(Address::as_str), leader, "{location:?}");
        }
    }
}
