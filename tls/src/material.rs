//! The files, and what rustls makes of them.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use thiserror::Error;

/// Nothing else is spoken.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];
/// What gRPC speaks.
const ALPN: &[u8] = b"h2";
/// Longest file that is read; a certificate with its chain takes a few KiB.
const FILE_BYTES: u64 = 1 << 20;

/// Where authority, certificate and key lie. All in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// Certificates of the authority that the other side must have its own from.
    pub ca: PathBuf,
    /// Our certificate, with its chain behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Certificates that the authority has revoked, for servers. A list past its next update still
    /// counts: a late one must not shut out a whole cluster.
    pub revoked: Option<PathBuf>,
}

/// Why the files cannot be used. Never has bytes of a key.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is longer than anything that belongs here.
    #[error("{} is longer than {FILE_BYTES} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
    },
    /// A file holds something else.
    #[error("{} holds no {expected} in PEM", file.display())]
    NotPem {
        /// The file.
        file: PathBuf,
        /// What was expected.
        expected: &'static str,
    },
    /// A certificate is refused.
    #[error("certificate in {} cannot be used", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The key is of a kind that is not supported, or broken.
    #[error("private key in {} cannot be used: not an ECDSA, Ed25519 or RSA key", file.display())]
    Key {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error("private key in {} is not that of the certificate in {}", key.display(), certificate.display())]
    KeyMismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The authority or its list of revoked certificates is refused.
    #[error("clients cannot be verified by {}", file.display())]
    Verifier {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
}

impl Material {
    /// The files, in the order of the fields.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let Self { ca, certificate, key, revoked } = self;
        [Some(ca), Some(certificate), Some(key), revoked.as_ref()].into_iter().flatten().map(PathBuf::as_path)
    }

    /// For the side that connects.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (chain, key) = self.own(&provider)?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(|source| self.certificate(source))?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(chain, key)
            .map_err(|source| self.certificate(source))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would bring back an authority or a certificate that was taken away.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// For the side that is connected to: a client without a certificate is refused.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let (chain, key) = self.own(&provider)?;
        let roots = Arc::new(self.roots()?);
        let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        if let Some(file) = &self.revoked {
            let lists = items::<CertificateRevocationListDer<'static>>(file, "list of revoked certificates")?;
            verifier = verifier.with_crls(lists).only_check_end_entity_revocation();
        }
        let blamed = self.revoked.as_ref().unwrap_or(&self.ca);
        let verifier =
            verifier.build().map_err(|source| TlsError::Verifier { file: blamed.clone(), source })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .map_err(|source| self.certificate(source))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|source| self.certificate(source))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        // As above: a ticket would outlive the authority that let its client in.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in items::<CertificateDer<'static>>(&self.ca, "certificate")? {
            let refused = |source| TlsError::Certificate { file: self.ca.clone(), source };
            roots.add(certificate).map_err(refused)?;
        }
        Ok(roots)
    }

    /// Certificate with chain, and a key that fits.
    fn own(
        &self,
        provider: &CryptoProvider,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let chain = items::<CertificateDer<'static>>(&self.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            // The parser's error quotes what it read.
            .map_err(|_| TlsError::NotPem { file: self.key.clone(), expected: "private key" })?;
        let signing = provider
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| TlsError::Key { file: self.key.clone() })?;
        match rustls::sign::CertifiedKey::new(chain.clone(), signing).keys_match() {
            // A key that cannot tell is tried in the handshake.
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok((chain, key))
            }
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(TlsError::KeyMismatch { certificate: self.certificate.clone(), key: self.key.clone() })
            }
            Err(source) => Err(self.certificate(source)),
        }
    }

    fn certificate(&self, source: rustls::Error) -> TlsError {
        TlsError::Certificate { file: self.certificate.clone(), source }
    }
}

/// All items of a kind; at least one.
fn items<T: PemObject>(file: &Path, expected: &'static str) -> Result<Vec<T>, TlsError> {
    let not_pem = || TlsError::NotPem { file: file.to_owned(), expected };
    let text = read(file)?;
    let items: Result<Vec<T>, pem::Error> = T::pem_slice_iter(&text).collect();
    items.ok().filter(|items| !items.is_empty()).ok_or_else(not_pem)
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(file).map_err(failed)?.take(FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(TlsError::TooLong { file: file.to_owned() });
    }
    Ok(bytes)
}
