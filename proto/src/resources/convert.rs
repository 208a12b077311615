//! Resources as messages, in both reservation formats.
//!
//! All rules for resources from outside are enforced here: what a [`Resource`] holds is valid.

use std::sync::Arc;

use super::{
    Disk, DiskKind, DiskSource, Labels, Name, Persistence, Ranges, Reservation, ReservationKind,
    Resource, ResourceError, ResourceProblem as Problem, Resources, Role, Scalar, Set, Value,
};
use crate::ids::{ResourceProviderId, name_rule};
use crate::v1;
use crate::v1::resource::disk_info;
use crate::v1::resource::reservation_info::Type as ReservationType;
use crate::v1::value::Type as ValueType;

/// How reservations stand in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationFormat {
    /// The stack in `reservations`: for whoever has the capability `RESERVATION_REFINEMENT`.
    Refined,
    /// `role` and `reservation`: for all others. Refined reservations can't be said in it: those
    /// entries are left out, as Mesos hides them.
    Legacy,
}

impl Resources {
    /// Reads messages, each in either format. Empty resources are dropped.
    ///
    /// # Errors
    /// [`ResourceError`] for the first that breaks a rule, or when two entries of one kind have
    /// ranges or items in common.
    pub fn from_protos(messages: &[v1::Resource]) -> Result<Self, ResourceError> {
        let mut all: Vec<Resource> =
            messages.iter().map(Resource::from_proto).collect::<Result<_, _>>()?;
        all.retain(|resource| !resource.is_empty());
        // Sorted once and merged in runs: a message of very many entries must not cost their square.
        all.sort_by(Resource::cmp_kind);
        all.chunk_by(|a, b| a.cmp_kind(b).is_eq())
            .map(merge)
            .collect::<Result<_, _>>()
            .map(Self::from_sorted)
    }

    /// Writes messages. A shared resource is written once for each of its consumers.
    pub fn to_protos(&self, format: ReservationFormat) -> Vec<v1::Resource> {
        let copies = |resource: &Resource| usize::try_from(resource.copies()).unwrap_or(usize::MAX);
        self.iter()
            .filter_map(|resource| Some((resource.to_proto(format)?, copies(resource))))
            .flat_map(|(message, copies)| std::iter::repeat_n(message, copies))
            .collect()
    }
}

impl Resource {
    /// Reads one message, in either format.
    ///
    /// # Errors
    /// [`ResourceError`] when it breaks a rule.
    pub fn from_proto(message: &v1::Resource) -> Result<Self, ResourceError> {
        read(message).map_err(|problem| error(message, problem))
    }

    /// Writes one message, of one copy. `None`: a refined reservation has no legacy format.
    pub fn to_proto(&self, format: ReservationFormat) -> Option<v1::Resource> {
        let mut message = v1::Resource {
            name: Some(self.name().to_string()),
            provider_id: self.provider().map(ResourceProviderId::to_proto),
            allocation_info: self
                .allocation_role()
                .map(|role| v1::resource::AllocationInfo { role: Some(role.to_string()) }),
            disk: self.disk().map(write_disk),
            revocable: self.is_revocable().then(v1::resource::RevocableInfo::default),
            shared: self.is_shared().then(v1::resource::SharedInfo::default),
            ..v1::Resource::default()
        };
        write_value(self.value(), &mut message);
        match format {
            ReservationFormat::Refined => {
                message.reservations = self.reservations().iter().map(write_reservation).collect();
            }
            ReservationFormat::Legacy => write_legacy_reservation(self, &mut message)?,
        }
        Some(message)
    }
}

fn error(message: &v1::Resource, problem: Problem) -> ResourceError {
    ResourceError { name: message.name.clone().unwrap_or_default(), problem }
}

/// Makes one entry of those of one kind. Ranges and sets hold each item once, so what is given
/// twice would be lost.
fn merge(alike: &[Resource]) -> Result<Resource, ResourceError> {
    let first = alike.first().expect("`chunk_by` makes no empty run");
    let merged = match first.value() {
        _ if alike.len() == 1 => return Ok(first.clone()),
        Value::Scalar(_) => {
            let mut sum = first.clone();
            alike.iter().skip(1).for_each(|entry| sum.add_alike(entry));
            return Ok(sum);
        }
        Value::Ranges(_) => {
            let ranges = alike.iter().filter_map(Resource::as_ranges).flat_map(Ranges::iter);
            let disjoint = Ranges::from_pairs(ranges.map(|range| (range.begin(), range.end())));
            disjoint.ok().map(Value::Ranges)
        }
        Value::Set(_) => {
            let sets = || alike.iter().filter_map(Resource::as_set);
            let union: Set = sets().flat_map(Set::iter).collect();
            (union.len() == sets().map(Set::len).sum::<usize>()).then_some(Value::Set(union))
        }
    };
    let twice = || ResourceError { name: first.name().to_string(), problem: Problem::GivenTwice };
    merged.map(|value| first.clone().with_value(value)).ok_or_else(twice)
}

fn read(message: &v1::Resource) -> Result<Resource, Problem> {
    let name = match message.name.as_deref() {
        None | Some("") => return Err(Problem::NoName),
        Some(name) => Name::from(name),
    };
    let mut resource = Resource::new(name, read_value(message)?);
    check_usual_type(&resource)?;

    if let Some(info) = &message.disk {
        if *resource.name() != Name::Disk {
            return Err(Problem::DiskOnOther);
        }
        resource = resource.with_disk(Some(read_disk(info)?));
    }
    if message.shared.is_some() {
        if !resource.is_persistent_volume() {
            return Err(Problem::NotShareable);
        }
        resource = resource.with_shared(true);
    }
    if message.revocable.is_some() {
        resource = resource.with_revocable(true);
    }
    if message.provider_id.is_some() {
        let provider = ResourceProviderId::from_proto(message.provider_id.as_ref())
            .map_err(|error| Problem::ProviderId(error.problem))?;
        resource = resource.with_provider(Some(provider));
    }
    if let Some(role) = message.allocation_info.as_ref().and_then(|info| info.role.as_deref()) {
        resource = resource.allocated_to(&Role::parse(role).map_err(Problem::Role)?);
    }
    Ok(resource.with_reservations(&read_reservations(message)?))
}

fn read_value(message: &v1::Resource) -> Result<Value, Problem> {
    let set = (message.scalar.as_ref(), message.ranges.as_ref(), message.set.as_ref());
    match message.r#type.and_then(|number| ValueType::try_from(number).ok()) {
        Some(ValueType::Scalar) => match set {
            (Some(scalar), None, None) => read_scalar(scalar).map(Value::Scalar),
            _ => Err(Problem::ValueMismatch("scalar")),
        },
        Some(ValueType::Ranges) => match set {
            (None, Some(ranges), None) => read_ranges(ranges).map(Value::Ranges),
            _ => Err(Problem::ValueMismatch("ranges")),
        },
        Some(ValueType::Set) => match set {
            (None, None, Some(set)) => read_set(set).map(Value::Set),
            _ => Err(Problem::ValueMismatch("set")),
        },
        Some(ValueType::Text) | None => Err(Problem::BadType),
    }
}

fn read_scalar(scalar: &v1::value::Scalar) -> Result<Scalar, Problem> {
    let value = scalar.value.ok_or(Problem::ValueMismatch("scalar"))?;
    // Before rounding: -0.0001 is negative, too.
    if value < 0.0 && value.is_finite() {
        return Err(Problem::Negative);
    }
    Scalar::from_f64(value).map_err(Problem::Amount)
}

fn read_ranges(ranges: &v1::value::Ranges) -> Result<Ranges, Problem> {
    let pairs = ranges
        .range
        .iter()
        .map(|range| range.begin.zip(range.end).ok_or(Problem::OpenRange))
        .collect::<Result<Vec<_>, _>>()?;
    Ranges::from_pairs(pairs).map_err(Problem::Ranges)
}

fn read_set(items: &v1::value::Set) -> Result<Set, Problem> {
    let mut set = Set::new();
    match items.item.iter().find(|item| !set.insert(item)) {
        Some(item) => Err(Problem::DuplicateItem(item.clone())),
        None => Ok(set),
    }
}

/// The usual names are summed by their type everywhere: another would hide them from the sums.
pub(super) fn check_usual_type(resource: &Resource) -> Result<(), Problem> {
    match (resource.name(), resource.value()) {
        (Name::Other(_), _) | (Name::Ports, Value::Ranges(_)) => Ok(()),
        (Name::Ports, _) => Err(Problem::WrongType("RANGES")),
        (_, Value::Scalar(_)) => Ok(()),
        _ => Err(Problem::WrongType("SCALAR")),
    }
}

fn write_value(value: &Value, message: &mut v1::Resource) {
    let kind = match value {
        Value::Scalar(amount) => {
            message.scalar = Some(v1::value::Scalar { value: Some(amount.as_f64()) });
            ValueType::Scalar
        }
        Value::Ranges(ranges) => {
            message.ranges = Some(ranges.to_proto());
            ValueType::Ranges
        }
        Value::Set(set) => {
            message.set = Some(v1::value::Set { item: set.iter().map(String::from).collect() });
            ValueType::Set
        }
    };
    message.r#type = Some(kind.into());
}

fn read_reservations(message: &v1::Resource) -> Result<Vec<Reservation>, Problem> {
    match message.reservations.as_slice() {
        [] => Ok(read_legacy_reservation(message)?.into_iter().collect()),
        _ if message.role.is_some() || message.reservation.is_some() => Err(Problem::MixedFormats),
        stack => {
            let stack = stack.iter().map(read_reservation).collect::<Result<Vec<_>, _>>()?;
            stack.windows(2).try_for_each(|pair| check_refinement(&pair[0], &pair[1]))?;
            Ok(stack)
        }
    }
}

fn read_reservation(info: &v1::resource::ReservationInfo) -> Result<Reservation, Problem> {
    let kind = match info.r#type.and_then(|number| ReservationType::try_from(number).ok()) {
        Some(ReservationType::Static) => ReservationKind::Static,
        Some(ReservationType::Dynamic) => ReservationKind::Dynamic,
        Some(ReservationType::Unknown) | None => {
            return Err(Problem::ReservationIncomplete("type"));
        }
    };
    let role = info.role.as_deref().ok_or(Problem::ReservationIncomplete("role"))?;
    let role = Role::parse(role).map_err(Problem::Role)?;
    if role.is_star() {
        return Err(Problem::ReservedToStar);
    }
    Ok(Reservation {
        kind,
        role,
        principal: info.principal.as_deref().map(Arc::from),
        labels: Labels::from_proto(info.labels.as_ref()),
    })
}

fn check_refinement(below: &Reservation, above: &Reservation) -> Result<(), Problem> {
    if above.kind == ReservationKind::Static {
        return Err(Problem::StaticRefinement);
    }
    match above.role.is_strict_subrole_of(&below.role) {
        true => Ok(()),
        false => Err(Problem::NotARefinement {
            role: above.role.to_string(),
            refined: below.role.to_string(),
        }),
    }
}

fn read_legacy_reservation(message: &v1::Resource) -> Result<Option<Reservation>, Problem> {
    let role = match message.role.as_deref() {
        Some(role) => Role::parse(role).map_err(Problem::Role)?,
        None => Role::star(),
    };
    let Some(info) = &message.reservation else {
        return Ok((!role.is_star()).then(|| Reservation::statically(role)));
    };
    if info.r#type.is_some() {
        return Err(Problem::NewFieldInOldFormat("type"));
    }
    if info.role.is_some() {
        return Err(Problem::NewFieldInOldFormat("role"));
    }
    if role.is_star() {
        return Err(Problem::ReservedToStar);
    }
    let labels = Labels::from_proto(info.labels.as_ref());
    Ok(Some(Reservation::dynamically(role, info.principal.as_deref()).with_labels(labels)))
}

fn write_reservation(reservation: &Reservation) -> v1::resource::ReservationInfo {
    let kind = match reservation.kind {
        ReservationKind::Static => ReservationType::Static,
        ReservationKind::Dynamic => ReservationType::Dynamic,
    };
    v1::resource::ReservationInfo {
        r#type: Some(kind.into()),
        role: Some(reservation.role.to_string()),
        principal: reservation.principal.as_deref().map(String::from),
        labels: reservation.labels.to_proto(),
    }
}

fn write_legacy_reservation(resource: &Resource, message: &mut v1::Resource) -> Option<()> {
    let role = match resource.reservations() {
        [] => Role::star(),
        [only] => {
            if only.kind == ReservationKind::Dynamic {
                message.reservation = Some(v1::resource::ReservationInfo {
                    r#type: None,
                    role: None,
                    ..write_reservation(only)
                });
            }
            only.role.clone()
        }
        _ => return None,
    };
    message.role = Some(role.to_string());
    Some(())
}

fn read_disk(info: &v1::resource::DiskInfo) -> Result<Disk, Problem> {
    let persistence = match &info.persistence {
        None => None,
        Some(persistence) => {
            let id = persistence.id.as_deref().unwrap_or_default();
            name_rule(id).map_err(Problem::PersistenceId)?;
            let principal = persistence.principal.as_deref().map(Arc::from);
            Some(Persistence { id: id.into(), principal })
        }
    };
    let source = info.source.as_ref().map(read_disk_source).transpose()?;
    Ok(Disk { persistence, source, volume: info.volume.clone() })
}

fn read_disk_source(source: &disk_info::Source) -> Result<DiskSource, Problem> {
    use disk_info::source::Type;
    let kind = match source.r#type.and_then(|number| Type::try_from(number).ok()) {
        Some(Type::Path) => DiskKind::Path,
        Some(Type::Mount) => DiskKind::Mount,
        Some(Type::Block) => DiskKind::Block,
        Some(Type::Raw) => DiskKind::Raw,
        Some(Type::Unknown) | None => return Err(Problem::DiskSourceType),
    };
    for (field, is_set, belongs) in [
        ("path", source.path.is_some(), kind == DiskKind::Path),
        ("mount", source.mount.is_some(), kind == DiskKind::Mount),
    ] {
        if is_set && !belongs {
            return Err(Problem::DiskSourceField { field, kind: kind.as_str() });
        }
    }
    let root = match kind {
        DiskKind::Path => source.path.as_ref().and_then(|path| path.root.as_deref()),
        _ => source.mount.as_ref().and_then(|mount| mount.root.as_deref()),
    };
    Ok(DiskSource {
        kind,
        root: root.map(Arc::from),
        vendor: source.vendor.as_deref().map(Arc::from),
        id: source.id.as_deref().map(Arc::from),
        metadata: Labels::from_proto(source.metadata.as_ref()),
        profile: source.profile.as_deref().map(Arc::from),
    })
}

fn write_disk(disk: &Disk) -> v1::resource::DiskInfo {
    v1::resource::DiskInfo {
        persistence: disk.persistence.as_ref().map(|persistence| disk_info::Persistence {
            id: Some(persistence.id.to_string()),
            principal: persistence.principal.as_deref().map(String::from),
        }),
        volume: disk.volume.clone(),
        source: disk.source.as_ref().map(write_disk_source),
    }
}

fn write_disk_source(source: &DiskSource) -> disk_info::Source {
    use disk_info::source::{Mount, Path, Type};
    let root = source.root.as_deref().map(String::from);
    let (kind, path, mount) = match source.kind {
        DiskKind::Path => (Type::Path, Some(Path { root }), None),
        DiskKind::Mount => (Type::Mount, None, Some(Mount { root })),
        DiskKind::Block => (Type::Block, None, None),
        DiskKind::Raw => (Type::Raw, None, None),
    };
    disk_info::Source {
        r#type: Some(kind.into()),
        path,
        mount,
        vendor: source.vendor.as_deref().map(String::from),
        id: source.id.as_deref().map(String::from),
        metadata: source.metadata.to_proto(),
        profile: source.profile.as_deref().map(String::from),
    }
}
