//! Amounts by name, without what qualifies them: what shares and quotas are computed on.

use std::fmt;
use std::ops::{AddAssign, SubAssign};

use super::{Name, Scalar};

/// Amounts of scalar resources, by name. None is zero or less.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Quantities(Vec<(Name, Scalar)>);

impl Quantities {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amount of `name`.
    pub fn get(&self, name: &Name) -> Scalar {
        self.position(name).map_or(Scalar::ZERO, |at| self.0[at].1)
    }

    /// The amounts, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, Scalar)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether there is at least as much as in `other`, of each.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(name, amount)| self.get(name) >= amount)
    }

    /// Adds to the amount of `name`.
    pub fn add(&mut self, name: &Name, amount: Scalar) {
        match self.position(name) {
            Ok(at) => self.0[at].1 += amount,
            Err(at) if amount > Scalar::ZERO => self.0.insert(at, (name.clone(), amount)),
            Err(_) => {}
        }
    }

    /// Takes from the amount of `name`, as far as it is there.
    pub fn subtract(&mut self, name: &Name, amount: Scalar) {
        if let Ok(at) = self.position(name) {
            self.0[at].1 = self.0[at].1.saturating_sub(amount);
            if self.0[at].1.is_zero() {
                self.0.remove(at);
            }
        }
    }

    fn position(&self, name: &Name) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.cmp(name))
    }
}

impl FromIterator<(Name, Scalar)> for Quantities {
    fn from_iter<I: IntoIterator<Item = (Name, Scalar)>>(amounts: I) -> Self {
        let mut all = Self::new();
        amounts.into_iter().for_each(|(name, amount)| all.add(&name, amount));
        all
    }
}

impl AddAssign<&Quantities> for Quantities {
    fn add_assign(&mut self, other: &Self) {
        other.iter().for_each(|(name, amount)| self.add(name, amount));
    }
}

/// Saturates: takes away what is there.
impl SubAssign<&Quantities> for Quantities {
    fn sub_assign(&mut self, other: &Self) {
        other.iter().for_each(|(name, amount)| self.subtract(name, amount));
    }
}

/// `cpus:4; mem:128`.
impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, amount)) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{name}:{amount}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quantities({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_add_by_name_and_vanish_at_zero() {
        let mut all: Quantities = [("mem", 10), ("cpus", 1), ("mem", 5), ("disk", 0)]
            .map(|(name, amount)| (Name::from(name), Scalar::from(amount)))
            .into_iter()
            .collect();
        assert_eq!(all.to_string(), "cpus:1; mem:15");
        let part: Quantities = [(Name::Mem, Scalar::from(15))].into_iter().collect();
        assert!(all.contains(&part) && !part.contains(&all));
        all -= &part;
        assert_eq!(all.to_string(), "cpus:1");
        all.subtract(&Name::Cpus, Scalar::from(2));
        assert!(all.is_empty());
        all += &part;
        assert_eq!(all, part);
    }
}
