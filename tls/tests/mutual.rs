//! A real client and a real server over loopback: who is let in, who is not, and why.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use kestrel_tls::{
    ClientTls, Connection, Connector, Counts, Endpoint, Limits, ListenAddress, Listener, Material, Security,
    ServerTls, Transport, reason,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};
use tokio_stream::StreamExt as _;

const DEADLINE: Duration = Duration::from_secs(20);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes `ca`, `certificate` and `key` into a folder.
    fn issue(&self, folder: &Path, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Material {
        fs::create_dir_all(folder).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let material = material(folder);
        fs::write(&material.ca, &self.pem).unwrap();
        fs::write(&material.certificate, certificate.pem()).unwrap();
        fs::write(&material.key, key.serialize_pem()).unwrap();
        material
    }
}

fn material(folder: &Path) -> Material {
    let file = |name: &str| folder.join(name);
    Material { ca: file("ca.pem"), certificate: file("cert.pem"), key: file("key.pem"), revoked: None }
}

/// A server that says "hi" to whom it lets in, and to us who that was.
struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
    let_in: mpsc::Receiver<Connection>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(material: Material, limits: Limits) -> Self {
        let any = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let security = Security::Tls(ServerTls::open(material).unwrap());
        let listener = Listener::bind(&any, security, limits).await.unwrap();
        let (address, counts) = (listener.address().unwrap(), listener.counts());
        let (tell, let_in) = mpsc::channel(16);
        let task = tokio::spawn(async move {
            let mut incoming = listener.incoming();
            while let Some(Ok(mut connection)) = incoming.next().await {
                // A client that does not like us is gone already.
                let _ = connection.write_all(b"hi").await;
                let _ = connection.flush().await;
                tell.send(connection).await.unwrap();
            }
        });
        Self { address, counts, let_in, task }
    }

    fn connector(&self, material: &Material) -> Connector {
        let tls = ClientTls::open(material.clone()).unwrap();
        self.connector_with(tls, Some("collector.kestrel"))
    }

    fn connector_with(&self, tls: ClientTls, name: Option<&str>) -> Connector {
        let endpoint: Endpoint = format!("https://{}", self.address).parse().unwrap();
        Connector::new(endpoint, Some(tls), name, DEADLINE).unwrap()
    }
}

/// Connects and reads the greeting. In TLS 1.3 a client learns at its first read that it is refused.
async fn greeted(connector: &Connector) -> Result<Transport, String> {
    let mut stream = connector.connect().await.map_err(|error| reason(&error))?;
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await.map_err(|error| error.to_string())?;
    assert_eq!(&greeting, b"hi");
    Ok(stream)
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_node_is_let_in_and_known() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = authority.issue(&folder.path().join("server"), "collector.kestrel", |_| {});
    let mut server = Server::start(server, Limits::default()).await;
    let client = authority.issue(&folder.path().join("client"), "worker-1.node.kestrel", |_| {});
    let _stream = greeted(&server.connector(&client)).await.unwrap();
    let connection = server.let_in.recv().await.unwrap();
    let identity = connection.peer().identity.as_ref().unwrap();
    assert!(identity.may_speak_for("worker-1") && !identity.may_speak_for("worker-2"));

    let any = authority.issue(&folder.path().join("any"), "*.node.kestrel", |_| {});
    let _stream = greeted(&server.connector(&any)).await.unwrap();
    let connection = server.let_in.recv().await.unwrap();
    assert!(connection.peer().identity.as_ref().unwrap().may_speak_for("worker-2"));
    assert_eq!(server.counts.accepted.load(Relaxed), 2);
}

#[tokio::test]
async fn whoever_is_not_of_the_authority_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let material = authority.issue(&folder.path().join("server"), "collector.kestrel", |_| {});
    let mut server = Server::start(material, Limits::default()).await;

    // Signed by another, though it knows ours.
    let foreign = Authority::new().issue(&folder.path().join("foreign"), "worker-1.node.kestrel", |_| {});
    fs::write(&foreign.ca, &authority.pem).unwrap();
    let error = greeted(&server.connector(&foreign)).await.unwrap_err();
    assert!(error.contains("received fatal alert"), "{error}");

    let expired = authority.issue(&folder.path().join("expired"), "worker-1.node.kestrel", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    });
    let error = greeted(&server.connector(&expired)).await.unwrap_err();
    assert!(error.contains("Expired"), "{error}");

    let good = authority.issue(&folder.path().join("good"), "worker-1.node.kestrel", |_| {});
    for (version, with_certificate) in [(&rustls::version::TLS13, false), (&rustls::version::TLS12, true)] {
        let error = bare_client(server.address, &good, version, with_certificate).await;
        assert!(error.contains("received fatal alert"), "{error}");
    }
    eventually("all four are counted", || server.counts.refused.load(Relaxed) == 4).await;

    // None of them harmed this one.
    let _stream = greeted(&server.connector(&good)).await.unwrap();
    assert!(server.let_in.recv().await.is_some());
    assert_eq!(server.counts.accepted.load(Relaxed), 1);
}

/// What a client made with other settings than ours is told.
async fn bare_client(
    address: SocketAddr,
    material: &Material,
    version: &'static rustls::SupportedProtocolVersion,
    with_certificate: bool,
) -> String {
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&material.ca).unwrap()).unwrap();
    let builder =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
    let config = if with_certificate {
        let chain = vec![CertificateDer::from_pem_file(&material.certificate).unwrap()];
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&material.key).unwrap()).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from("collector.kestrel").unwrap();
    tokio::task::spawn_blocking(move || {
        let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        stream.flush().and_then(|()| stream.read(&mut [0; 2])).expect_err("was let in").to_string()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_server_must_have_the_name_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let material = authority.issue(&folder.path().join("server"), "collector.kestrel", |_| {});
    let server = Server::start(material, Limits::default()).await;
    let client = authority.issue(&folder.path().join("client"), "worker-1.node.kestrel", |_| {});
    let tls = ClientTls::open(client).unwrap();
    // Its host, 127.0.0.1, is not in the certificate.
    let error = server.connector_with(tls.clone(), None).connect().await.unwrap_err();
    assert!(reason(&error).contains("not valid for name"), "{}", reason(&error));
    let other = server.connector_with(tls, Some("other.kestrel")).connect().await.unwrap_err();
    assert!(reason(&other).starts_with("TLS with https://127.0.0.1:"), "{}", reason(&other));
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let mut material = authority.issue(&folder.path().join("server"), "collector.kestrel", |_| {});
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        // Long past, and still believed.
        next_update: date_time_ymd(2020, 2, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(666),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let file = folder.path().join("revoked.pem");
    fs::write(&file, list.signed_by(&authority.issuer).unwrap().pem().unwrap()).unwrap();
    material.revoked = Some(file);
    let server = Server::start(material, Limits::default()).await;
    let serial =
        |number: u64| move |params: &mut CertificateParams| params.serial_number = Some(number.into());
    let good = authority.issue(&folder.path().join("good"), "worker-1.node.kestrel", serial(1));
    let revoked = authority.issue(&folder.path().join("revoked"), "worker-2.node.kestrel", serial(666));
    greeted(&server.connector(&good)).await.unwrap();
    let error = greeted(&server.connector(&revoked)).await.unwrap_err();
    assert!(error.contains("Revoked"), "{error}");
}

#[tokio::test]
async fn a_rotation_needs_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    // As Kubernetes mounts a secret: files are links through a link that is swapped.
    let mounted = |side: &str, authority: &Authority, version: &str, name: &str| {
        let side = folder.path().join(side);
        authority.issue(&side.join(version), name, |_| {});
        let swap = side.join("..data_tmp");
        std::os::unix::fs::symlink(version, &swap).unwrap();
        fs::rename(&swap, side.join("..data")).unwrap();
        for file in ["ca.pem", "cert.pem", "key.pem"] {
            let _ = std::os::unix::fs::symlink(Path::new("..data").join(file), side.join(file));
        }
        material(&side)
    };
    let server = mounted("server", &old, "1", "collector.kestrel");
    let server = Server::start(server, Limits::default()).await;
    let client = mounted("client", &old, "1", "worker-1.node.kestrel");
    let connector = server.connector(&client);
    let mut before = greeted(&connector).await.unwrap();

    mounted("server", &new, "2", "collector.kestrel");
    greeted(&connector).await.map(|_| ()).expect_err("the server has a new authority, the client has not");
    mounted("client", &new, "2", "worker-1.node.kestrel");
    greeted(&connector).await.unwrap();
    // A connection that is there stays.
    before.write_all(b"still here").await.unwrap();

    // Rubbish does not replace what is good.
    fs::write(folder.path().join("client/..data/cert.pem"), "rubbish").unwrap();
    fs::write(folder.path().join("server/..data/key.pem"), "rubbish").unwrap();
    greeted(&connector).await.unwrap();
}

#[tokio::test]
async fn a_hanging_handshake_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let material = authority.issue(&folder.path().join("server"), "collector.kestrel", |_| {});
    let limits = Limits { handshakes: 4, handshake_time: Duration::from_millis(500) };
    let server = Server::start(material, limits).await;
    let client = authority.issue(&folder.path().join("client"), "worker-1.node.kestrel", |_| {});
    let mut hanging = Vec::new();
    for _ in 0..10 {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        // The beginning of a ClientHello, and no more.
        stream.write_all(&[22, 3, 1, 1, 0, 1]).unwrap();
        hanging.push(stream);
    }
    eventually("six are crowded out", || server.counts.crowded_out.load(Relaxed) == 6).await;
    greeted(&server.connector(&client)).await.unwrap();
    eventually("the rest runs out of time", || server.counts.timed_out.load(Relaxed) >= 3).await;
    for mut stream in hanging {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        // Closed, not left open.
        let read = stream.read(&mut [0; 64]);
        assert!(read.is_ok() || read.unwrap_err().kind() == std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn plain_text_and_unix_sockets_do_without() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    for address in
        [ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))), ListenAddress::Unix(path.clone())]
    {
        let listener = Listener::bind(&address, Security::Plain, Limits::default()).await.unwrap();
        let endpoint = match listener.address() {
            Some(address) => format!("http://{address}"),
            None => format!("unix://{}", path.display()),
        };
        let connector = Connector::new(endpoint.parse().unwrap(), None, None, DEADLINE).unwrap();
        let mut incoming = listener.incoming();
        let (client, server) = tokio::join!(connector.connect(), incoming.next());
        let (mut client, mut server) = (client.unwrap(), server.unwrap().unwrap());
        assert!(server.peer().identity.is_none());
        server.write_all(b"hi").await.unwrap();
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).await.unwrap();
    }
    assert!(!path.exists(), "the socket is left behind");
    // One that a killed process left behind is replaced; one in use, or another file, is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = ListenAddress::Unix(path.clone());
    let listener = Listener::bind(&address, Security::Plain, Limits::default()).await.unwrap();
    Listener::bind(&address, Security::Plain, Limits::default()).await.unwrap_err();
    drop(listener);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    Listener::bind(&address, Security::Plain, Limits::default()).await.unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn nobody_there_is_said_plainly() {
    // A port that was just given back.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint: Endpoint = format!("http://{address}").parse().unwrap();
    let connector = Connector::new(endpoint, None, None, DEADLINE).unwrap();
    let error = reason(&connector.connect().await.unwrap_err());
    assert_eq!(error, format!("cannot connect to http://{address}: Connection refused (os error 111)"));
    let tls: Endpoint = "https://collector:1".parse().unwrap();
    let error = Connector::new(tls, None, None, DEADLINE).unwrap_err();
    assert_eq!(error.to_string(), "https://collector:1 cannot be reached: no certificates are configured");
}

#[test]
fn mistakes_name_the_file_and_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.issue(&folder.path().join("a"), "collector.kestrel", |_| {});
    let other = authority.issue(&folder.path().join("b"), "collector.kestrel", |_| {});
    let at = folder.path().display();
    let key = fs::read_to_string(&good.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let broken = folder.path().join("broken");
    fs::write(&broken, key.replace("-----END PRIVATE KEY-----", "-----END PRIVATE")).unwrap();
    let short = folder.path().join("short");
    fs::write(&short, format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n")).unwrap();
    let long = folder.path().join("long");
    fs::write(&long, vec![b'#'; 2 << 20]).unwrap();
    let with_key = |file: &Path| Material { key: file.to_owned(), ..good.clone() };
    for (material, expected) in [
        (Material { ca: "/nowhere".into(), ..good.clone() }, "cannot read /nowhere".to_owned()),
        (
            Material { ca: good.key.clone(), ..good.clone() },
            format!("{at}/a/key.pem holds no certificate in PEM"),
        ),
        (with_key(&good.certificate), format!("{at}/a/cert.pem holds no private key in PEM")),
        (with_key(&broken), format!("{at}/broken holds no private key in PEM")),
        (with_key(&long), format!("{at}/long is longer than 1048576 bytes")),
        (
            with_key(&short),
            format!("private key in {at}/short cannot be used: not an ECDSA, Ed25519 or RSA key"),
        ),
        (
            with_key(&other.key),
            format!("private key in {at}/b/key.pem is not that of the certificate in {at}/a/cert.pem"),
        ),
    ] {
        for error in [
            ClientTls::open(material.clone()).map(|_| ()).unwrap_err(),
            ServerTls::open(material.clone()).map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains(secret));
        }
    }
}
