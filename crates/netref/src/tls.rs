//! TLS, by rustls, for both drivers.
//!
//! A client verifies the server by default, its name included: against the certificates that it [trusts](Tls::trusting), or by
//! [pinning](Tls::pinning) the server's very certificate, which needs no name. There is no way to verify nothing.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, DigitallySignedStruct, RootCertStore,
    ServerConfig, ServerConnection, SignatureScheme,
};

use crate::handshake::{Credentials, Handshake, Secured};

mod transport;

use transport::TlsTransport;

/// TLS for one side: as a server with a certificate, or as a client that knows whom to trust.
///
/// ```no_run
/// use std::sync::Arc;
/// use netref::tls::Tls;
///
/// // A client
/// let options = netref::Options::new().handshake(Tls::trusting("ca.pem")?);
/// let conn = options.connect("tcp://lab-pc:18821")?;
/// println!("{:?}", conn.credentials());
///
/// // A server
/// # struct Calculator;
/// # #[netref::service]
/// # impl Calculator {}
/// let options = netref::Options::new().handshake(Tls::server("server.pem", "server.key")?);
/// netref::Server::with_options("tcp://0.0.0.0:18821", options, || Arc::new(Calculator))?.run();
/// # Ok::<(), netref::Error>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    role: Role,
}

#[derive(Clone)]
enum Role {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Tls {
    /// A client that trusts servers whose certificate one of those in a PEM file vouches for, under the name that is
    /// connected to.
    ///
    /// # Errors
    /// If the file cannot be read or has no certificate in it.
    pub fn trusting(roots: impl AsRef<Path>) -> io::Result<Self> {
        let config = client()?.with_root_certificates(read_roots(roots.as_ref())?).with_no_client_auth();
        Ok(Self { role: Role::Client(Arc::new(config)) })
    }

    /// The same, for a client that shows the server a certificate of its own.
    ///
    /// # Errors
    /// If a file cannot be read, or the key is not the certificate's.
    pub fn trusting_as(
        roots: impl AsRef<Path>,
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> io::Result<Self> {
        let (chain, key) = (read_certificates(certificates.as_ref())?, read_key(key.as_ref())?);
        let config = client()?.with_root_certificates(read_roots(roots.as_ref())?);
        let config = config.with_client_auth_cert(chain, key).map_err(invalid)?;
        Ok(Self { role: Role::Client(Arc::new(config)) })
    }

    /// A client that trusts the one server that has the certificate in a PEM file, under whatever name: for certificates that
    /// sign themselves.
    ///
    /// # Errors
    /// If the file cannot be read or has no certificate in it.
    pub fn pinning(certificate: impl AsRef<Path>) -> io::Result<Self> {
        let chain = read_certificates(certificate.as_ref())?;
        let pinned = chain.into_iter().next().ok_or_else(|| no_certificate(certificate.as_ref()))?;
        let verifier = Arc::new(Pinned { certificate: pinned, provider: provider() });
        let config = client()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        Ok(Self { role: Role::Client(Arc::new(config)) })
    }

    /// A server with a certificate, those that vouch for it behind it, and its key, in PEM files. Clients need none.
    ///
    /// # Errors
    /// If a file cannot be read, or the key is not the certificate's.
    pub fn server(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> io::Result<Self> {
        let (chain, key) = (read_certificates(certificates.as_ref())?, read_key(key.as_ref())?);
        let config = server()?.with_no_client_auth().with_single_cert(chain, key).map_err(invalid)?;
        Ok(Self { role: Role::Server(Arc::new(config)) })
    }

    /// The same, for a server whose clients have to show a certificate that one of `roots` vouches for. It is in
    /// [`Connection::credentials`](crate::Connection::credentials).
    ///
    /// # Errors
    /// If a file cannot be read, or the key is not the certificate's.
    pub fn server_for(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
        roots: impl AsRef<Path>,
    ) -> io::Result<Self> {
        let (chain, key) = (read_certificates(certificates.as_ref())?, read_key(key.as_ref())?);
        let roots = Arc::new(read_roots(roots.as_ref())?);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, provider()).build().map_err(invalid)?;
        let config =
            server()?.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(invalid)?;
        Ok(Self { role: Role::Server(Arc::new(config)) })
    }
}

impl Handshake for Tls {
    fn accept(&self, socket: OwnedFd, deadline: Option<Instant>) -> io::Result<Secured> {
        let Role::Server(config) = &self.role else {
            return Err(invalid("this Tls is a client's: a server has a certificate, see Tls::server"));
        };
        let session = ServerConnection::new(config.clone()).map_err(invalid)?;
        secure(socket, session.into(), deadline)
    }

    fn connect(&self, socket: OwnedFd, host: &str, deadline: Option<Instant>) -> io::Result<Secured> {
        let Role::Client(config) = &self.role else {
            return Err(invalid("this Tls is a server's: a client knows whom to trust, see Tls::trusting"));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
        let session = ClientConnection::new(config.clone(), name).map_err(invalid)?;
        secure(socket, session.into(), deadline)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.role {
            Role::Client(_) => "Tls(client)",
            Role::Server(_) => "Tls(server)",
        })
    }
}

fn secure(socket: OwnedFd, session: Connection, deadline: Option<Instant>) -> io::Result<Secured> {
    let transport = TlsTransport::handshake(socket, session, deadline)?;
    let credentials = transport.certificates().map(Credentials::Certificates);
    Ok(Secured { transport: Box::new(transport), credentials })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn client() -> io::Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(invalid)
}

fn server() -> io::Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>> {
    ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(invalid)
}

fn read_certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    if all.is_empty() { Err(no_certificate(path)) } else { Ok(all) }
}

fn read_roots(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots.add(certificate).map_err(invalid)?;
    }
    Ok(roots)
}

fn read_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        pem::Error::NoItemsFound => invalid(format!("there is no private key in {}", path.display())),
        error => invalid(format!("{}: {error}", path.display())),
    })
}

fn no_certificate(path: &Path) -> io::Error {
    invalid(format!("there is no certificate in {}", path.display()))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// Takes one certificate and no other, without looking at what it says about itself. That the server has its key is verified.
#[derive(Debug)]
struct Pinned {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
