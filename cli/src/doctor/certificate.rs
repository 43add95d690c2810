//! How long our own certificates hold.

use std::{fs, path::Path};

use inert::inert;
use x509_parser::pem::Pem;

use super::Report;
use crate::{args::Global, time};

const SUBJECT: &str = "certificates";
const SECOND_NS: i64 = 1_000_000_000;
/// One that holds no longer than this should be renewed by now.
const SOON_NS: i64 = 14 * 86_400 * SECOND_NS;

pub(super) fn check(global: &Global, report: &mut Report) {
    for (flag, file) in [("--ca", &global.ca), ("--cert", &global.cert)] {
        if let Some(file) = file {
            one(flag, file, time::now_unix_ns(), report);
        }
    }
}

/// The first that ends, of all in the file.
fn one(flag: &str, file: &Path, now_unix_ns: i64, report: &mut Report) {
    let name = format!("{flag} {}", inert(file.as_os_str().as_encoded_bytes()));
    // What cannot be read at all is said when it is used.
    let Ok(bytes) = fs::read(file) else { return };
    let ends = Pem::iter_from_buffer(&bytes).filter_map(|pem| {
        let pem = pem.ok()?;
        Some(pem.parse_x509().ok()?.validity().not_after.timestamp())
    });
    let Some(end) = ends.min() else { return };
    let end_ns = end.saturating_mul(SECOND_NS);
    let left = end_ns.saturating_sub(now_unix_ns);
    let day = time::rfc3339(end_ns);
    match left {
        ..=0 => report.fail(SUBJECT, format!("{name} ended at {day}"), "renew it"),
        1..SOON_NS => {
            let what = format!("{name} ends in {}, at {day}", time::span(left.unsigned_abs()));
            report.warn(SUBJECT, what, "renew it");
        }
        _ => report.ok(SUBJECT, format!("{name} holds until {day}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn an_end_is_told_before_it_comes() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), pem).unwrap();
        let day = 86_400 * SECOND_NS;
        let end = time::parse_since("2030-01-01T00:00:00Z", 0).unwrap();
        for (now, level) in
            [(end - 15 * day, Level::Ok), (end - 13 * day, Level::Warn), (end + 1, Level::Fail)]
        {
            let mut report = Report::default();
            one("--cert", file.path(), now, &mut report);
            assert_eq!(report.lines()[0].level, level);
        }
    }
}
