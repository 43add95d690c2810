//! With certificates on both sides, as `deploy/certificates.sh` makes them.

use std::{path::Path, process::Command};

use kestrel_tls::{Material, Security, ServerTls};

use crate::{
    data, kestrel, parts,
    server::{Script, Server},
};

#[test]
fn each_side_shows_a_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/certificates.sh");
    for folder in ["good", "other"] {
        let made = Command::new(&script).arg(dir.path().join(folder)).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let of = |folder: &str| {
        let folder = dir.path().join(folder);
        ["ca.crt", "tls.crt", "tls.key"].map(|file| folder.join(file))
    };
    let [ca, certificate, key] = of("good/collector");
    let tls = ServerTls::open(Material { ca, certificate, key, revoked: None }).unwrap();
    let script = Script { nodes: data::nodes(), status: data::healthy(), ..Default::default() };
    let server = Server::start_with(script, Security::Tls(tls));
    let url = format!("https://localhost:{}", server.port());
    let run = |command: &str, folder: &str, more: &[&str]| {
        let [ca, certificate, key] = of(folder);
        let mut kestrel = kestrel();
        kestrel.args([command, "--server", &url]).args(more);
        kestrel.arg("--ca").arg(ca).arg("--cert").arg(certificate).arg("--key").arg(key);
        parts(&kestrel.output().unwrap())
    };

    let (code, out, err) = run("nodes", "good/viewer", &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("worker-1"));
    let (_, out, _) = run("doctor", "good/viewer", &[]);
    assert!(out.contains("ok    certificates: --cert ") && !out.contains("no TLS"), "{out}");

    // Another authority's, from either side, and a name that the collector has not.
    let (code, _, err) = run("nodes", "other/viewer", &[]);
    assert_eq!(code, 2);
    assert!(err.contains("certificate"), "{err}");
    let (code, _, err) = run("nodes", "good/viewer", &["--server-name", "elsewhere.example"]);
    assert_eq!(code, 2);
    assert!(err.contains("elsewhere.example") || err.contains("name"), "{err}");
}
