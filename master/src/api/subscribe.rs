//! The event stream of one scheduler, from the core's events to bytes on its connection.
//!
//! A task of its own encodes them, outside the core's thread. It ends when the core closes the
//! stream, when the scheduler hangs up, or when the scheduler reads so slowly that its queue was
//! full: then an ERROR goes out after what was queued, and if even that isn't read within
//! [`LAST_WORDS_WITHIN`], the connection is cut.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use meros_master_core::{Input, SchedulerEvent, StreamRef};
use meros_proto::recordio;
use meros_proto::v1::MasterInfo;
use meros_proto::v1::scheduler::Event;
use meros_proto::wire::{self, Encoding};
use meros_shell::server::Connection;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tracing::{Instrument, debug, info_span};

use crate::api::{Api, events};
use crate::outlets::Outlet;

/// Encoded events that may wait for the connection; the queue proper is before the encoding.
const ENCODED_AHEAD: usize = 16;

/// How long a reader that was too slow has to take what is left.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(10);

/// Starts the stream's task; returns the body of the answer.
pub(crate) fn start(
    api: &Arc<Api>,
    connection: Connection,
    stream: StreamRef,
    outlet: Outlet<SchedulerEvent>,
    encoding: Encoding,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync + use<> {
    let (body, bytes) = mpsc::channel(ENCODED_AHEAD);
    let writer = Writer { body, encoding, master: api.identity.master_info() };
    let span = info_span!("stream", stream = stream.0, peer = %connection.peer);
    let api_of_task = Arc::clone(api);
    api.tasks.spawn(
        async move {
            serve(outlet, writer, &connection).await;
            api_of_task.outlets.forget_stream(stream);
            // While the role stops nobody listens any more, and nothing is to be done about it.
            let _ = api_of_task.inbox.send(Input::StreamClosed { stream }).await;
        }
        .instrument(span),
    );
    ReceiverStream::new(bytes).map(Ok)
}

async fn serve(mut outlet: Outlet<SchedulerEvent>, writer: Writer, connection: &Connection) {
    let overflown = outlet.overflown.clone();
    tokio::select! {
        () = writer.write_all(&mut outlet) => {
            if !overflown.is_cancelled() {
                return;
            }
        }
        () = overflown.cancelled() => {}
        () = writer.body.closed() => {
            debug!("the scheduler hung up");
            return;
        }
    }
    let last_words = async {
        writer.write_all(&mut outlet).await;
        let message = "The event stream was closed because it was read too slowly".to_owned();
        writer.write(&events::error(message)).await;
    };
    if tokio::time::timeout(LAST_WORDS_WITHIN, last_words).await.is_err() {
        connection.cut.cancel();
    }
}

struct Writer {
    body: mpsc::Sender<Bytes>,
    encoding: Encoding,
    master: MasterInfo,
}

impl Writer {
    /// Writes events until there are no more. Cancelled, it loses at most the one being written.
    async fn write_all(&self, outlet: &mut Outlet<SchedulerEvent>) {
        while let Some(event) = outlet.queue.recv().await {
            if !self.write(&events::event(event, &self.master)).await {
                return;
            }
        }
    }

    /// False: the scheduler is gone.
    async fn write(&self, event: &Event) -> bool {
        let encoded = wire::encode(self.encoding, event);
        self.body.send(recordio::encode_record(&encoded)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meros_proto::v1::scheduler::event::Type;
    use tokio_util::sync::CancellationToken;

    /// A stream whose queue held `queued` events when it overflowed.
    fn overflown(queued: usize) -> (Outlet<SchedulerEvent>, Writer, mpsc::Receiver<Bytes>) {
        let (sender, queue) = mpsc::channel(queued);
        for _ in 0..queued {
            sender.try_send(SchedulerEvent::Heartbeat).expect("it fits");
        }
        let overflown = CancellationToken::new();
        overflown.cancel();
        let (body, bytes) = mpsc::channel(ENCODED_AHEAD);
        let writer = Writer { body, encoding: Encoding::Protobuf, master: MasterInfo::default() };
        (Outlet { queue, overflown }, writer, bytes)
    }

    fn connection() -> Connection {
        Connection { peer: ([127, 0, 0, 1], 1).into(), cut: CancellationToken::new() }
    }

    #[tokio::test]
    async fn a_slow_reader_hears_what_was_queued_and_then_why_its_stream_ends() {
        let (outlet, writer, mut bytes) = overflown(100);
        let connection = connection();
        let reading = async {
            let mut records = recordio::Decoder::new(1 << 20);
            let mut kinds = Vec::new();
            while let Some(chunk) = bytes.recv().await {
                records.push(&chunk);
                while let Some(record) = records.next().expect("it is RecordIO") {
                    let event: Event =
                        wire::decode(Encoding::Protobuf, &record).expect("it is an event");
                    kinds.push(event.r#type());
                }
            }
            kinds
        };
        let (kinds, ()) = tokio::join!(reading, serve(outlet, writer, &connection));
        assert_eq!(kinds.last(), Some(&Type::Error));
        // The event that was being written when the overflow was noticed may be lost.
        assert!(kinds.len() >= 100, "{}", kinds.len());
        assert!(!connection.cut.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_reads_nothing_at_all_is_cut_off() {
        let (outlet, writer, bytes) = overflown(100);
        let connection = connection();
        serve(outlet, writer, &connection).await;
        assert!(connection.cut.is_cancelled());
        drop(bytes);
    }

    #[tokio::test]
    async fn a_stream_ends_when_its_scheduler_hangs_up() {
        let (sender, queue) = mpsc::channel(1);
        let (body, bytes) = mpsc::channel(1);
        let writer = Writer { body, encoding: Encoding::Json, master: MasterInfo::default() };
        drop(bytes);
        serve(Outlet { queue, overflown: CancellationToken::new() }, writer, &connection()).await;
        assert!(sender.is_closed());
    }
}
