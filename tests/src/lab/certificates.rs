//! An authority and the certificates that it gives.

use std::{fs, path::Path};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// An authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// A certificate with these DNS names or addresses: `ca.crt`, `tls.crt` and `tls.key` in a folder.
    pub fn issue(&self, dir: &Path, names: &[&str]) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.0)?;
        fs::create_dir_all(dir)?;
        fs::write(dir.join("ca.crt"), self.0.pem())?;
        fs::write(dir.join("tls.crt"), certificate.pem())?;
        fs::write(dir.join("tls.key"), key.serialize_pem())?;
        Ok(())
    }
}

/// The keys of a configuration that name the files in a folder, below `grpc` or `uplink`.
#[must_use]
pub fn keys(dir: &Path) -> String {
    let dir = dir.display();
    format!("  ca: {dir}/ca.crt\n  certificate: {dir}/tls.crt\n  key: {dir}/tls.key\n")
}
