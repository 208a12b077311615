//! What of an offer a launch would take.

use std::collections::BTreeSet;

use meros_proto::resources::{Name, Resource, Resources, Scalar, Value};
use rand::rngs::StdRng;

use super::explain::NoMatch;
use super::ports;
use crate::apps::AppSpec;
use crate::config::AcceptedRoles;

/// The label that marks a reservation as made for one instance.
const INSTANCE_LABEL: &str = "marathon_task_id";

/// What a launch needs, so that launches that need the same can be told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    scalars: Vec<(Name, Scalar)>,
    /// The ports, in order; those that may be any as 0.
    ports: Vec<u16>,
    roles: BTreeSet<String>,
}

impl Need {
    /// What an instance of `spec` needs.
    pub(crate) fn of(spec: &AppSpec, default: AcceptedRoles) -> Self {
        let fixed = |port: u16| if spec.require_ports { port } else { 0 };
        Self {
            scalars: spec.scalars(),
            ports: spec.ports.iter().map(|port| fixed(port.port)).collect(),
            roles: accepted_roles(spec, default).into_iter().map(str::to_owned).collect(),
        }
    }
}

/// What a launch takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    /// The resources.
    pub(crate) resources: Resources,
    /// The host ports, in the order of the app's ports.
    pub(crate) ports: Vec<u16>,
}

/// Takes what one instance of `spec` needs out of `free`; or says all that is missing, in order.
pub(crate) fn take(
    free: &Resources,
    spec: &AppSpec,
    default: AcceptedRoles,
    rng: &mut StdRng,
) -> Result<Taken, Vec<NoMatch>> {
    let accepted = accepted_roles(spec, default);
    let usable = |resource: &Resource| is_usable(resource) && accepted.contains(role_of(resource));
    match take_of(&free.filter(usable), spec, rng) {
        Err(missing) if take_of(&free.filter(is_usable), spec, rng).is_ok() => {
            Err([vec![NoMatch::UnfulfilledRole], missing].concat())
        }
        result => result,
    }
}

fn take_of(usable: &Resources, spec: &AppSpec, rng: &mut StdRng) -> Result<Taken, Vec<NoMatch>> {
    let mut resources = Resources::new();
    let mut missing = Vec::new();
    for (name, amount) in spec.scalars() {
        let reason = match name {
            Name::Cpus => NoMatch::InsufficientCpus,
            Name::Mem => NoMatch::InsufficientMemory,
            Name::Disk => NoMatch::InsufficientDisk,
            _ => NoMatch::InsufficientGpus,
        };
        match take_scalar(usable, &name, amount) {
            Some(parts) => resources += parts,
            None => missing.push(reason),
        }
    }
    match ports::take(usable, spec, rng) {
        Some((parts, ports)) if missing.is_empty() => {
            resources += parts;
            return Ok(Taken { resources, ports });
        }
        Some(_) => {}
        None => missing.push(NoMatch::InsufficientPorts),
    }
    Err(missing)
}

/// Takes `amount` of a scalar, of reserved resources first: others can't use those.
fn take_scalar(usable: &Resources, name: &Name, amount: Scalar) -> Option<Resources> {
    let mut parts = Resources::new();
    let mut left = amount;
    for resource in reserved_first(usable, name) {
        let Some(there) = resource.as_scalar() else { continue };
        let part = there.min(left);
        parts.add(resource.clone().with_value(Value::Scalar(part)));
        left -= part;
        if left.is_zero() {
            return Some(parts);
        }
    }
    None
}

/// The entries of a resource, the reserved ones first.
pub(super) fn reserved_first<'a>(
    usable: &'a Resources,
    name: &'a Name,
) -> impl Iterator<Item = &'a Resource> {
    let named = || usable.iter().filter(move |resource| resource.name() == name);
    named()
        .filter(|resource| !resource.is_unreserved())
        .chain(named().filter(|resource| resource.is_unreserved()))
}

/// The roles whose resources an app takes.
fn accepted_roles(spec: &AppSpec, default: AcceptedRoles) -> BTreeSet<&str> {
    match (&spec.accepted_resource_roles, default) {
        (Some(roles), _) => roles.iter().map(String::as_str).collect(),
        (None, AcceptedRoles::Any) => BTreeSet::from(["*", &spec.role]),
        (None, AcceptedRoles::Unreserved) => BTreeSet::from(["*"]),
        (None, AcceptedRoles::Reserved) => BTreeSet::from([&*spec.role]),
    }
}

/// The role in the sense of `acceptedResourceRoles`.
fn role_of(resource: &Resource) -> &str {
    resource.reserved_role().map_or("*", |role| role.as_str())
}

/// Whether an ordinary launch may have it at all: nothing that may be taken back, that is shared,
/// that holds data or is a disk of its own, or that is reserved for one instance.
fn is_usable(resource: &Resource) -> bool {
    let for_an_instance = resource
        .reservations()
        .iter()
        .any(|reservation| reservation.labels.iter().any(|(key, _)| key == INSTANCE_LABEL));
    !resource.is_revocable()
        && !resource.is_shared()
        && resource.disk().is_none()
        && !for_an_instance
}

#[cfg(test)]
mod tests {
    use meros_proto::resources::Role;
    use rand::SeedableRng;

    use super::*;
    use crate::apps::tests::app;

    fn parse(text: &str) -> Resources {
        Resources::parse(text, &Role::star()).unwrap()
    }

    /// An app without ports that wants half a CPU and 64 MiB, in the role `web`.
    fn spec() -> AppSpec {
        let mut spec = app("/a", 1);
        spec.ports.clear();
        spec.role = "web".into();
        spec
    }

    #[track_caller]
    fn check(free: &str, spec: &AppSpec, expected: Result<&str, &[NoMatch]>) {
        let mut rng = StdRng::seed_from_u64(1);
        let taken = take(&parse(free), spec, AcceptedRoles::Any, &mut rng);
        let taken = taken.map(|taken| taken.resources);
        assert_eq!(taken, expected.map(parse).map_err(<[_]>::to_vec), "{free}");
    }

    #[test]
    fn a_launch_takes_reserved_resources_first_and_the_rest_of_the_others() {
        let spec = spec();
        check("cpus:4;mem:64", &spec, Ok("cpus:0.5;mem:64"));
        check("cpus:4;cpus(web):0.2;mem:99", &spec, Ok("cpus:0.3;cpus(web):0.2;mem:64"));
        check("cpus(web):4;mem(web):64", &spec, Ok("cpus(web):0.5;mem(web):64"));
    }

    #[test]
    fn all_that_is_missing_is_told() {
        let mut spec = spec();
        check("cpus:0.4;mem:64", &spec, Err(&[NoMatch::InsufficientCpus]));
        check("", &spec, Err(&[NoMatch::InsufficientCpus, NoMatch::InsufficientMemory]));
        spec.disk = 1.0;
        spec.gpus = 1;
        let rest = [NoMatch::InsufficientDisk, NoMatch::InsufficientGpus];
        check("cpus:1;mem:64", &spec, Err(&rest));
    }

    #[test]
    fn only_accepted_roles_count_and_the_others_are_told_apart() {
        let mut spec = spec();
        let role = [NoMatch::UnfulfilledRole, NoMatch::InsufficientCpus];
        check("cpus(db):1;mem:64", &spec, Err(&role));
        spec.accepted_resource_roles = Some(["web".into()].into());
        check("cpus:1;mem(web):64", &spec, Err(&role));
        check("cpus(web):1;mem(web):64", &spec, Ok("cpus(web):0.5;mem(web):64"));
    }

    #[test]
    fn an_amount_beyond_all_bounds_fits_nowhere() {
        let mut spec = spec();
        spec.mem = f64::INFINITY;
        check("cpus:1;mem:64", &spec, Err(&[NoMatch::InsufficientMemory]));
    }
}
