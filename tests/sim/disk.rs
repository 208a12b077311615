//! Disks: what was synced outlives a crash; what was only written may be lost, from some point on.
//!
//! Records are kept as the bytes that the roles' logs hold, and read back from those.

use std::collections::BTreeMap;

use meros_proto::record::{Record, RecordKind};

/// An append-only log, as far as it is durable.
#[derive(Debug, Default)]
pub(crate) struct Log {
    records: Vec<(RecordKind, Vec<u8>)>,
}

impl Log {
    /// `records` are durable from now on.
    pub(crate) fn append<R: Record>(&mut self, records: &[R]) {
        for record in records {
            let mut body = Vec::new();
            record.encode(&mut body);
            self.records.push((record.kind(), body));
        }
    }

    /// `records` are all that is in it from now on.
    pub(crate) fn replace<R: Record>(&mut self, records: &[R]) {
        self.records.clear();
        self.append(records);
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// What it begins with, in place of all that led there.
    pub(crate) fn begin_with(&mut self, kind: RecordKind, snapshot: Vec<u8>) {
        self.records.clear();
        self.records.push((kind, snapshot));
    }

    /// The bytes that it begins with, if they are of that kind.
    pub(crate) fn beginning(&self, kind: RecordKind) -> Option<&[u8]> {
        let (first, body) = self.records.first()?;
        (*first == kind).then_some(body)
    }

    /// All that is in it, from the `skip`th record on.
    ///
    /// # Errors
    /// A record can't be read back.
    pub(crate) fn read<R: Record>(&self, skip: usize) -> Result<Vec<R>, String> {
        let decoded = self.records.iter().skip(skip).map(|(kind, body)| R::decode(*kind, body));
        decoded.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }
}

/// Rows of a store that commits whole batches, as far as they are durable.
#[derive(Debug, Default)]
pub(crate) struct Rows(pub(crate) BTreeMap<String, Vec<u8>>);

impl Rows {
    /// Whether Marathon has it on record that an instance has this task: `<instance>._app.<n>`.
    pub(crate) fn has_task(&self, task: &str) -> bool {
        let Some((instance, number)) = task.rsplit_once("._app.") else { return false };
        let Some(row) = self.0.get(&format!("instance:{instance}")) else { return false };
        let text = String::from_utf8_lossy(row);
        text.contains(&format!("\"incarnation\":{number},")) && !text.contains("\"task\":null")
    }

    /// Writes a row, or removes it.
    pub(crate) fn write(&mut self, key: String, value: Option<Vec<u8>>) {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        };
    }
}
