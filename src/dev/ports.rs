//! Which port a role of the cluster takes.

use std::net::{Ipv4Addr, TcpListener};

use crate::ops::Failure;

/// How far from the usual port a free one is looked for.
const NEIGHBOURS: u16 = 100;

/// The port that was asked for, or the usual one, or the next that is free.
///
/// # Errors
/// The port that was asked for is taken, or all are.
pub(super) fn choose(role: &str, asked: Option<u16>, usual: u16) -> Result<u16, Failure> {
    if let Some(port) = asked {
        return match port == 0 || is_free(port) {
            true => Ok(port),
            false => Err(Failure::new(format!("port {port} is in use: {role} can't listen there"))),
        };
    }
    let port = (usual..=usual + NEIGHBOURS).find(|port| is_free(*port)).ok_or_else(|| {
        Failure::new(format!("ports {usual} to {} are in use", usual + NEIGHBOURS))
            .hint(format!("name one with --{role}-port"))
    })?;
    if port != usual {
        println!("port {usual} is in use: the {role} listens on {port}");
    }
    Ok(port)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_asked_for_is_taken_or_refused_and_the_usual_one_gives_way() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = taken.local_addr().expect("it is bound").port();
        let error = choose("master", Some(port), 5050).expect_err("it is taken").to_string();
        assert_eq!(error, format!("port {port} is in use: master can't listen there"));
        let next = choose("master", None, port).expect("a free port near");
        assert!(next > port);
    }
}
