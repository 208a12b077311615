//! Where a framework keeps what must outlive its process: its id, its tasks, its intents.
//!
//! A store is a sorted map of rows, changed by transactions that apply whole or not at all and are
//! durable when [`StateStore::commit`] returns, with one sync each. Every row carries a version,
//! so a writer can say what it believes it is replacing; that is what keeps two schedulers with one
//! store from undoing each other's work.
//!
//! [`Memory`] forgets at exit, [`File`] keeps a `redb` file that one process holds. A third, shared
//! by the masters, fits behind the same trait: [`contract::check`] is what each must pass. The trait
//! blocks, as disks do; [`AsyncStore`] moves it off a runtime's threads.
//!
//! Deliberately absent: watches and leases. They need a store that others write to.

mod r#async;
pub mod contract;
mod file;
mod memory;
mod row;
mod store;
mod transaction;

pub use r#async::AsyncStore;
pub use file::File;
pub use memory::Memory;
pub use row::Row;
pub use store::{StateError, StateStore};
pub use transaction::{Change, Expect, Transaction};
