//! How a connection to an origin is opened.
//!
//! It exists as a seam: production resolves names, races addresses and speaks TLS ([`TcpConnector`]); tests and the
//! deterministic simulation give streams of their own. It keeps no connections (that is [`pool`](crate::pool)) and has
//! no deadline (the caller wraps the call).

mod names;
mod race;
mod tls;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

pub use self::tls::{Authorities, BadAuthorities};

use self::names::Names;
use self::tls::LazyTls;
use crate::io::BoxIo;
use crate::url_guard::is_public;

/// Where requests go: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Whether the connection is encrypted (https).
    pub tls: bool,
    /// A name or an address; an IPv6 address may be in brackets.
    pub host: Box<str>,
    /// The port.
    pub port: u16,
}

/// Opens connections.
pub trait Connector: Send + Sync {
    /// Opens a connection to `origin`, encrypted when it says so, ready for HTTP/1.1.
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a>;

    /// Opens a connection to an origin that the operator did not choose: only to a public address, be it what the name
    /// resolves to. A connector that reaches no network of its own knows no private addresses.
    fn connect_public<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        self.connect(origin)
    }
}

/// The future of a connection.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<BoxIo, ConnectError>> + Send + 'a>>;

/// Why no connection was made, for the log; what a client is told is the caller's business.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or it could not be asked for.
    #[error("failed to resolve the host name")]
    Dns(#[source] io::Error),
    /// The host answered that nothing listens there.
    #[error("connection refused")]
    Refused(#[source] io::Error),
    /// There is no way to the host.
    #[error("host unreachable")]
    Unreachable(#[source] io::Error),
    /// The host was reached and the handshake failed, or the client has no usable configuration.
    #[error("failed to establish tls")]
    Tls(#[source] io::Error),
    /// The operating system gave up waiting; the caller's own deadlines are not reported here.
    #[error("connection timed out")]
    TimedOut(#[source] io::Error),
    /// The host has no public address, and only such a one may be connected to.
    #[error("not a public address")]
    Private,
    /// Anything else.
    #[error("failed to connect")]
    Other(#[source] io::Error),
}

/// Sorts an error of connecting a socket; other connectors may use it too.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused(error),
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable(error),
            io::ErrorKind::TimedOut => Self::TimedOut(error),
            _ => Self::Other(error),
        }
    }
}

/// Connects over TCP, with TLS where the origin asks for it.
#[derive(Default)]
pub struct TcpConnector {
    keepalive: Option<Duration>,
    tls: LazyTls,
    names: Names,
}

impl TcpConnector {
    /// Builds a connector; `keepalive` is the idle time after which TCP probes whether the peer still lives.
    ///
    /// One is meant to be shared by all workers, for it holds the TLS configuration and session tickets. Those are
    /// made at the first https connection.
    pub fn new(keepalive: Option<Duration>) -> Self {
        Self { keepalive, tls: LazyTls::default(), names: Names::default() }
    }

    /// Trusts these authorities beside the system's.
    #[must_use]
    pub fn trusting(self, authorities: Authorities) -> Self {
        Self { tls: LazyTls::trusting(authorities), ..self }
    }

    /// Returns the addresses to try, in order. Names that operators chose are few, and remembered for a while.
    async fn addresses(&self, origin: &Origin) -> Result<Vec<SocketAddr>, ConnectError> {
        let host = origin.bare_host();
        if host.parse::<IpAddr>().is_ok() {
            return addresses(origin).await;
        }
        let found = self.names.resolve(host, look_up(origin)).await.map_err(ConnectError::Dns)?;
        in_order(found, origin.port)
    }

    async fn open(&self, origin: &Origin, addresses: Vec<SocketAddr>) -> Result<BoxIo, ConnectError> {
        let stream = race::first(addresses, TcpStream::connect).await?;
        stream.set_nodelay(true).map_err(ConnectError::Other)?;
        if let Some(idle) = self.keepalive {
            let keepalive = TcpKeepalive::new().with_time(idle);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(ConnectError::Other)?;
        }
        if !origin.tls {
            return Ok(Box::new(stream));
        }
        let stream = self.tls.handshake(origin.bare_host(), stream).await.map_err(ConnectError::Tls)?;
        Ok(Box::new(stream))
    }
}

impl Connector for TcpConnector {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move { self.open(origin, self.addresses(origin).await?).await })
    }

    fn connect_public<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move {
            let mut addresses = addresses(origin).await?;
            addresses.retain(|address| is_public(address.ip()));
            if addresses.is_empty() { Err(ConnectError::Private) } else { self.open(origin, addresses).await }
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        let host = self.bare_host();
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{}", self.port)
        } else {
            write!(f, "{scheme}://{host}:{}", self.port)
        }
    }
}

impl Origin {
    /// The host without the brackets of an IPv6 address.
    fn bare_host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }
}

/// Returns the addresses to try, in order; an address literal needs no resolver.
async fn addresses(origin: &Origin) -> Result<Vec<SocketAddr>, ConnectError> {
    if let Ok(address) = origin.bare_host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, origin.port)]);
    }
    in_order(look_up(origin).await.map_err(ConnectError::Dns)?, origin.port)
}

async fn look_up(origin: &Origin) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((origin.bare_host(), origin.port)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

fn in_order(found: Vec<IpAddr>, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
    let addresses = race::interleave(found.into_iter().map(|address| SocketAddr::new(address, port)).collect());
    if addresses.is_empty() {
        return Err(ConnectError::Dns(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    fn origin(tls: bool, host: &str, port: u16) -> Origin {
        Origin { tls, host: host.into(), port }
    }

    #[test]
    fn an_origin_is_shown_as_a_url() {
        assert_eq!(origin(true, "api.example.com", 443).to_string(), "https://api.example.com:443");
        assert_eq!(origin(false, "::1", 80).to_string(), "http://[::1]:80");
        assert_eq!(origin(false, "[::1]", 80).to_string(), "http://[::1]:80");
    }

    #[tokio::test]
    async fn literals_skip_the_resolver() {
        let found = addresses(&origin(true, "[2001:db8::1]", 443)).await.unwrap();
        assert_eq!(found, ["[2001:db8::1]:443".parse().unwrap()]);
    }

    #[tokio::test]
    async fn connects_over_plain_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connector = TcpConnector::new(Some(Duration::from_secs(30)));
        let origin = origin(false, "127.0.0.1", listener.local_addr().unwrap().port());
        let (client, server) = tokio::join!(connector.connect(&origin), listener.accept());
        let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
        client.write_all(b"ping").await.unwrap();
        let mut got = [0; 4];
        server.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"ping");
    }

    #[tokio::test]
    async fn a_private_address_is_not_public_whatever_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let origin = origin(false, host, port);
            let error = TcpConnector::default().connect_public(&origin).await.err();
            assert!(matches!(error, Some(ConnectError::Private)), "{host}: {error:?}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_refused() {
        // It stays bound, so that nobody else is given it meanwhile, and nobody listens.
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = bound.local_addr().unwrap().port();
        let connector = TcpConnector::default();
        let error = connector.connect(&origin(false, "127.0.0.1", port)).await.err().unwrap();
        assert!(matches!(error, ConnectError::Refused(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_peer_without_tls_is_a_tls_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connector = TcpConnector::default();
        let origin = origin(true, "127.0.0.1", listener.local_addr().unwrap().port());
        let peer = async {
            let mut peer = listener.accept().await.unwrap().0;
            peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            peer
        };
        let (error, _peer) = tokio::join!(connector.connect(&origin), peer);
        assert!(matches!(error, Err(ConnectError::Tls(_))));
    }
}
