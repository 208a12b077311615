//! What is wanted for one role, and what the master was told of it.

/// One role's demand.
#[derive(Debug)]
pub(super) struct Demand {
    wanted: u64,
    suppressed: bool,
    /// Whether something was given back since the last REVIVE: the master may be holding offers
    /// back because of it.
    filtered: bool,
    /// Whether a REVIVE is due.
    revive: bool,
}

impl Demand {
    /// A role with a subscription that was just made.
    pub(super) fn new(wanted: u64, suppressed: bool) -> Self {
        Self { wanted, suppressed, filtered: false, revive: suppressed && wanted > 0 }
    }

    pub(super) fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Sets what is wanted from now on.
    pub(super) fn want(&mut self, wanted: u64) {
        let more = wanted > self.wanted;
        self.wanted = wanted;
        if wanted == 0 {
            self.revive = false;
        } else if self.suppressed || (more && self.filtered) {
            self.revive = true;
        }
    }

    /// Notes that an offer was given back.
    pub(super) fn refused(&mut self) {
        self.filtered = true;
    }

    pub(super) fn wants_revive(&self) -> bool {
        self.revive
    }

    /// Notes that a REVIVE is sent.
    pub(super) fn revived(&mut self) {
        (self.suppressed, self.filtered, self.revive) = (false, false, false);
    }

    /// Whether a SUPPRESS is due; it is sent then.
    pub(super) fn suppress(&mut self) -> bool {
        let due = self.wanted == 0 && !self.suppressed;
        self.suppressed |= due;
        due
    }
}
