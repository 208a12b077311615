//! Dense numbers for things that have names: cheap to copy, compare and index with.
//!
//! Numbers are never given out twice, so one that is kept in a timer or a set can't come to mean
//! something else; it then just finds nothing.

use std::marker::PhantomData;

/// A dense number of one kind of thing.
pub(crate) trait Dense: Copy + Ord {
    /// The number as it is.
    fn of(number: u32) -> Self;
    /// Where it is in an array.
    fn at(self) -> usize;
}

macro_rules! dense {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl $crate::arena::Dense for $name {
            fn of(number: u32) -> Self {
                Self(number)
            }

            fn at(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}
pub(crate) use dense;

dense! {
    /// A framework, from its subscription to its removal.
    FrameworkIx;
    /// An agent, from its registration to its loss. One that comes back gets a new number.
    AgentIx;
}

/// Things by their number.
#[derive(Debug)]
pub(crate) struct Arena<I, T> {
    slots: Vec<Option<Box<T>>>,
    index: PhantomData<I>,
}

impl<I: Dense, T> Arena<I, T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), index: PhantomData }
    }

    /// Puts `thing` in, under a number that was never used.
    pub(crate) fn insert(&mut self, thing: T) -> I {
        self.insert_with(|_| thing)
    }

    /// Puts in what `make` makes of its number.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(I) -> T) -> I {
        let number = u32::try_from(self.slots.len()).expect("4 billion agents are not reached");
        self.slots.push(Some(Box::new(make(I::of(number)))));
        I::of(number)
    }

    /// Puts `thing` in under a number that another arena gave out.
    pub(crate) fn insert_at(&mut self, index: I, thing: T) {
        if self.slots.len() <= index.at() {
            self.slots.resize_with(index.at() + 1, || None);
        }
        self.slots[index.at()] = Some(Box::new(thing));
    }

    /// What is under a number that another arena gave out; put in if there is nothing.
    pub(crate) fn get_or_default(&mut self, index: I) -> &mut T
    where
        T: Default,
    {
        if self.get(index).is_none() {
            self.insert_at(index, T::default());
        }
        self.get_mut(index).expect("it was put in if it wasn't there")
    }

    pub(crate) fn remove(&mut self, index: I) -> Option<Box<T>> {
        self.slots.get_mut(index.at())?.take()
    }

    pub(crate) fn get(&self, index: I) -> Option<&T> {
        self.slots.get(index.at())?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, index: I) -> Option<&mut T> {
        self.slots.get_mut(index.at())?.as_deref_mut()
    }

    /// In the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let number = u32::try_from(at).expect("insert counts in 32 bits");
            Some((I::of(number), slot.as_deref()?))
        })
    }
}
