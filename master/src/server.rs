//! One port for both protocols: gRPC goes to tonic, everything else to warp.

use std::convert::Infallible;

use http::Request;
use http::header::CONTENT_TYPE;
use http_body_util::Either;
use hyper::body::Incoming;
use meros_shell::server;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// Serves `listener` until `shutdown`, each request by the side that its content type asks for.
pub(crate) async fn serve(
    listener: TcpListener,
    http: BoxedFilter<(Response,)>,
    grpc: Routes,
    shutdown: CancellationToken,
) {
    let http = warp::service(http);
    let either = tower::service_fn(move |request: Request<Incoming>| {
        let (http, grpc) = (http.clone(), grpc.clone());
        async move {
            Ok::<_, Infallible>(if is_grpc(&request) {
                grpc.oneshot(request).await?.map(Either::Left)
            } else {
                http.oneshot(request).await?.map(Either::Right)
            })
        }
    });
    server::serve(listener, either, shutdown).await;
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
