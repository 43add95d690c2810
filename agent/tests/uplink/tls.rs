//! With certificates.

use std::{fs, path::Path, time::Duration};

use kestrel_agent::{config, outbox::Lane, uplink::Link};
use kestrel_proto::v1;
use kestrel_tls::{Material, Security, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

use crate::{
    collector::{Collector, Served},
    rig::{Rig, eventually, settings},
};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn issue(&self, folder: &Path, name: &str) -> Material {
        fs::create_dir_all(folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let material = Material {
            ca: folder.join("ca.pem"),
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            revoked: None,
        };
        fs::write(&material.ca, &self.pem).unwrap();
        fs::write(&material.certificate, certificate.pem()).unwrap();
        fs::write(&material.key, key.serialize_pem()).unwrap();
        material
    }
}

fn uplink(served: &Served, material: Material) -> config::Uplink {
    config::Uplink {
        endpoint: format!("https://{}", served.address).parse().unwrap(),
        tls: Some(config::Tls { material, server_name: Some("collector.kestrel".to_owned()) }),
        drain_timeout: Duration::from_secs(10),
    }
}

fn reason(rig: &Rig) -> String {
    match rig.state.link() {
        Link::Down { reason, .. } => reason,
        Link::Starting | Link::Up { .. } => String::new(),
    }
}

#[tokio::test]
async fn certificates_are_exchanged_while_the_agent_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = (folder.path().join("server"), folder.path().join("client"));
    let (old, new) = (Authority::new(), Authority::new());
    let collector = Collector::default();
    let tls = ServerTls::open(old.issue(&server, "collector.kestrel")).unwrap();
    let served = collector.serve(Security::Tls(tls)).await;
    // The agent is there before its certificate is.
    let material = Material {
        ca: client.join("ca.pem"),
        certificate: client.join("cert.pem"),
        key: client.join("key.pem"),
        revoked: None,
    };
    let rig = Rig::start(uplink(&served, material), settings());
    rig.append(Lane::Findings, 1..11);
    let missing = format!("cannot read {}: No such file", client.join("cert.pem").display());
    eventually("it says what is missing", || reason(&rig).starts_with(&missing)).await;
    old.issue(&client, "worker-1.node.kestrel");
    eventually("all is acknowledged", || rig.waiting() == 0).await;

    // The collector has a new authority; the connection that is there stays, the next one fails.
    new.issue(&server, "collector.kestrel");
    collector.behave(|manners| manners.hangs_up_after = Some(0));
    rig.append(Lane::Findings, 11..21);
    eventually("the certificate is blamed", || reason(&rig).contains("certificate")).await;
    collector.behave(|manners| manners.hangs_up_after = None);
    new.issue(&client, "worker-1.node.kestrel");
    eventually("all is acknowledged", || rig.waiting() == 0).await;
    assert_eq!(collector.look(|store| store.of(v1::Lane::Findings).len()), 20);
}

#[tokio::test]
async fn another_nodes_certificate_does_not_do() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let collector = Collector::default();
    let tls = ServerTls::open(authority.issue(&folder.path().join("server"), "collector.kestrel")).unwrap();
    let served = collector.serve(Security::Tls(tls)).await;
    let client = folder.path().join("client");
    let rig = Rig::start(uplink(&served, authority.issue(&client, "worker-2.node.kestrel")), settings());
    rig.append(Lane::Findings, 1..11);
    let expected = "the collector does not let this node in: the certificate is not that of worker-1";
    eventually("it is told", || reason(&rig) == expected).await;
    assert_eq!(rig.waiting(), 10);

    let stranger = Authority::new().issue(&client, "worker-1.node.kestrel");
    // It believes the collector, but the collector does not believe it.
    fs::write(&stranger.ca, &authority.pem).unwrap();
    eventually("the alert is passed on", || reason(&rig).contains("received fatal alert")).await;
    authority.issue(&client, "worker-1.node.kestrel");
    eventually("all is acknowledged", || rig.waiting() == 0).await;
}
