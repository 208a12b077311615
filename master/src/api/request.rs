//! A request as handlers see it, whichever server read it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};
use meros_proto::caller::Caller;
use meros_shell::http::{BodyError, Query, read_body};
use meros_shell::server::Connection;

use crate::api::respond::Rejection;

/// The largest body that is read. A call that launches thousands of tasks is well below it.
const BODY_BYTES_MAX: usize = 64 << 20;

/// How long a client may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// A body that has not been read yet, in pieces.
type BodyPieces = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// One request.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// The path as it came.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) connection: Connection,
    pub(crate) caller: Caller,
    body: BodyPieces,
}

impl Request {
    /// Puts together what warp's filters extracted. Nothing of the body is read yet.
    pub(crate) fn new<B: Buf>(
        method: Method,
        path: String,
        query: Query,
        headers: HeaderMap,
        connection: Connection,
        body: impl Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static,
    ) -> Self {
        let pieces =
            body.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())));
        let caller = caller(connection.peer);
        let body = Box::pin(pieces);
        Self { method, path, query, headers, connection, caller, body }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// The answer for a body that is too large (413), too slow (408) or broken off (400).
    pub(crate) async fn take_body(&mut self) -> Result<Bytes, Rejection> {
        let reading = read_body(&mut self.body, BODY_BYTES_MAX);
        match tokio::time::timeout(BODY_WITHIN, reading).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(BodyError::TooLarge(_))) => Err(Rejection::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The body is larger than {BODY_BYTES_MAX} bytes"),
            )),
            Ok(Err(BodyError::Broken(error))) => Err(Rejection::new(
                StatusCode::BAD_REQUEST,
                format!("Failed to read the body: {error}"),
            )),
            Err(_) => Err(Rejection::new(
                StatusCode::REQUEST_TIMEOUT,
                format!("The body did not arrive within {} seconds", BODY_WITHIN.as_secs()),
            )),
        }
    }
}

/// Who calls. Authentication is off: nothing but the address is known.
pub(crate) fn caller(peer: SocketAddr) -> Caller {
    Caller::anonymous(Some(peer))
}
