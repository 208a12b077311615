//! What happened, as a running hash, and as text when somebody wants to read it.

use std::fmt::Display;

use crate::clock::Time;

/// The trace of one run. Two runs of a seed leave the same.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    lines: u64,
    shown: bool,
}

impl Trace {
    /// `shown`: every line is printed, too.
    pub(crate) fn new(shown: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, shown }
    }

    /// The hash over all so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How much happened.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Whether somebody reads along.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown
    }

    /// Notes that something happened: `what` and `bytes` tell it apart from anything else, `text`
    /// tells people.
    pub(crate) fn note<T: Display>(
        &mut self,
        now: Time,
        what: u64,
        bytes: &[u8],
        text: impl FnOnce() -> T,
    ) {
        self.mix(now.0);
        self.mix(what);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().expect("chunks of eight")));
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.mix(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
        self.lines += 1;
        if self.shown {
            println!("{now} {}", text());
        }
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}
