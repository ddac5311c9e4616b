//! TLS for the connector: the system's trust, aws-lc-rs, HTTP/1.1 only.
//!
//! It exists to make the configuration late: reading the system's certificates costs time and memory that a gateway
//! with plain upstreams, or none yet, should not pay. It takes no extra roots and presents no client certificate.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client configuration that is made when it is first needed.
#[derive(Default)]
pub(super) struct LazyTls {
    config: OnceLock<Arc<ClientConfig>>,
}

impl LazyTls {
    /// Makes `stream` a TLS stream to `host`, a name or an address.
    pub(super) async fn handshake(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let config = self.config().map_err(io::Error::other)?;
        TlsConnector::from(config).connect(name, stream).await
    }

    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        // Two first connections may both build one; the loser's is dropped. A failure is tried again next time.
        let built = Arc::new(build()?);
        Ok(Arc::clone(self.config.get_or_init(|| built)))
    }
}

fn build() -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_made_once_and_late() {
        let tls = LazyTls::default();
        assert!(tls.config.get().is_none());
        let first = tls.config().unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config().unwrap()));
        assert_eq!(first.alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
