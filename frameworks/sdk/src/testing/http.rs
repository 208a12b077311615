//! The fake master's socket: one route, and what the contract says about who may call it how.

use std::convert::Infallible;
use std::sync::Arc;

use ::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use meros_proto::v1::scheduler::Call;
use meros_proto::wire::{self, Encoding};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::master::Shared;

/// What goes back.
pub(super) type Body = BoxBody<Bytes, Infallible>;

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((socket, _)) = accepted else { continue };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        connections.spawn(async move {
            let cut = shared.cut();
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(respond(&shared, request).await) }
            });
            tokio::select! {
                // A client that breaks off is what many tests are about.
                _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service) => {}
                () = cut.cancelled() => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.uri.path() != "/api/v1/scheduler" {
        return text(404, "no such path");
    }
    if head.method != Method::POST {
        return text(405, "POST only");
    }
    let Some(content_type) = header(&head.headers, "content-type") else {
        return text(400, "Expecting 'Content-Type' to be present");
    };
    let Some(encoding) = Encoding::from_media_type(content_type) else {
        return text(415, "Expecting 'Content-Type' of application/json or application/x-protobuf");
    };
    let Ok(body) = body.collect().await else { return text(400, "the body broke off") };
    match wire::decode::<Call>(encoding, &body.to_bytes()) {
        Ok(call) => {
            let accept = header(&head.headers, "accept").and_then(Encoding::from_media_type);
            let stream_id = header(&head.headers, "mesos-stream-id");
            shared.receive(call, stream_id, accept.unwrap_or(Encoding::Json))
        }
        Err(error) => text(400, &format!("Failed to parse body: {error}")),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A short answer.
pub(super) fn text(status: u16, text: &str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())).boxed());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// A chunked body that goes on until the sender of `chunks` is dropped.
pub(super) fn streamed(chunks: mpsc::UnboundedReceiver<Bytes>) -> Body {
    let frames = stream::unfold(chunks, |mut chunks| async {
        chunks.recv().await.map(|chunk| (Ok(Frame::data(chunk)), chunks))
    });
    StreamBody::new(frames).boxed()
}
