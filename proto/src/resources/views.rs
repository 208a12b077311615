//! Parts and sums of [`Resources`]: by reservation, by role, by name.

use std::collections::BTreeMap;

use super::{Name, Quantities, Ranges, Reservation, Resource, Resources, Role, Scalar};

/// What two [`Resources`] differ by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// What only the newer has.
    pub added: Resources,
    /// What only the older has.
    pub removed: Resources,
}

/// Parts.
impl Resources {
    /// The entries that `keep` is true of.
    pub fn filter(&self, keep: impl Fn(&Resource) -> bool) -> Self {
        Self::from_sorted(self.iter().filter(|resource| keep(resource)).cloned().collect())
    }

    /// What nobody has reserved.
    pub fn unreserved(&self) -> Self {
        self.filter(Resource::is_unreserved)
    }

    /// What anybody has reserved.
    pub fn reserved(&self) -> Self {
        self.filter(|resource| !resource.is_unreserved())
    }

    /// What is reserved to exactly `role`.
    pub fn reserved_to(&self, role: &Role) -> Self {
        self.filter(|resource| resource.is_reserved_to(role))
    }

    /// What is reserved to `role` or to one under it: what its quota pays for.
    pub fn reserved_within(&self, role: &Role) -> Self {
        self.filter(|resource| resource.reserved_role().is_some_and(|own| own.is_within(role)))
    }

    /// What `role` may be offered: unreserved, or reserved to it or to one above it.
    pub fn for_role(&self, role: &Role) -> Self {
        self.filter(|resource| resource.is_allocatable_to(role))
    }

    /// What may be taken back at any time.
    pub fn revocable(&self) -> Self {
        self.filter(Resource::is_revocable)
    }

    /// What stays until it is given back.
    pub fn non_revocable(&self) -> Self {
        self.filter(|resource| !resource.is_revocable())
    }

    /// What several may use at once.
    pub fn shared(&self) -> Self {
        self.filter(Resource::is_shared)
    }

    /// What one may use at a time.
    pub fn non_shared(&self) -> Self {
        self.filter(|resource| !resource.is_shared())
    }

    /// The volumes whose data stays.
    pub fn persistent_volumes(&self) -> Self {
        self.filter(Resource::is_persistent_volume)
    }

    /// The part called `name`.
    pub fn named(&self, name: &Name) -> Self {
        self.filter(|resource| resource.name() == name)
    }

    /// By the role that each entry is reserved to; what is unreserved is left out.
    pub fn reservations(&self) -> BTreeMap<Role, Self> {
        let mut by_role: BTreeMap<Role, Self> = BTreeMap::new();
        for resource in self {
            if let Some(role) = resource.reserved_role() {
                by_role.entry(role.clone()).or_default().add(resource.clone());
            }
        }
        by_role
    }

    /// By the role that each entry is allocated to; what is allocated to nobody is left out.
    pub fn allocations(&self) -> BTreeMap<Role, Self> {
        let mut by_role: BTreeMap<Role, Self> = BTreeMap::new();
        for resource in self {
            if let Some(role) = resource.allocation_role() {
                by_role.entry(role.clone()).or_default().add(resource.clone());
            }
        }
        by_role
    }

    /// What `newer` has more and less than this.
    pub fn diff(&self, newer: &Self) -> Diff {
        Diff { added: newer.clone() - self, removed: self.clone() - newer }
    }
}

/// Changes of what qualifies every entry.
impl Resources {
    /// The same, all offered or allocated to `role`.
    pub fn allocated_to(&self, role: &Role) -> Self {
        self.with_allocation(Some(role))
    }

    /// The same, all allocated to nobody.
    pub fn unallocated(&self) -> Self {
        self.with_allocation(None)
    }

    /// The same, without any reservation.
    pub fn without_reservations(&self) -> Self {
        self.iter().cloned().map(Resource::without_reservations).collect()
    }

    /// The same with one more reservation on top of each entry.
    pub fn with_reservation(&self, reservation: &Reservation) -> Self {
        self.iter().map(|resource| resource.clone().with_reservation(reservation.clone())).collect()
    }

    /// The same without the reservation on top of each entry.
    pub fn without_last_reservation(&self) -> Self {
        self.iter().cloned().map(Resource::without_last_reservation).collect()
    }

    fn with_allocation(&self, role: Option<&Role>) -> Self {
        let first = self.iter().next().and_then(Resource::allocation_role);
        if self.iter().all(|resource| resource.allocation_role() == first) {
            // Nothing can merge, and the order stays: the hot path of every offer.
            let mut all = self.clone();
            all.entries_mut().iter_mut().for_each(|resource| resource.set_allocation(role));
            return all;
        }
        let change = |mut resource: Resource| {
            resource.set_allocation(role);
            resource
        };
        self.iter().cloned().map(change).collect()
    }
}

/// Sums, over all that qualifies entries. A shared resource counts once, whoever uses it.
impl Resources {
    /// The amount of the scalar resource `name`.
    pub fn scalar(&self, name: &str) -> Scalar {
        self.sum_where(|own| own.as_str() == name)
    }

    /// The amount of `cpus`, in cores.
    pub fn cpus(&self) -> Scalar {
        self.sum_where(|name| *name == Name::Cpus)
    }

    /// The amount of `mem`, in MiB.
    pub fn mem(&self) -> Scalar {
        self.sum_where(|name| *name == Name::Mem)
    }

    /// The amount of `disk`, in MiB.
    pub fn disk(&self) -> Scalar {
        self.sum_where(|name| *name == Name::Disk)
    }

    /// The amount of `gpus`.
    pub fn gpus(&self) -> Scalar {
        self.sum_where(|name| *name == Name::Gpus)
    }

    /// The ports.
    pub fn ports(&self) -> Ranges {
        let mut ports = Ranges::new();
        self.iter()
            .filter(|resource| *resource.name() == Name::Ports)
            .filter_map(Resource::as_ranges)
            .for_each(|ranges| ports += ranges);
        ports
    }

    /// The names, sorted, each once.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let mut last = None;
        self.iter().map(Resource::name).filter(move |name| last.replace(*name) != Some(*name))
    }

    /// The amounts of all scalar resources, for shares and quotas.
    pub fn quantities(&self) -> Quantities {
        self.iter().map(|resource| (resource.name().clone(), amount(resource))).collect()
    }

    /// The amounts of all scalar resources, for views.
    pub fn scalar_quantities(&self) -> BTreeMap<String, Scalar> {
        self.quantities().iter().map(|(name, amount)| (name.to_string(), amount)).collect()
    }

    fn sum_where(&self, wanted: impl Fn(&Name) -> bool) -> Scalar {
        self.iter().filter(|resource| wanted(resource.name())).map(amount).sum()
    }
}

fn amount(resource: &Resource) -> Scalar {
    let each = resource.as_scalar().unwrap_or(Scalar::ZERO);
    if resource.is_shared() { each } else { each.times(resource.copies()) }
}
