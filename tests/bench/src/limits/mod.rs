//! What the kernel, the disk and the encoder allow, measured beside what meros does with them.

pub(crate) mod bare_path;
pub(crate) mod encode;
pub(crate) mod posix_spawn;
