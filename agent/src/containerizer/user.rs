//! Users of the host by name and by number, as its name service knows them.
//!
//! May block (LDAP, for instance), so never called in the launcher nor on an async thread.

use std::ffi::CString;
use std::io;

use nix::unistd::{self, Gid, Group, Uid, getgrouplist};

/// A user to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Numeric user id.
    pub(crate) uid: u32,
    /// Its first group.
    pub(crate) gid: u32,
    /// All its groups, the first included.
    pub(crate) groups: Vec<u32>,
}

/// Why a user can't be run as.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    /// The host has no such user.
    #[error("no such user: {0}")]
    Unknown(String),
    /// The name service failed.
    #[error("look up user {name}")]
    Lookup {
        /// Whom.
        name: String,
        /// What it said.
        source: io::Error,
    },
}

/// Finds a user by name.
///
/// # Errors
/// See [`UserError`].
pub(crate) fn find(name: &str) -> Result<User, UserError> {
    let unknown = || UserError::Unknown(name.to_owned());
    // A name with a NUL byte is nobody's, and must not get to the name service.
    let wanted = CString::new(name).map_err(|_| unknown())?;
    let found = unistd::User::from_name(name)
        .map_err(|errno| UserError::Lookup { name: name.to_owned(), source: errno.into() })?;
    let unistd::User { uid, gid, .. } = found.ok_or_else(unknown)?;
    // Only the first where the name service doesn't tell.
    let groups = getgrouplist(&wanted, gid).unwrap_or_else(|_| vec![gid]);
    let groups = groups.into_iter().map(Gid::as_raw).collect();
    Ok(User { uid: uid.as_raw(), gid: gid.as_raw(), groups })
}

/// The name of a user, or the number as text where it has none.
pub(crate) fn name_of(uid: u32) -> String {
    let found = unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The name of a group, or the number as text where it has none.
pub(crate) fn group_name_of(gid: u32) -> String {
    let found = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    found.map_or_else(|| gid.to_string(), |group| group.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        let root = find("root").expect("every host has it");
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        assert_eq!(name_of(0), "root");
        assert_eq!(group_name_of(0), "root");
    }

    #[test]
    fn an_unknown_user_is_an_error_and_an_unknown_number_itself() {
        for name in ["no-such-user-here", "", "a\0b"] {
            assert!(matches!(find(name), Err(UserError::Unknown(_))), "{name:?}");
        }
        assert_eq!(name_of(3_999_999_999), "3999999999");
        assert_eq!(group_name_of(3_999_999_999), "3999999999");
    }
}
