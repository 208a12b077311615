//! A FrameworkInfo as the core knows it. What is wrong with one goes into an ERROR event.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use meros_proto::ids::{FrameworkId, IdError};
use meros_proto::resources::{Name, Quantities, Role, RoleError, Scalar};
use meros_proto::v1;
use meros_proto::v1::framework_info::capability::Type;
use meros_proto::wire::{self, Encoding};

use crate::model::{Capabilities, FrameworkSpec};

/// Why a subscription is refused, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameworkError {
    /// `id` is no id.
    #[error("Invalid framework ID: {0}")]
    Id(#[from] IdError),
    /// A role's name is invalid.
    #[error("Invalid {0}")]
    Role(#[from] RoleError),
    /// `role` is for frameworks without the capability.
    #[error("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable")]
    RoleWithMultiRole,
    /// `roles` is for frameworks with the capability.
    #[error("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable")]
    RolesWithoutMultiRole,
    /// A role is named twice.
    #[error("Framework has duplicate role '{0}'")]
    DuplicateRole(Role),
    /// A suppressed role that isn't subscribed to.
    #[error("Suppressed role '{0}' is not contained in the list of roles")]
    SuppressedRole(String),
    /// `failover_timeout` is no duration.
    #[error("The framework failover_timeout ({0}) is invalid")]
    FailoverTimeout(String),
    /// An offer filter without a meaning.
    #[error("Invalid offer filter for role '{role}': {why}")]
    OfferFilter {
        /// Whose filter it is.
        role: String,
        /// What is wrong.
        why: String,
    },
}

impl FrameworkSpec {
    /// Takes what the master needs of `info`, as SUBSCRIBE brings it.
    ///
    /// # Errors
    /// [`FrameworkError`], whose text belongs into the ERROR event.
    pub fn from_proto(
        info: &v1::FrameworkInfo,
        suppressed_roles: &[String],
    ) -> Result<Self, FrameworkError> {
        if let Some(id) = info.id.as_ref().and_then(|id| id.value.as_deref())
            && !id.is_empty()
        {
            FrameworkId::parse(id)?;
        }
        let capabilities = capabilities(info);
        let roles = roles(info, capabilities.multi_role)?;
        let suppressed = suppressed(&roles, suppressed_roles)?;
        Ok(Self {
            name: info.name().into(),
            user: info.user().into(),
            roles,
            suppressed,
            capabilities,
            failover_timeout: failover_timeout(info)?,
            checkpoint: info.checkpoint(),
            principal: info.principal.clone(),
            min_allocatable: min_allocatable(info)?,
            raw: Bytes::from(wire::encode(Encoding::Protobuf, info)),
        })
    }

    /// Puts the id into the encoded info.
    pub(crate) fn set_id(&mut self, id: &FrameworkId) {
        self.overlay(&v1::FrameworkInfo { id: Some(id.to_proto()), ..Default::default() });
    }

    /// Keeps `user` and `checkpoint` as they were: a resubscription can't change them.
    pub(crate) fn keep_fixed_fields(&mut self, before: &Self) {
        if self.user == before.user && self.checkpoint == before.checkpoint {
            return;
        }
        self.user = before.user.clone();
        self.checkpoint = before.checkpoint;
        self.overlay(&v1::FrameworkInfo {
            user: Some(before.user.to_string()),
            checkpoint: Some(before.checkpoint),
            ..Default::default()
        });
    }

    /// Sets fields in the encoded info without reading it: protobuf merges what is appended, and
    /// of a field that comes twice the last one counts.
    fn overlay(&mut self, fields: &v1::FrameworkInfo) {
        self.raw = [&*self.raw, &wire::encode(Encoding::Protobuf, fields)].concat().into();
    }
}

fn capabilities(info: &v1::FrameworkInfo) -> Capabilities {
    let mut known = Capabilities::default();
    for capability in &info.capabilities {
        match capability.r#type() {
            Type::Unknown => {}
            Type::RevocableResources => known.revocable_resources = true,
            Type::TaskKillingState => known.task_killing_state = true,
            Type::GpuResources => known.gpu_resources = true,
            Type::SharedResources => known.shared_resources = true,
            Type::PartitionAware => known.partition_aware = true,
            Type::MultiRole => known.multi_role = true,
            Type::ReservationRefinement => known.reservation_refinement = true,
            Type::RegionAware => known.region_aware = true,
        }
    }
    known
}

fn roles(info: &v1::FrameworkInfo, multi_role: bool) -> Result<Vec<Role>, FrameworkError> {
    if multi_role && info.role.is_some() {
        return Err(FrameworkError::RoleWithMultiRole);
    }
    if !multi_role {
        if !info.roles.is_empty() {
            return Err(FrameworkError::RolesWithoutMultiRole);
        }
        return Ok(vec![Role::parse(info.role())?]);
    }
    let mut roles =
        info.roles.iter().map(|role| Role::parse(role)).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable();
    match roles.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(FrameworkError::DuplicateRole(pair[0].clone())),
        None => Ok(roles),
    }
}

fn suppressed(roles: &[Role], suppressed: &[String]) -> Result<BTreeSet<Role>, FrameworkError> {
    suppressed
        .iter()
        .map(|name| {
            let role = roles.iter().find(|role| role.as_str() == name);
            role.cloned().ok_or_else(|| FrameworkError::SuppressedRole(name.clone()))
        })
        .collect()
}

fn failover_timeout(info: &v1::FrameworkInfo) -> Result<Duration, FrameworkError> {
    let seconds = info.failover_timeout();
    // Mesos holds it in nanoseconds of 64 bits.
    let representable = seconds.is_finite() && (0.0..=9.2e9).contains(&seconds);
    match representable {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err(FrameworkError::FailoverTimeout(seconds.to_string())),
    }
}

fn min_allocatable(
    info: &v1::FrameworkInfo,
) -> Result<BTreeMap<Role, Vec<Quantities>>, FrameworkError> {
    let mut filters = BTreeMap::new();
    for (name, filter) in &info.offer_filters {
        let wrong = |why: String| FrameworkError::OfferFilter { role: name.clone(), why };
        let Some(least) = &filter.min_allocatable_resources else { continue };
        let mut sets = Vec::new();
        for set in &least.quantities {
            if set.quantities.is_empty() {
                return Err(wrong("a set of quantities is empty".to_owned()));
            }
            let mut quantities = Quantities::new();
            for (resource, amount) in &set.quantities {
                let amount = Scalar::from_f64(amount.value())
                    .ok()
                    .filter(|amount| !amount.is_negative())
                    .ok_or_else(|| wrong(format!("quantity of '{resource}' is invalid")))?;
                quantities.add(&Name::from(resource.as_str()), amount);
            }
            sets.push(quantities);
        }
        filters.insert(Role::parse(name)?, sets);
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> v1::FrameworkInfo {
        v1::FrameworkInfo {
            user: Some("nobody".to_owned()),
            name: Some("test".to_owned()),
            ..Default::default()
        }
    }

    fn multi_role(roles: &[&str]) -> v1::FrameworkInfo {
        let capability = v1::framework_info::Capability { r#type: Some(Type::MultiRole.into()) };
        v1::FrameworkInfo {
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            capabilities: vec![capability],
            ..info()
        }
    }

    #[test]
    fn a_framework_has_the_role_that_it_named_or_the_default_one() {
        let named = v1::FrameworkInfo { role: Some("web".to_owned()), ..info() };
        for (info, roles) in [
            (info(), vec!["*"]),
            (named, vec!["web"]),
            (multi_role(&[]), vec![]),
            (multi_role(&["b", "a"]), vec!["a", "b"]),
        ] {
            let spec = FrameworkSpec::from_proto(&info, &[]).expect("it is valid");
            let names: Vec<_> = spec.roles.iter().map(Role::as_str).collect();
            assert_eq!(names, roles);
        }
    }

    #[test]
    fn an_invalid_framework_is_refused_with_its_fault() {
        let with_id = |id: &str| v1::FrameworkInfo {
            id: Some(v1::FrameworkId { value: Some(id.to_owned()) }),
            ..info()
        };
        let filter = |value: f64| {
            let quantity = v1::value::Scalar { value: Some(value) };
            let quantities = v1::offer_filters::ResourceQuantities {
                quantities: [("cpus".to_owned(), quantity)].into(),
            };
            let least = v1::offer_filters::MinAllocatableResources { quantities: vec![quantities] };
            let filter = v1::OfferFilters { min_allocatable_resources: Some(least) };
            v1::FrameworkInfo { offer_filters: [("*".to_owned(), filter)].into(), ..info() }
        };
        for (info, suppressed, fault) in [
            (with_id("a/b"), None, "framework ID"),
            (v1::FrameworkInfo { role: Some("a b".to_owned()), ..info() }, None, "role"),
            (
                v1::FrameworkInfo { role: Some("*".to_owned()), ..multi_role(&["a"]) },
                None,
                "'FrameworkInfo.role' must not",
            ),
            (
                v1::FrameworkInfo { roles: vec!["a".to_owned()], ..info() },
                None,
                "'FrameworkInfo.roles' must not",
            ),
            (multi_role(&["a", "a"]), None, "duplicate role 'a'"),
            (multi_role(&["a"]), Some("b"), "Suppressed role 'b'"),
            (
                v1::FrameworkInfo { failover_timeout: Some(-1.0), ..info() },
                None,
                "failover_timeout (-1)",
            ),
            (
                v1::FrameworkInfo { failover_timeout: Some(f64::NAN), ..info() },
                None,
                "failover_timeout (NaN)",
            ),
            (
                v1::FrameworkInfo { failover_timeout: Some(1e300), ..info() },
                None,
                "failover_timeout",
            ),
            (filter(-1.0), None, "quantity of 'cpus'"),
            (filter(f64::INFINITY), None, "quantity of 'cpus'"),
        ] {
            let suppressed: Vec<_> = suppressed.into_iter().map(str::to_owned).collect();
            let error = FrameworkSpec::from_proto(&info, &suppressed).expect_err(fault);
            assert!(error.to_string().contains(fault), "{error} should name {fault}");
        }
    }

    #[test]
    fn fixed_fields_and_the_id_are_overlaid_on_the_encoded_info() {
        let before = FrameworkSpec::from_proto(&info(), &[]).expect("it is valid");
        let changed = v1::FrameworkInfo {
            user: Some("root".to_owned()),
            checkpoint: Some(true),
            hostname: Some("h".to_owned()),
            ..info()
        };
        let mut spec = FrameworkSpec::from_proto(&changed, &[]).expect("it is valid");
        spec.keep_fixed_fields(&before);
        spec.set_id(&FrameworkId::parse("m-0001").expect("a valid id"));
        let read: v1::FrameworkInfo =
            wire::decode(Encoding::Protobuf, &spec.raw).expect("appended messages merge");
        assert_eq!(read.user(), "nobody");
        assert!(!read.checkpoint());
        assert_eq!(read.hostname(), "h");
        assert_eq!(read.id.and_then(|id| id.value).as_deref(), Some("m-0001"));
    }
}
