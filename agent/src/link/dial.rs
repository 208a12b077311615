//! How a link connects: like any client, or as one of thousands of the same process.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Uri;
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::transport::{Channel, Endpoint};

/// How a link connects. By default the system chooses where from, and it waits for nobody.
#[derive(Debug, Default)]
pub(crate) struct Dialling {
    /// The address to come from. One address has some 28,000 ports for connections to one master.
    pub(crate) source: Option<IpAddr>,
    /// How many of those that share it may be connecting at once.
    pub(crate) turns: Option<Arc<Semaphore>>,
}

impl Dialling {
    /// Waits until it is this link's turn, which is over when the answer is dropped.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed; without a turn the link would merely not wait.
        self.turns.as_ref()?.acquire().await.ok()
    }

    /// Connects to what `endpoint` says.
    pub(super) async fn connect(
        &self,
        endpoint: Endpoint,
    ) -> Result<Channel, tonic::transport::Error> {
        match self.source {
            None => endpoint.connect().await,
            Some(source) => {
                let dial = tower::service_fn(move |to| connect_from(source, to));
                endpoint.connect_with_connector(dial).await
            }
        }
    }
}

async fn connect_from(source: IpAddr, to: Uri) -> io::Result<TokioIo<TcpStream>> {
    let (host, port) = (to.host().unwrap_or_default(), to.port_u16().unwrap_or(80));
    // An IPv6 address is in brackets in a URI.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let same_family = |to: &SocketAddr| to.is_ipv4() == source.is_ipv4();
    let address = lookup_host((host, port)).await?.find(same_family).ok_or_else(|| {
        let why = format!("{host} has no address that can be reached from {source}");
        io::Error::new(io::ErrorKind::AddrNotAvailable, why)
    })?;
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // The port is chosen when it connects: choosing it before takes the kernel a search through all
    // that the address has open. An old one chooses before.
    let _ = setsockopt(&socket, sockopt::IpBindAddressNoPort, &true);
    socket.bind(SocketAddr::new(source, 0))?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_comes_from_the_address_that_it_is_given() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let to: Uri = format!("http://{address}").parse().expect("an address is a URI");
        let _stream = connect_from([127, 0, 0, 9].into(), to.clone()).await.expect("it listens");
        let (_, peer) = listener.accept().await.expect("somebody comes");
        assert_eq!(peer.ip(), IpAddr::from([127, 0, 0, 9]));
        let error = connect_from(IpAddr::from([0; 16]), to).await.expect_err("another family");
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
