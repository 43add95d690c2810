//! What a client's certificate says: for which nodes it may speak, and whether it may watch.

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::{extensions::GeneralName, prelude::*};

/// DNS name of a node's certificate: `<node>.node.kestrel`.
const NODE_DOMAIN: &str = ".node.kestrel";
/// URI of a node's certificate, as SPIFFE writes them: `spiffe://any/kestrel/node/<node>`.
const NODE_PATH: &str = "/kestrel/node/";
const VIEWER_NAME: &str = "viewer.kestrel";
const VIEWER_PATH: &str = "/kestrel/viewer";
/// Longest subject that is kept, in characters.
const SUBJECT: usize = 256;

/// For whom a certificate speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Nodes whose events it may deliver.
    pub nodes: Vec<NodePattern>,
    /// It may watch.
    pub viewer: bool,
    /// Its subject, for logs; one line without control characters.
    pub subject: String,
}

/// Which nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodePattern {
    /// All: `*.node.kestrel`.
    Any,
    /// The one of this name.
    Named(String),
}

/// A certificate that cannot be read.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Not X.509.
    #[error("the certificate cannot be parsed")]
    Certificate,
    /// Its names are broken, or there twice.
    #[error("the certificate's alternative names cannot be parsed")]
    Names,
}

impl Identity {
    /// Reads a certificate that was verified before.
    ///
    /// # Errors
    /// When it cannot be parsed.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let (_, certificate) =
            X509Certificate::from_der(certificate).map_err(|_| IdentityError::Certificate)?;
        let subject = certificate.subject().to_string().escape_debug().take(SUBJECT).collect();
        let mut identity = Self { nodes: Vec::new(), viewer: false, subject };
        let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Names)?;
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => identity.dns(name),
                GeneralName::URI(uri) => identity.uri(uri),
                _ => {}
            }
        }
        Ok(identity)
    }

    /// Whether it may deliver what `node` says.
    #[must_use]
    pub fn may_speak_for(&self, node: &str) -> bool {
        self.nodes.iter().any(|pattern| match pattern {
            NodePattern::Any => true,
            NodePattern::Named(name) => name == node,
        })
    }

    fn dns(&mut self, name: &str) {
        if name == VIEWER_NAME {
            self.viewer = true;
        } else if let Some(node) = name.strip_suffix(NODE_DOMAIN) {
            match node {
                "*" => self.nodes.push(NodePattern::Any),
                _ => self.node(node),
            }
        }
    }

    fn uri(&mut self, uri: &str) {
        // What follows "?" or "#" is no path.
        if uri.contains(['?', '#']) {
            return;
        }
        if uri.ends_with(VIEWER_PATH) {
            self.viewer = true;
        } else if let Some((_, node)) = uri.rsplit_once(NODE_PATH) {
            self.node(node);
        }
    }

    /// A name that no node can have is left out: it must not match by accident.
    fn node(&mut self, name: &str) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if !name.is_empty() && name.len() <= 253 && name.bytes().all(allowed) {
            self.nodes.push(NodePattern::Named(name.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn identity(dns: &[&str], uris: &[&str]) -> Identity {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let dns = dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap()));
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names = dns.chain(uris).collect();
        let key = KeyPair::generate().unwrap();
        Identity::of(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn a_node_speaks_for_itself() {
        let one = identity(&["worker-1.node.kestrel", "ip-10-0-0-1.ec2.internal.node.kestrel"], &[]);
        assert!(one.may_speak_for("worker-1") && one.may_speak_for("ip-10-0-0-1.ec2.internal"));
        for other in ["worker-2", "worker-1.node.kestrel", "", "*", "WORKER-1", "ip-10-0-0-1"] {
            assert!(!one.may_speak_for(other), "{other}");
        }
        assert!(!one.viewer);
        let any = identity(&["*.node.kestrel"], &[]);
        assert!(any.may_speak_for("worker-1") && any.may_speak_for("a.b"));
    }

    #[test]
    fn spiffe_names_do_as_well() {
        let one = identity(&[], &["spiffe://cluster.local/ns/x/kestrel/node/worker-1"]);
        assert_eq!(one.nodes, [NodePattern::Named("worker-1".to_owned())]);
        assert!(identity(&[], &["spiffe://cluster.local/kestrel/viewer"]).viewer);
        assert!(identity(&["viewer.kestrel"], &[]).viewer);
    }

    #[test]
    fn what_is_no_name_gives_no_right() {
        let none = identity(
            &["node.kestrel", "worker-1.node.kestrel.evil.example", "xviewer.kestrel", "worker-1"],
            &[
                "spiffe://x/kestrel/node/",
                "spiffe://x/kestrel/node/*",
                "spiffe://x/kestrel/node/a/b",
                "spiffe://x/?/kestrel/node/worker-1",
                "spiffe://x/#/kestrel/viewer",
                "spiffe://x/kestrel/viewer/no",
            ],
        );
        assert_eq!((none.nodes.as_slice(), none.viewer), (&[][..], false));
        assert!(!none.may_speak_for("") && !none.may_speak_for("*"));
        assert!(matches!(Identity::of(&vec![0; 8].into()), Err(IdentityError::Certificate)));
    }
}
