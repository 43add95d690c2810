//! A certificate speaks for its node and for no other.

use std::{fs, path::Path, time::Duration};

use kestrel_collector::ingest::Options;
use kestrel_proto::v1::{Lane, agent_message::Message};
use kestrel_tls::{ClientTls, Connector, Endpoint, Material, Security, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tonic::{Code, transport};

use crate::rig::{Agent, Rig, hello};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, dir: &Path, name: &str) -> Material {
        let folder = dir.join(name.replace('*', "any"));
        fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let material = Material {
            ca: folder.join("ca"),
            certificate: folder.join("certificate"),
            key: folder.join("key"),
            revoked: None,
        };
        fs::write(&material.ca, &self.pem).unwrap();
        fs::write(&material.certificate, certificate.pem()).unwrap();
        fs::write(&material.key, key.serialize_pem()).unwrap();
        material
    }
}

#[tokio::test]
async fn a_certificate_speaks_for_its_own_node() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = ServerTls::open(authority.issue(dir.path(), "localhost")).unwrap();
    let rig = Rig::at(dir.path(), Options::default(), Security::Tls(server)).await;
    let agent = async |certificate: &str, node: &str| {
        let endpoint: Endpoint = format!("https://localhost:{}", rig.address.port()).parse().unwrap();
        let tls = ClientTls::open(authority.issue(dir.path(), certificate)).unwrap();
        let connector = Connector::new(endpoint.clone(), Some(tls), None, Duration::from_secs(5)).unwrap();
        let channel = transport::Endpoint::from_shared(endpoint.uri()).unwrap();
        let agent = Agent::over(channel.connect_with_connector(connector).await.unwrap()).await;
        agent.send(Message::Hello(hello(node))).await;
        agent
    };
    for (certificate, node) in [("n1.node.kestrel", "n1"), ("*.node.kestrel", "n2")] {
        let mut agent = agent(certificate, node).await;
        agent.welcomed().await;
        agent.batch(Lane::Findings, 1, 1).await;
        agent.acked(Lane::Findings, 1).await;
    }
    for (certificate, node) in [("n1.node.kestrel", "n2"), ("viewer.kestrel", "n1"), ("n1.example", "n1")] {
        let status = agent(certificate, node).await.ended().await;
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(status.message(), format!("the client certificate does not speak for node {node:?}"));
    }
    assert_eq!(rig.events().len(), 2);
    rig.stop().await;
}
