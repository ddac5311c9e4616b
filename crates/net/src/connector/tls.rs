//! TLS for the connector: the system's trust and the operator's, aws-lc-rs, HTTP/1.1 only.
//!
//! It exists to make the configuration late: reading the system's certificates costs time and memory that a gateway
//! with plain upstreams, or none yet, should not pay. It presents no client certificate.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Authorities that are trusted beside the system's.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

/// Why a text gives no authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAuthorities {
    /// It has none.
    #[error("there is no certificate in it: it has to be PEM, with BEGIN CERTIFICATE")]
    None,
    /// One of its certificates, counted from 1, cannot be read.
    #[error("its certificate {0} cannot be read")]
    Unreadable(usize),
}

impl Authorities {
    /// Reads certificates in PEM. Whatever else is in the text, such as words between them, is passed over.
    ///
    /// # Errors
    /// When there is none, and when one cannot be an authority.
    pub fn read_pem(text: &[u8]) -> Result<Self, BadAuthorities> {
        let (mut roots, mut probe) = (Vec::new(), RootCertStore::empty());
        for (number, read) in (1..).zip(CertificateDer::pem_slice_iter(text)) {
            let certificate = read.map_err(|_| BadAuthorities::Unreadable(number))?;
            probe.add(certificate.clone()).map_err(|_| BadAuthorities::Unreadable(number))?;
            roots.push(certificate);
        }
        if roots.is_empty() { Err(BadAuthorities::None) } else { Ok(Self(roots)) }
    }
}

/// A client configuration that is made when it is first needed.
#[derive(Default)]
pub(super) struct LazyTls {
    authorities: Authorities,
    config: OnceLock<Arc<ClientConfig>>,
}

impl LazyTls {
    /// Returns one that trusts more than the system does.
    pub(super) fn trusting(authorities: Authorities) -> Self {
        Self { authorities, config: OnceLock::new() }
    }

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
        let built = Arc::new(build(&self.authorities)?);
        Ok(Arc::clone(self.config.get_or_init(|| built)))
    }
}

fn build(authorities: &Authorities) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(authorities.0.iter().cloned(), Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
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

    #[test]
    fn what_is_no_authority_is_said() {
        let check = |text: &str, expect: BadAuthorities| {
            assert_eq!(Authorities::read_pem(text.as_bytes()).map(|_| ()), Err(expect), "{text}");
        };
        check("", BadAuthorities::None);
        check("words", BadAuthorities::None);
        check("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", BadAuthorities::None);
        check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", BadAuthorities::Unreadable(1));
        check("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", BadAuthorities::Unreadable(1));
    }
}
