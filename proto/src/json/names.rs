//! Enums by name.

/// An enum whose values have names on the wire.
pub(crate) trait Named {
    /// The name of a number. `None`: not a number of this enum.
    fn name_of(number: i32) -> Option<&'static str>;
    /// The number of a name. `None`: not a name of this enum.
    fn number_of(name: &str) -> Option<i32>;
}
