//! What a log promises, on real files: what was committed is found again, whatever a crash, a disk
//! or a full file system does to the file.

mod corruption;
mod crashes;
mod formats;
mod full_disk;
mod rewriting;
mod words;
