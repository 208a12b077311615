//! One resource: a name, how much of it, and what qualifies it.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Disk, Name, Ranges, Reservation, ReservationKind, Role, Scalar, Set};
use crate::ids::ResourceProviderId;

/// How much of a resource there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// An amount.
    Scalar(Scalar),
    /// Numbers, such as ports.
    Ranges(Ranges),
    /// Named things.
    Set(Set),
}

/// One entry of [`super::Resources`].
///
/// Cheap to clone: names, roles and qualifiers are shared. Changed by value, `with_…` and
/// `without_…`; an entry inside [`super::Resources`] never changes in place but by its arithmetic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    name: Name,
    value: Value,
    allocation: Option<Role>,
    /// `None` for a plain unreserved resource, the most frequent by far.
    traits: Option<Arc<Traits>>,
    /// See [`Resource::copies`].
    copies: u32,
}

/// What qualifies an entry. Never equal to the default inside a [`Resource`]: that is `None`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Traits {
    reservations: Vec<Reservation>,
    disk: Option<Disk>,
    revocable: bool,
    shared: bool,
    provider: Option<ResourceProviderId>,
}

static PLAIN: Traits = Traits {
    reservations: Vec::new(),
    disk: None,
    revocable: false,
    shared: false,
    provider: None,
};

impl Value {
    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.is_zero(),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(set) => set.is_empty(),
        }
    }

    /// Whether all of `other` is in it; never across types.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(all), Self::Scalar(part)) => all >= part,
            (Self::Ranges(all), Self::Ranges(part)) => all.contains(part),
            (Self::Set(all), Self::Set(part)) => all.contains(part),
            _ => false,
        }
    }

    /// What is in both; nothing across types.
    pub fn common(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Scalar(a), Self::Scalar(b)) => Self::Scalar(*a.min(b)),
            (Self::Ranges(a), Self::Ranges(b)) => Self::Ranges(a.intersection(b)),
            (Self::Set(a), Self::Set(b)) => Self::Set(a.intersection(b)),
            _ => Self::Scalar(Scalar::ZERO),
        }
    }

    /// Adds `other`, of the same type.
    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(sum), Self::Scalar(more)) => *sum += *more,
            (Self::Ranges(sum), Self::Ranges(more)) => *sum += more,
            (Self::Set(sum), Self::Set(more)) => *sum += more,
            _ => debug_assert!(false, "only values of one type are added"),
        }
    }

    /// Takes `other`, of the same type, away, as far as it is there.
    pub(super) fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(left), Self::Scalar(less)) => *left = left.saturating_sub(*less),
            (Self::Ranges(left), Self::Ranges(less)) => *left -= less,
            (Self::Set(left), Self::Set(less)) => *left -= less,
            _ => debug_assert!(false, "only values of one type are subtracted"),
        }
    }

    fn type_rank(&self) -> u8 {
        match self {
            Self::Scalar(_) => 0,
            Self::Ranges(_) => 1,
            Self::Set(_) => 2,
        }
    }
}

impl Resource {
    /// `value` of the resource `name`: unreserved, not allocated, nothing special.
    pub fn new(name: Name, value: Value) -> Self {
        Self { name, value, allocation: None, traits: None, copies: 1 }
    }

    /// An amount of the resource `name`.
    pub fn scalar(name: Name, amount: Scalar) -> Self {
        Self::new(name, Value::Scalar(amount))
    }

    /// Numbers of the resource `name`.
    pub fn ranges(name: Name, ranges: Ranges) -> Self {
        Self::new(name, Value::Ranges(ranges))
    }

    /// What it is called.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How much there is.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Its amount, when it is a scalar.
    pub fn as_scalar(&self) -> Option<Scalar> {
        match self.value {
            Value::Scalar(amount) => Some(amount),
            _ => None,
        }
    }

    /// Its numbers, when it is ranges.
    pub fn as_ranges(&self) -> Option<&Ranges> {
        match &self.value {
            Value::Ranges(ranges) => Some(ranges),
            _ => None,
        }
    }

    /// Its items, when it is a set.
    pub fn as_set(&self) -> Option<&Set> {
        match &self.value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }

    /// The stack of reservations, the one in force last; empty when unreserved.
    pub fn reservations(&self) -> &[Reservation] {
        &self.traits().reservations
    }

    /// The role it is reserved to.
    pub fn reserved_role(&self) -> Option<&Role> {
        self.reservations().last().map(|reservation| &reservation.role)
    }

    /// What it is as a disk, beyond its size.
    pub fn disk(&self) -> Option<&Disk> {
        self.traits().disk.as_ref()
    }

    /// The id of the persistent volume that it is.
    pub fn persistence_id(&self) -> Option<&str> {
        self.disk()?.persistence.as_ref().map(|persistence| &*persistence.id)
    }

    /// Whether its use may be ended at any time.
    pub fn is_revocable(&self) -> bool {
        self.traits().revocable
    }

    /// Whether several may use it at once.
    pub fn is_shared(&self) -> bool {
        self.traits().shared
    }

    /// The provider on the agent that it comes from; `None` for the agent itself.
    pub fn provider(&self) -> Option<&ResourceProviderId> {
        self.traits().provider.as_ref()
    }

    /// The role it is offered or allocated to.
    pub fn allocation_role(&self) -> Option<&Role> {
        self.allocation.as_ref()
    }

    /// How many times it is there: once a consumer for a shared resource, else once.
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// Whether there is nothing of it.
    pub fn is_empty(&self) -> bool {
        self.copies == 0 || self.value.is_empty()
    }

    /// Whether it has no reservation.
    pub fn is_unreserved(&self) -> bool {
        self.reservations().is_empty()
    }

    /// Whether it is reserved to exactly `role`.
    pub fn is_reserved_to(&self, role: &Role) -> bool {
        self.reserved_role() == Some(role)
    }

    /// Whether the reservation in force was made by an operation.
    pub fn is_dynamically_reserved(&self) -> bool {
        self.reservations().last().is_some_and(|last| last.kind == ReservationKind::Dynamic)
    }

    /// Whether a reservation refines another: the old format can't say so.
    pub fn is_refined(&self) -> bool {
        self.reservations().len() > 1
    }

    /// Whether `role` may have it: it is unreserved, or reserved to `role` or to one above it.
    pub fn is_allocatable_to(&self, role: &Role) -> bool {
        self.reserved_role().is_none_or(|reserved| role.is_within(reserved))
    }

    /// Whether it is a volume whose data stays.
    pub fn is_persistent_volume(&self) -> bool {
        self.persistence_id().is_some()
    }

    /// Whether it is taken whole or not at all. So are shared resources, and some disks
    /// ([`Disk::is_indivisible`]).
    pub fn is_indivisible(&self) -> bool {
        self.traits.as_ref().is_some_and(|traits| {
            traits.shared || traits.disk.as_ref().is_some_and(Disk::is_indivisible)
        })
    }

    /// The same with another value.
    pub fn with_value(self, value: Value) -> Self {
        Self { value, ..self }
    }

    /// The same, offered or allocated to `role`.
    pub fn allocated_to(self, role: &Role) -> Self {
        Self { allocation: Some(role.clone()), ..self }
    }

    /// The same, allocated to nobody.
    pub fn unallocated(self) -> Self {
        Self { allocation: None, ..self }
    }

    /// The same with one more reservation on top.
    pub fn with_reservation(self, reservation: Reservation) -> Self {
        self.with_traits(|traits| traits.reservations.push(reservation))
    }

    /// The same without the reservation on top.
    pub fn without_last_reservation(self) -> Self {
        self.with_traits(|traits| drop(traits.reservations.pop()))
    }

    /// The same with these reservations, and no others.
    pub fn with_reservations(self, reservations: &[Reservation]) -> Self {
        if self.reservations() == reservations {
            return self;
        }
        self.with_traits(|traits| traits.reservations = reservations.to_vec())
    }

    /// The same without any reservation.
    pub fn without_reservations(self) -> Self {
        self.with_reservations(&[])
    }

    /// The same as this disk.
    pub fn with_disk(self, disk: Option<Disk>) -> Self {
        self.with_traits(|traits| traits.disk = disk)
    }

    /// The same, its use open to be ended at any time or not.
    pub fn with_revocable(self, revocable: bool) -> Self {
        self.with_traits(|traits| traits.revocable = revocable)
    }

    /// The same, open to several users or not.
    pub fn with_shared(self, shared: bool) -> Self {
        self.with_traits(|traits| traits.shared = shared)
    }

    /// The same from this provider.
    pub fn with_provider(self, provider: Option<ResourceProviderId>) -> Self {
        self.with_traits(|traits| traits.provider = provider)
    }

    /// The same, there `copies` times.
    pub(super) fn with_copies(self, copies: u32) -> Self {
        Self { copies, ..self }
    }

    /// Orders entries by everything that keeps them from adding up. Equal: they add up.
    pub(super) fn cmp_kind(&self, other: &Self) -> Ordering {
        self.name
            .cmp(&other.name)
            .then_with(|| self.value.type_rank().cmp(&other.value.type_rank()))
            .then_with(|| self.cmp_traits(other))
            .then_with(|| match self.allocation == other.allocation {
                // Mostly clones of one role, which `==` tells by their address.
                true => Ordering::Equal,
                false => self.allocation.cmp(&other.allocation),
            })
            .then_with(|| match self.is_indivisible() {
                true => self.value.cmp(&other.value),
                false => Ordering::Equal,
            })
    }

    /// Whether all of `other`, which is of the same kind, is in it.
    pub(super) fn contains_alike(&self, other: &Self) -> bool {
        match self.is_indivisible() {
            true => self.copies >= other.copies,
            false => self.value.contains(&other.value),
        }
    }

    /// Adds `other`, which is of the same kind.
    pub(super) fn add_alike(&mut self, other: &Self) {
        match self.is_indivisible() {
            true => self.copies = self.copies.saturating_add(other.copies),
            false => self.value.add(&other.value),
        }
    }

    /// Takes `other`, which is of the same kind, away, as far as it is there.
    pub(super) fn subtract_alike(&mut self, other: &Self) {
        match self.is_indivisible() {
            true => self.copies = self.copies.saturating_sub(other.copies),
            false => self.value.subtract(&other.value),
        }
    }

    pub(super) fn set_allocation(&mut self, role: Option<&Role>) {
        self.allocation = role.cloned();
    }

    fn cmp_traits(&self, other: &Self) -> Ordering {
        match (&self.traits, &other.traits) {
            (None, None) => Ordering::Equal,
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (a, b) => a.cmp(b),
        }
    }

    fn traits(&self) -> &Traits {
        self.traits.as_deref().unwrap_or(&PLAIN)
    }

    fn with_traits(mut self, change: impl FnOnce(&mut Traits)) -> Self {
        let traits = self.traits.get_or_insert_default();
        change(Arc::make_mut(traits));
        if **traits == PLAIN {
            self.traits = None;
        }
        self
    }
}
