//! Host ports for a launch: exactly the wanted ones, or any. All or nothing.

use meros_proto::resources::{Name, Ranges, Resource, Resources, Value};
use rand::RngExt;
use rand::rngs::StdRng;

use super::resources::reserved_first;
use crate::apps::AppSpec;

/// Takes the host ports of one instance. `None` when they are not all to be had.
///
/// With `require_ports` they are those of the definitions, where these are not 0. The others are
/// chosen at random, so that a port that was just given back isn't the next one given out.
pub(super) fn take(
    usable: &Resources,
    spec: &AppSpec,
    rng: &mut StdRng,
) -> Option<(Resources, Vec<u16>)> {
    let fixed = |port: u16| (spec.require_ports && port != 0).then_some(u64::from(port));
    let wanted: Vec<Option<u64>> =
        spec.ports.iter().map(|definition| fixed(definition.port)).collect();
    let mut free: Vec<(&Resource, Ranges)> = reserved_first(usable, &Name::Ports)
        .filter_map(|resource| Some((resource, resource.as_ranges()?.clone())))
        .collect();
    let mut taken = Resources::new();
    let mut ports = vec![0; wanted.len()];
    // The fixed ones first, or a random choice might take one of them.
    let (fixed, any): (Vec<_>, Vec<_>) = (0..wanted.len()).partition(|at| wanted[*at].is_some());
    for at in fixed.into_iter().chain(any) {
        let (port, from) = match wanted[at] {
            Some(port) => (port, free.iter().position(|(_, ranges)| ranges.has(port))?),
            None => choose(&free, rng)?,
        };
        let (resource, ranges) = &mut free[from];
        let one = Ranges::from_iter([port]);
        *ranges -= &one;
        taken.add(resource.clone().with_value(Value::Ranges(one)));
        ports[at] = u16::try_from(port).ok()?;
    }
    Some((taken, ports))
}

/// A random port, of the first entry that has one.
fn choose(free: &[(&Resource, Ranges)], rng: &mut StdRng) -> Option<(u64, usize)> {
    let (from, (_, ranges)) =
        free.iter().enumerate().find(|(_, (_, ranges))| !ranges.is_empty())?;
    let mut nth = rng.random_range(0..ranges.len());
    for range in ranges.iter() {
        let length = (range.end() - range.begin()).saturating_add(1);
        if nth < length {
            return Some((range.begin() + nth, from));
        }
        nth -= length;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use meros_proto::resources::Role;
    use rand::SeedableRng;

    use super::*;
    use crate::apps::tests::app;
    use crate::apps::{PortDefinition, Protocol};

    fn ports_of(free: &str, wanted: &[u16], require: bool) -> Option<Vec<u16>> {
        let mut spec = app("/a", 1);
        spec.require_ports = require;
        spec.ports = wanted
            .iter()
            .map(|port| PortDefinition {
                port: *port,
                protocol: Protocol::Tcp,
                name: None,
                labels: Default::default(),
            })
            .collect();
        let free = Resources::parse(free, &Role::star()).unwrap();
        let (taken, ports) = take(&free, &spec, &mut StdRng::seed_from_u64(7))?;
        assert!(free.contains(&taken));
        assert_eq!(taken.ports().len(), ports.len() as u64);
        Some(ports)
    }

    #[test]
    fn required_ports_are_taken_exactly_or_not_at_all() {
        let free = "ports:[31000-31005,8080-8080]";
        for (wanted, ports) in [
            (vec![], Some(vec![])),
            (vec![8080], Some(vec![8080])),
            (vec![31002, 8080], Some(vec![31002, 8080])),
            (vec![8081], None),
            (vec![8080, 8080], None),
        ] {
            assert_eq!(ports_of(free, &wanted, true), ports, "{wanted:?}");
        }
    }

    #[test]
    fn other_ports_are_any_that_are_free_and_all_different() {
        let free = "ports:[31000-31003];ports(web):[8080-8080]";
        let ports = ports_of(free, &[10_000, 10_001, 10_002, 10_003, 10_004], false).unwrap();
        assert_eq!(
            ports.iter().copied().collect::<BTreeSet<_>>(),
            BTreeSet::from([8080, 31000, 31001, 31002, 31003])
        );
        assert_eq!(ports[0], 8080, "what is reserved goes first");
        assert_eq!(ports_of("ports:[1-2]", &[0, 0, 0], false), None);
        assert_eq!(ports_of("", &[0], false), None);
    }

    #[test]
    fn a_random_port_never_takes_a_required_one() {
        for _ in 0..20 {
            let ports = ports_of("ports:[31000-31001]", &[0, 31001], true).unwrap();
            assert_eq!(ports, [31000, 31001]);
        }
    }
}
