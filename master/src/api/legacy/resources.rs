//! How the older endpoints write resources: one object, sums by name.

use std::collections::BTreeMap;

use meros_proto::resources::{Name, Ranges, Resource, Resources, Scalar, Set, Value};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Resources as an object: `cpus`, `gpus`, `mem` and `disk` always, others when there are some;
/// ranges as text. What is revocable stands under a name of its own, `cpus_revocable`.
pub(crate) struct ByName<'a>(pub(crate) &'a Resources);

/// Names that tools look up without asking whether they are there.
const ALWAYS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

enum Sum {
    Scalar(Scalar),
    Ranges(Ranges),
    Set(Set),
}

impl Serialize for ByName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(usual) = Usual::of(self.0) {
            return usual.serialize(serializer);
        }
        let sums = sums(self.0);
        let mut map = serializer.serialize_map(Some(sums.len()))?;
        for (name, sum) in &sums {
            match sum {
                Sum::Scalar(amount) => map.serialize_entry(name, &amount.as_f64())?,
                Sum::Ranges(ranges) => map.serialize_entry(name, &ranges.to_string())?,
                Sum::Set(set) => map.serialize_entry(name, &set.to_string())?,
            }
        }
        map.end()
    }
}

/// Amounts of the usual names, and perhaps ports: what almost all agents and tasks have.
#[derive(Serialize, Default)]
struct Usual<'a> {
    cpus: f64,
    disk: f64,
    gpus: f64,
    mem: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ports: Option<AsText<'a>>,
}

struct AsText<'a>(&'a Ranges);

impl Serialize for AsText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl<'a> Usual<'a> {
    /// `None`: there is more to be said.
    fn of(resources: &'a Resources) -> Option<Self> {
        let [mut cpus, mut disk, mut gpus, mut mem] = [Scalar::ZERO; 4];
        let mut ports = None;
        for resource in resources.iter() {
            match (resource.name(), resource.value()) {
                _ if resource.is_revocable() => return None,
                (Name::Cpus, Value::Scalar(amount)) => cpus += *amount,
                (Name::Disk, Value::Scalar(amount)) => disk += *amount,
                (Name::Gpus, Value::Scalar(amount)) => gpus += *amount,
                (Name::Mem, Value::Scalar(amount)) => mem += *amount,
                (Name::Ports, Value::Ranges(ranges)) if ports.is_none() => {
                    ports = Some(AsText(ranges));
                }
                _ => return None,
            }
        }
        let [cpus, disk, gpus, mem] = [cpus, disk, gpus, mem].map(Scalar::as_f64);
        Some(Self { cpus, disk, gpus, mem, ports })
    }
}

fn sums(resources: &Resources) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for name in ALWAYS {
        sums.insert(name.to_owned(), Sum::Scalar(Scalar::ZERO));
    }
    for resource in resources.iter() {
        add(&mut sums, resource);
    }
    sums
}

fn add(sums: &mut BTreeMap<String, Sum>, resource: &Resource) {
    let revocable = if resource.is_revocable() { "_revocable" } else { "" };
    let name = format!("{}{revocable}", resource.name());
    match (sums.get_mut(&name), resource.value()) {
        (Some(Sum::Scalar(sum)), Value::Scalar(amount)) => *sum += *amount,
        (Some(Sum::Ranges(sum)), Value::Ranges(ranges)) => *sum += ranges,
        (Some(Sum::Set(sum)), Value::Set(set)) => *sum += set,
        // The first of its name; or of another type than its name promises: the last one is shown.
        (_, Value::Scalar(amount)) => drop(sums.insert(name, Sum::Scalar(*amount))),
        (_, Value::Ranges(ranges)) => drop(sums.insert(name, Sum::Ranges(ranges.clone()))),
        (_, Value::Set(set)) => drop(sums.insert(name, Sum::Set(set.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::resources::Role;

    #[test]
    fn ports_are_text_and_the_usual_names_are_always_there() {
        for (text, json) in [
            ("", r#"{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0}"#),
            (
                "cpus:1.5;mem:64;ports:[31000-31001,31005-31005]",
                r#"{"cpus":1.5,"disk":0.0,"gpus":0.0,"mem":64.0,"ports":"[31000-31001, 31005-31005]"}"#,
            ),
            (
                "cpus:1;cpus(web):2;bugs:{a,b}",
                r#"{"bugs":"{a, b}","cpus":3.0,"disk":0.0,"gpus":0.0,"mem":0.0}"#,
            ),
            (
                "cpus:1;cpus(web):2;ports:[1-2];mem:1",
                r#"{"cpus":3.0,"disk":0.0,"gpus":0.0,"mem":1.0,"ports":"[1-2]"}"#,
            ),
            (
                "ports:[1-2];ports(web):[3-4,9-9]",
                r#"{"cpus":0.0,"disk":0.0,"gpus":0.0,"mem":0.0,"ports":"[1-4, 9-9]"}"#,
            ),
        ] {
            let resources =
                Resources::parse(text, &Role::star()).expect("the test's resources are valid");
            let written =
                serde_json::to_string(&ByName(&resources)).expect("a map of numbers and texts");
            assert_eq!(written, json, "{text}");
        }
    }
}
