//! TLS over a connected socket.

use std::{io, net::TcpStream, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// The trusted certificate authorities: the authorities of a file, or by default of the platform.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    authorities: Option<RootCertStore>,
}

impl Trust {
    /// Trusts only the certificates of a PEM file.
    ///
    /// # Errors
    ///
    /// Returns one sentence that names the fault of the file.
    pub(crate) fn of_file(path: &Path) -> Result<Self, String> {
        let told = |error: &dyn std::fmt::Display| format!("--ca-file {}: {error}", path.display());
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| told(&error))?;
        let mut authorities = RootCertStore::empty();
        for certificate in certificates {
            authorities.add(certificate.map_err(|error| told(&error))?).map_err(|error| told(&error))?;
        }
        if authorities.is_empty() {
            return Err(told(&"the file has no certificate"));
        }
        Ok(Self { authorities: Some(authorities) })
    }

    fn config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match &self.authorities {
            Some(authorities) => builder.with_root_certificates(authorities.clone()),
            None => builder.with_platform_verifier()?,
        };
        Ok(builder.with_no_client_auth())
    }
}

/// Returns a TLS stream, whose handshake takes place at its first use.
///
/// # Errors
///
/// Returns an error if the host name is not valid in a certificate, or if the platform has no authorities.
pub(crate) fn over(
    stream: TcpStream,
    host: &str,
    trust: &Trust,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let address = host.split('%').next().unwrap_or(host).to_owned();
    let name =
        ServerName::try_from(address).map_err(|_| io::Error::other("the host name is not valid in a certificate"))?;
    let config = trust.config().map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}
