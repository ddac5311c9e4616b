//! The same gateway on turmoil's simulated network: hosts, partitions, a seed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engine::worker::Worker;
use net::connector::{Connecting, Connector, Origin};
use net::io::BoxIo;
use server::data;
use server::listen::Listener;
use tokio_util::sync::CancellationToken;
use turmoil::net::{TcpListener, TcpStream};

use crate::assembly::Assembly;
use crate::client::Client;
use crate::provider::Provider;

/// The port of every host.
pub const PORT: u16 = 80;

/// A listener on the simulated network.
pub struct SimulatedListener(TcpListener);

impl Listener for SimulatedListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Ok(accepted) = self.0.accept().await {
                return accepted;
            }
        }
    }
}

/// Connects over the simulated network.
pub struct SimulatedConnector;

impl Connector for SimulatedConnector {
    fn connect<'a>(&'a self, origin: &'a Origin) -> Connecting<'a> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect((&*origin.host, origin.port)).await?) as BoxIo) })
    }
}

async fn listen() -> io::Result<SimulatedListener> {
    Ok(SimulatedListener(TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?))
}

/// Runs a gateway as a host.
///
/// # Errors
/// When the port is taken.
pub async fn serve_gateway(assembly: Arc<Assembly>) -> turmoil::Result {
    let writer = assembly.journal.writer();
    let worker = Arc::new(Worker::new(Arc::clone(&assembly.core), Arc::new(SimulatedConnector), writer));
    data::serve(listen().await?, worker, CancellationToken::new()).await;
    Ok(())
}

/// Runs a provider as a host.
///
/// # Errors
/// When the port is taken.
pub async fn serve_provider(provider: Arc<Provider>) -> turmoil::Result {
    let mut listener = listen().await?;
    loop {
        let (io, _) = listener.accept().await;
        let serving = Arc::clone(&provider).serve(io, Arc::new(AtomicBool::new(false)));
        #[expect(clippy::disallowed_methods, reason = "the task ends with its connection")]
        tokio::spawn(serving);
    }
}

/// Connects to the host `gateway`.
///
/// # Errors
/// When it does not answer.
pub async fn connect() -> io::Result<Client> {
    Ok(Client::new(Box::new(TcpStream::connect(("gateway", PORT)).await?)))
}
