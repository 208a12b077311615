//! A role's one port.
//!
//! Knows nothing of what is served. What it does: says who the peer is, puts our name on every
//! answer, bounds how long a client may dawdle, and stops in order. Start at [`listen`], then
//! [`serve`].

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, SERVER};
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use meros_proto::versions::SERVER_HEADER;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::BoxCloneService;
use tower::{Service, ServiceExt};
use tracing::{Instrument, debug, info_span, warn};

/// How long a client may take over the headers of a request, and how long a connection may idle.
const HEADERS_WITHIN: Duration = Duration::from_secs(120);

/// How long connections may take to finish what they are at when the role stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);

/// How often a silent HTTP/2 peer is asked whether it is still there, and how long it has to answer.
const HTTP2_PROBE: Duration = Duration::from_secs(20);

/// What a started role tells whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Where it listens, with the port that was taken.
    pub address: SocketAddr,
}

/// Why a role can't listen. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody listens there already.
    #[error("port {} on {} is in use: stop what listens there, or choose another with --port", .0.port(), .0.ip())]
    InUse(SocketAddr),
    /// The address is another host's.
    #[error("{0} is no address of this host: choose another with --ip")]
    NotOurs(IpAddr),
    /// Another reason.
    #[error("cannot listen on {address}: {error}")]
    Refused {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// Takes `address`, whose port may be 0 for any free one. Says which it has become.
///
/// # Errors
/// See [`ListenError`].
pub async fn listen(address: SocketAddr) -> Result<(TcpListener, Bound), ListenError> {
    let why = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        io::ErrorKind::AddrNotAvailable => ListenError::NotOurs(address.ip()),
        _ => ListenError::Refused { address, error },
    };
    let listener = TcpListener::bind(address).await.map_err(why)?;
    let address = listener.local_addr().map_err(why)?;
    Ok((listener, Bound { address }))
}

/// The connection that a request came over. Every request carries it among its extensions.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end.
    pub peer: SocketAddr,
    /// Cuts the connection off, for peers that no longer read what is sent to them.
    pub cut: CancellationToken,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Served = BoxCloneService<Request<Incoming>, Answer, Infallible>;

/// Serves `listener` until `shutdown`, then lets connections finish what they are at for three
/// seconds and cuts the rest off.
///
/// Streams must be ended by their owners before: a stream that goes on is cut, not finished.
pub async fn serve<S, B>(listener: TcpListener, service: S, shutdown: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let boxed = |answer: Response<B>| answer.map(|body| body.map_err(Into::into).boxed_unsync());
    accept(listener, BoxCloneService::new(service.map_response(boxed)), shutdown).await;
}

async fn accept(listener: TcpListener, service: Served, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    // A child: cutting all connections off must not look like a shutdown to the rest of the role.
    let cut_all = CancellationToken::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of files, mostly: there is nothing to do but wait for connections to end.
                    warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let connection = Connection { peer, cut: cut_all.child_token() };
        let task = converse(stream, connection, service.clone(), shutdown.clone());
        connections.spawn(task.instrument(info_span!("connection", %peer)));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_WITHIN, connections.wait()).await.is_err() {
        debug!(open = connections.len(), "cutting connections off");
        cut_all.cancel();
        connections.wait().await;
    }
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    connection: Connection,
    service: Served,
    shutdown: CancellationToken,
) {
    // Events are small and wanted at once.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "could not switch Nagle's algorithm off");
    }
    let spoken = Arc::new(AtomicBool::new(false));
    let service = hyper::service::service_fn({
        let (spoken, connection) = (spoken.clone(), connection.clone());
        move |mut request: Request<Incoming>| {
            spoken.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(connection.clone());
            answer(service.clone(), request)
        }
    });
    let builder = protocol_options();
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    // Hyper bounds the wait for headers only once it knows which protocol it is.
    let silence = tokio::time::sleep(HEADERS_WITHIN);
    tokio::pin!(silence);
    let (mut waiting_for_words, mut stopping) = (true, false);
    loop {
        tokio::select! {
            ended = &mut serving => {
                if let Err(error) = ended {
                    debug!(error = &*error as &dyn std::error::Error, "connection ended");
                }
                return;
            }
            () = connection.cut.cancelled() => return,
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            () = &mut silence, if waiting_for_words => {
                waiting_for_words = false;
                if !spoken.load(Ordering::Relaxed) {
                    debug!("said nothing");
                    return;
                }
            }
        }
    }
}

fn protocol_options() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PROBE)
        .keep_alive_timeout(HTTP2_PROBE);
    builder
}

async fn answer(service: Served, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let mut answer = service.oneshot(request).await?;
    answer.headers_mut().insert(SERVER, HeaderValue::from_static(SERVER_HEADER));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_in_one_line() {
        let (_taken, Bound { address }) = listen(ANY).await.expect("a free port");
        let error = listen(address).await.expect_err("it is taken").to_string();
        let line = format!(
            "port {} on 127.0.0.1 is in use: stop what listens there, or choose another with --port",
            address.port()
        );
        assert_eq!(error, line);
    }

    #[tokio::test]
    async fn an_address_of_another_host_is_told_in_one_line() {
        let documentation_net = SocketAddr::from(([192, 0, 2, 1], 0));
        let error = listen(documentation_net).await.expect_err("it isn't ours").to_string();
        assert_eq!(error, "192.0.2.1 is no address of this host: choose another with --ip");
    }

    #[tokio::test]
    async fn an_answer_has_our_name_and_the_request_knows_its_peer() {
        let (listener, Bound { address }) = listen(ANY).await.expect("a free port");
        let echo = tower::service_fn(|request: Request<Incoming>| async move {
            let connection = request.extensions().get::<Connection>().expect("it is put there");
            let peer = connection.peer.to_string();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(peer))))
        });
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, echo, shutdown.clone()));
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let own = client.local_addr().expect("it is connected").to_string();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("it is read");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("it is closed in order");
        assert!(answer.to_lowercase().contains("\r\nserver: meros/"), "{answer}");
        assert!(answer.ends_with(&own), "{answer}");
        shutdown.cancel();
        served.await.expect("it doesn't panic");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_cut_off_at_the_stop() {
        let (listener, Bound { address }) = listen(ANY).await.expect("a free port");
        let (asked, mut is_asked) = tokio::sync::mpsc::unbounded_channel();
        let never = tower::service_fn(move |_: Request<Incoming>| {
            asked.send(()).expect("the test waits");
            std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
        });
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, never, shutdown.clone()));
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it is read");
        is_asked.recv().await.expect("the request arrives");
        shutdown.cancel();
        served.await.expect("it doesn't panic");
        let mut read = Vec::new();
        // An end or a reset, whichever the system makes of it.
        let _ = client.read_to_end(&mut read).await;
        assert!(read.is_empty(), "nothing was answered");
    }
}
