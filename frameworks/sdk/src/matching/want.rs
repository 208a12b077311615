//! What is wanted, and the offer that has it.

use meros_proto::resources::{Name, Resource, Resources, Role};

use super::constraint::Constraint;
use super::reason::Reason;
use super::site::Site;
use crate::offers::Offer;

/// What a task needs.
#[derive(Debug, Clone, Default)]
pub struct Want {
    /// The role whose offers are for it. `None`: any.
    pub role: Option<Role>,
    /// How much of what, whatever it is reserved to.
    pub resources: Resources,
    /// How many ports, of any number.
    pub ports: u64,
    /// Where.
    pub constraints: Vec<Constraint>,
}

/// What to take of an offer.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The resources for the task, out of the offer, with its reservations and allocation.
    pub resources: Resources,
    /// The ports among them, the least that are offered.
    pub ports: Vec<u64>,
}

impl Want {
    /// What to take of `offer`, while others of the same kind are at `placed`.
    ///
    /// # Errors
    /// Everything that speaks against it.
    pub fn try_offer(&self, offer: &Offer, placed: &[Site]) -> Result<Fit, Vec<Reason>> {
        let mut against = Vec::new();
        if offer.is_void() {
            against.push(Reason::Void);
        }
        if let Some(wanted) = self.role.as_ref().filter(|role| *role != offer.role()) {
            let (wanted, offered) = (wanted.clone(), offer.role().clone());
            against.push(Reason::Role { wanted, offered });
        }
        for constraint in &self.constraints {
            if !constraint.allows(offer.site(), placed) {
                against.push(Reason::Constraint {
                    constraint: constraint.to_string(),
                    value: offer.site().value(&constraint.field),
                });
            }
        }
        match self.find(offer.resources()) {
            Ok(fit) if against.is_empty() => Ok(fit),
            Ok(_) => Err(against),
            Err(reasons) => {
                against.extend(reasons);
                Err(against)
            }
        }
    }

    fn find(&self, offered: &Resources) -> Result<Fit, Vec<Reason>> {
        let mut reasons = Vec::new();
        for (name, wanted) in self.resources.quantities().iter() {
            let there = offered.scalar(name.as_str());
            if there < wanted {
                let name = name.clone();
                reasons.push(Reason::NotEnough { name, wanted, offered: there });
            }
        }
        let ports = offered.ports();
        if ports.len() < self.ports {
            reasons.push(Reason::Ports { wanted: self.ports, offered: ports.len() });
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let ports = ports.first(self.ports);
        let mut wanted = self.resources.clone();
        if self.ports > 0 {
            wanted.add(Resource::ranges(Name::Ports, ports.clone()));
        }
        match offered.find(&wanted) {
            Some(resources) => Ok(Fit { resources, ports: ports.numbers().collect() }),
            None => Err(vec![Reason::NotFound { wanted: wanted.to_string() }]),
        }
    }
}

#[cfg(test)]
mod tests {
    use meros_proto::time::Mono;

    use super::*;
    use crate::matching::Tally;
    use crate::offers::{Policy, Pool};
    use crate::testing;

    fn offer(resources: &str) -> Offer {
        let mut pool = Pool::new(Policy::default(), [Role::star()], 1);
        pool.add(Mono::default(), vec![testing::offer("o1", "agent-1", resources)]);
        pool.take_wanted().pop().expect("it is held")
    }

    fn want(resources: &str, ports: u64) -> Want {
        let resources = Resources::parse(resources, &Role::star()).expect("resources");
        Want { resources, ports, ..Want::default() }
    }

    #[test]
    fn what_fits_is_taken_out_of_the_offer_as_it_was_offered() {
        let offer = offer("cpus:4;mem:1024;ports:[31005-31009,31001-31001]");
        let fit = want("cpus:0.5;mem:128", 2).try_offer(&offer, &[]).expect("it fits");
        assert_eq!(fit.ports, [31_001, 31_005]);
        assert!(offer.resources().contains(&fit.resources), "{}", fit.resources);
        assert_eq!(fit.resources.cpus().as_f64(), 0.5);
        assert_eq!(fit.resources.ports().len(), 2);
    }

    #[test]
    fn every_reason_against_an_offer_is_told() {
        let offer = offer("cpus:1;mem:64;ports:[1-1]");
        let mut want = want("cpus:2;mem:128;gpus:1", 2);
        want.role = Some(Role::parse("eng").expect("a role"));
        want.constraints = vec![Constraint::parse(&["rack", "IS", "r1"]).expect("a constraint")];
        let against = want.try_offer(&offer, &[]).expect_err("it doesn't fit");
        let texts: Vec<String> = against.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "it is offered to role *, not eng",
                "constraint rack IS r1 is not met by an agent without it",
                "2 cpus wanted, 1 offered",
                "128 mem wanted, 64 offered",
                "1 gpus wanted, 0 offered",
                "2 ports wanted, 1 offered",
            ]
        );
    }

    #[test]
    fn reasons_are_counted_by_kind() {
        let mut tally = Tally::default();
        for resources in ["cpus:1;mem:64", "cpus:1;mem:512", "cpus:4;mem:512"] {
            tally.count(&want("cpus:2;mem:128", 0).try_offer(&offer(resources), &[]));
        }
        let text = "1 of 3 offers fit: 2 × not enough cpus, 1 × not enough mem";
        assert_eq!(tally.to_string(), text);
        assert_eq!((tally.looked_at(), tally.taken(), tally.against().count()), (3, 1, 2));
    }
}
