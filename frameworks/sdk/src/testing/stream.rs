//! The event stream of one subscription.

use bytes::Bytes;
use meros_proto::recordio;
use meros_proto::v1::scheduler;
use meros_proto::wire::{self, Encoding};
use tokio::sync::mpsc;

/// The master's end of a subscription.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: String,
    encoding: Encoding,
    chunks: mpsc::UnboundedSender<Bytes>,
}

impl Stream {
    /// A stream, and what is to be sent as its body.
    pub(super) fn open(id: String, encoding: Encoding) -> (Self, mpsc::UnboundedReceiver<Bytes>) {
        let (chunks, body) = mpsc::unbounded_channel();
        (Self { id, encoding, chunks }, body)
    }

    /// Sends one event. In two pieces: a client that takes a piece for a record is found out.
    pub(super) fn send(&self, event: &scheduler::Event) {
        let record = recordio::encode_record(&wire::encode(self.encoding, event));
        let (start, end) = record.split_at(record.len() / 2);
        // The client may be gone; then nobody is to be told.
        let _ = self.chunks.send(Bytes::copy_from_slice(start));
        let _ = self.chunks.send(Bytes::copy_from_slice(end));
    }

    /// Sends bytes as they are.
    pub(super) fn send_raw(&self, bytes: Bytes) {
        let _ = self.chunks.send(bytes);
    }

    /// Whether the client has closed it.
    pub(super) fn is_closed(&self) -> bool {
        self.chunks.is_closed()
    }
}
