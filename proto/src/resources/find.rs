//! Taking wanted quantities out of what there is, whoever they are reserved to.

use super::{Resource, Resources};

impl Resources {
    /// The part of this that amounts to `want`, whatever its reservations.
    ///
    /// For each entry wanted it takes first what is reserved to the same role, then what is
    /// unreserved, then the rest, as Mesos's `Resources::find`; several entries may make up one.
    /// What is taken for one entry isn't there for the next. A wanted entry that is allocated to
    /// no role is found in whatever allocation. `None` when any of it can't be found.
    pub fn find(&self, want: &Self) -> Option<Self> {
        let mut pool = self.clone();
        let mut found = Self::new();
        for wanted in want {
            let taken = find_one(&pool, wanted)?;
            pool -= &taken;
            found += taken;
        }
        Some(found)
    }
}

/// Takes `wanted` out of `pool`, from the best candidates first.
fn find_one(pool: &Resources, wanted: &Resource) -> Option<Resources> {
    let mut candidates: Vec<_> = pool.iter().filter(|there| fits(there, wanted)).collect();
    candidates.sort_by_key(|there| match wanted.reserved_role() {
        Some(role) if there.is_reserved_to(role) => 0,
        _ if there.is_unreserved() => 1,
        _ => 2,
    });

    let mut rest = Resources::from(wanted.clone());
    let mut taken = Resources::new();
    for there in candidates {
        let Some(missing) = rest.iter().next() else { break };
        let part = match there.is_indivisible() {
            true => there.clone().with_copies(there.copies().min(missing.copies())),
            false => there.clone().with_value(there.value().common(missing.value())),
        };
        // Asked back as it was wanted, so that it is of the kind that is missing.
        rest.subtract(&match there.is_indivisible() {
            true => wanted.clone().with_copies(part.copies()),
            false => wanted.clone().with_value(part.value().clone()),
        });
        taken.add(part);
    }
    rest.is_empty().then_some(taken)
}

/// Whether `there` could be taken for `wanted`, or a part of it, but for its reservations.
fn fits(there: &Resource, wanted: &Resource) -> bool {
    let allocated = match wanted.allocation_role() {
        Some(role) => there.clone().allocated_to(role),
        None => there.clone().unallocated(),
    };
    let same_allocation =
        wanted.allocation_role().is_none_or(|role| there.allocation_role() == Some(role));
    same_allocation && allocated.with_reservations(wanted.reservations()).cmp_kind(wanted).is_eq()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Role;

    fn resources(text: &str) -> Resources {
        Resources::parse(text, &Role::star()).unwrap()
    }

    #[test]
    fn the_wanted_role_is_taken_first_then_unreserved_then_the_rest() {
        let pool = resources("cpus:1;cpus(a):1;cpus(b):1;mem:10");
        for (want, found) in [
            ("cpus:1", Some("cpus:1")),
            ("cpus:2", Some("cpus:1;cpus(a):1")),
            ("cpus(b):1", Some("cpus(b):1")),
            ("cpus(b):2", Some("cpus(b):1;cpus:1")),
            ("cpus(b):2.5", Some("cpus(b):1;cpus:1;cpus(a):0.5")),
            ("cpus:3;mem:10", Some("cpus:1;cpus(a):1;cpus(b):1;mem:10")),
            ("cpus:3.001", None),
            ("cpus:1;disk:1", None),
            ("cpus(a):2;cpus(b):2", None),
        ] {
            assert_eq!(pool.find(&resources(want)), found.map(resources), "{want}");
        }
    }

    #[test]
    fn ranges_are_found_piece_by_piece() {
        let pool = resources("ports:[1-5];ports(a):[6-10]");
        let found = pool.find(&resources("ports:[4-7]")).unwrap();
        assert_eq!(found, resources("ports:[4-5];ports(a):[6-7]"));
        assert_eq!(pool.find(&resources("ports:[10-11]")), None);
    }

    #[test]
    fn a_want_without_an_allocation_is_found_in_any() {
        let role = Role::parse("dev").unwrap();
        let pool = resources("cpus:2").allocated_to(&role);
        let want = resources("cpus:1");
        assert_eq!(pool.find(&want), Some(want.allocated_to(&role)));
        let other = Role::parse("ops").unwrap();
        assert_eq!(pool.find(&want.allocated_to(&other)), None);
    }
}
