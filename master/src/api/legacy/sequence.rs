//! Lists that are written item by item, without being collected first.

use serde::ser::{Serialize, Serializer};

/// Serializes as the list of what `items` yields.
pub(super) struct Sequence<I>(pub(super) I);

impl<I> Serialize for Sequence<I>
where
    I: Iterator + Clone,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone())
    }
}
