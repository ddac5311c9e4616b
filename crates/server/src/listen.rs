//! Accepting connections: a seam, so that a simulated network can stand in for the real one.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use net::deadline::{after, passed};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

/// Where connections come from.
pub trait Listener: Send {
    /// One connection.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Waits for the next connection. It does not fail: what can be waited out is waited out.
    fn accept(&mut self) -> impl Future<Output = (Self::Io, SocketAddr)> + Send;
}

/// How long accepting rests when it fails, because the process has no descriptor left, say.
const REST: Duration = Duration::from_millis(100);

impl Listener for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match TcpListener::accept(self).await {
                Ok((stream, peer)) => {
                    // A peer that is gone already shows itself at the first read.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                Err(error) => {
                    let passing = matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                    );
                    if !passing {
                        if now_and_then() {
                            tracing::warn!(component = "listener", error = %error, "Accepting a connection failed");
                        }
                        sleep(REST).await;
                    }
                }
            }
        }
    }
}

/// How often trouble with connections is told, over all listeners.
const TOLD: Duration = Duration::from_secs(5);

/// Returns whether trouble with connections is to be told now: a flood of them is no flood of lines.
pub(crate) fn now_and_then() -> bool {
    static QUIET: Mutex<Option<Instant>> = Mutex::new(None);
    let mut quiet = QUIET.lock().unwrap_or_else(PoisonError::into_inner);
    let told = quiet.is_none_or(passed);
    if told {
        *quiet = Some(after(TOLD));
    }
    told
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;

/// Binds a listening socket; each worker clones it.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // So that a restart need not wait for the connections of the process before it. It does not share the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
