//! The name under which a role is reached.

use std::net::IpAddr;

/// The host's own name.
pub fn own() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A name for a role that listens on `ip`: the address when one was given, which surely resolves,
/// or else the host's own name.
pub fn of_listener(ip: IpAddr) -> String {
    if ip.is_unspecified() { own() } else { ip.to_string() }
}

/// Whether `name` could stand in a URL. Not whether it resolves.
pub fn is_usable(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn an_address_that_was_given_is_the_name_and_the_unspecified_one_never() {
        assert_eq!(of_listener(Ipv4Addr::LOCALHOST.into()), "127.0.0.1");
        for any in [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
            assert_eq!(of_listener(any), own());
        }
    }

    #[test]
    fn what_would_break_a_url_is_no_name() {
        for (name, usable) in
            [("host-1.example", true), ("::1", true), ("", false), ("a b", false), ("a/b", false)]
        {
            assert_eq!(is_usable(name), usable, "{name}");
        }
    }
}
