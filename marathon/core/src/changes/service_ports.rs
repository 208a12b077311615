//! Service ports: numbers that are the app's, wherever its instances are.
//!
//! Each 0 is replaced by a free number when the app is new or changed. A number that the app got
//! before is used again, so that sending the same definition twice changes nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Draft;
use crate::apps::AppSpec;
use crate::groups::Root;
use crate::output::{ChangeError, Violation};

impl Draft {
    /// Gives numbers to all ports that have none.
    pub(super) fn assign_service_ports(
        &mut self,
        old: &Root,
        range: RangeInclusive<u16>,
    ) -> Result<(), ChangeError> {
        let lacks_one = |spec: &Arc<AppSpec>| spec.ports.iter().any(|port| port.port == 0);
        let put = self.put.iter().map(|(id, _)| id);
        let incomplete: Vec<_> =
            put.filter(|id| self.root.apps.get(id).is_some_and(lacks_one)).cloned().collect();
        if incomplete.is_empty() {
            return Ok(());
        }
        let all_ports = self.root.apps.values().flat_map(|spec| &spec.ports);
        let mut taken: BTreeSet<u16> = all_ports.map(|port| port.port).collect();
        for id in incomplete {
            let Some(spec) = self.root.apps.get_mut(&id) else { continue };
            let spec = Arc::make_mut(spec);
            let before = old.apps.get(&id);
            if let Err(Exhausted) = assign(spec, before.map(|spec| &**spec), &mut taken, &range) {
                // The upper bound is written as the first number that is not in the range.
                let (from, to) = (u32::from(*range.start()), u32::from(*range.end()) + 1);
                return Err(ChangeError::Invalid(vec![Violation {
                    path: "/portDefinitions".into(),
                    message: format!("All ports in the range [{from}-{to}) are already in use"),
                }]));
            }
        }
        Ok(())
    }
}

/// There is no free number left.
struct Exhausted;

fn assign(
    spec: &mut AppSpec,
    before: Option<&AppSpec>,
    taken: &mut BTreeSet<u16>,
    range: &RangeInclusive<u16>,
) -> Result<(), Exhausted> {
    let own: BTreeSet<u16> = spec.ports.iter().map(|port| port.port).collect();
    let had = before.map(|before| &before.ports[..]).unwrap_or_default();
    // Numbers that it gives up. Each goes to the port in the same place, if that needs one.
    let mut free_again: Vec<u16> = had
        .iter()
        .map(|port| port.port)
        .filter(|port| !own.contains(port) && range.contains(port))
        .collect();
    for (at, port) in spec.ports.iter_mut().enumerate().filter(|(_, port)| port.port == 0) {
        let same_place = had.get(at).map(|port| port.port);
        let again = free_again
            .iter()
            .position(|number| Some(*number) == same_place)
            .or(if free_again.is_empty() { None } else { Some(0) })
            .map(|at| free_again.remove(at));
        let number = match again {
            Some(number) => number,
            None => range.clone().find(|number| !taken.contains(number)).ok_or(Exhausted)?,
        };
        taken.insert(number);
        port.port = number;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::PortDefinition;
    use crate::apps::tests::app;
    use crate::groups::tests::id;

    fn with_ports(name: &str, ports: &[u16]) -> AppSpec {
        let mut spec = app(name, 1);
        let definition = spec.ports[0].clone();
        let define = |port: &u16| PortDefinition { port: *port, ..definition.clone() };
        spec.ports = ports.iter().map(define).collect();
        spec
    }

    /// The ports of `/a` when it is put with `ports` in place of `before`, beside an app on 10000.
    fn assigned(before: Option<&[u16]>, ports: &[u16]) -> Result<Vec<u16>, ChangeError> {
        let mut old = Root::default();
        old.put_app(Arc::new(with_ports("/other", &[10_000])));
        if let Some(before) = before {
            old.put_app(Arc::new(with_ports("/a", before)));
        }
        let mut draft = Draft::new(&old);
        draft.put_app(Arc::new(with_ports("/a", ports)));
        draft.assign_service_ports(&old, 10_000..=10_003)?;
        Ok(draft.root.apps[&id("/a")].ports.iter().map(|port| port.port).collect())
    }

    #[test]
    fn each_zero_gets_a_free_number_and_an_app_keeps_those_it_had() {
        for (before, ports, expected) in [
            (None, vec![0, 0], vec![10_001, 10_002]),
            (None, vec![80, 0], vec![80, 10_001]),
            (None, vec![10_001, 0], vec![10_001, 10_002]),
            (None, vec![10_000], vec![10_000]),
            (Some(&[10_003][..]), vec![0], vec![10_003]),
            (Some(&[10_003][..]), vec![0, 0], vec![10_003, 10_001]),
            (Some(&[10_002, 10_003][..]), vec![10_002, 0], vec![10_002, 10_003]),
            (Some(&[10_001, 10_002][..]), vec![0], vec![10_001]),
        ] {
            assert_eq!(assigned(before, &ports).unwrap(), expected, "{before:?} {ports:?}");
        }
    }

    #[test]
    fn an_exhausted_range_is_told() {
        let error = assigned(None, &[0, 0, 0, 0]).unwrap_err();
        let ChangeError::Invalid(violations) = error else { panic!("{error:?}") };
        assert_eq!(
            violations[0].message,
            "All ports in the range [10000-10004) are already in use"
        );
    }
}
