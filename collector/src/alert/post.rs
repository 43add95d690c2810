//! One request to somebody else's HTTP server, and what became of it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, header, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use thiserror::Error;
use tracing::warn;

use super::secret::SecretUrl;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Most of an answer that is read.
const ANSWER: usize = 512;
/// Bounds of what `Retry-After` may ask for.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(600));
/// Where it does not say, or not in seconds.
const RETRY_AFTER_UNSAID: Duration = Duration::from_secs(30);

/// Posts JSON.
#[derive(Clone, Debug)]
pub struct Poster {
    client: Client,
}

/// Why nothing can be posted.
#[derive(Debug, Error)]
pub enum PosterError {
    /// The file of further certificates cannot be used.
    #[error("cannot read certificates from {}", file.display())]
    CaFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rustls_pki_types::pem::Error,
    },
    /// No TLS for this reason.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// No client for this reason.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

/// What became of a request. Reasons never name the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Received.
    Delivered,
    /// The other end wants to be left alone for so long.
    Throttled(Duration),
    /// The other end does not take this body, now or ever.
    Refused(String),
    /// The URL is not valid any more, or its owner wants nothing on it.
    Revoked(String),
    /// Surely not received.
    Failed(String),
    /// It may have been received: the answer never came.
    Unknown(String),
}

impl Poster {
    /// `ca_file`: certificates trusted beside the system's. `timeout`: of a whole request.
    ///
    /// # Errors
    /// That the certificates cannot be read.
    pub fn new(ca_file: Option<&Path>, timeout: Duration) -> Result<Self, PosterError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        let (_, unusable) = roots.add_parsable_certificates(native.certs);
        if unusable > 0 {
            warn!(unusable, "some of the system's certificates cannot be used");
        }
        if let Some(file) = ca_file {
            let failed = |source| PosterError::CaFile { file: file.to_owned(), source };
            let certificates: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            roots.add_parsable_certificates(certificates.map_err(failed)?);
        }
        if roots.is_empty() {
            warn!(
                "no trusted certificates on this system: alerts over https will fail until alerts.ca_file names some"
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(PosterError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("kestrel-collector/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            // A redirect would carry what we tell, and the secret's path, to somebody else.
            .redirect(redirect::Policy::none())
            .referer(false)
            // On a connection kept open it is not clear whether a request that was cut arrived.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(PosterError::Client)?;
        Ok(Self { client })
    }

    /// Posts a body.
    pub async fn post(&self, url: &SecretUrl, json: Vec<u8>) -> Outcome {
        let request =
            self.client.post(url.expose()).header(header::CONTENT_TYPE, "application/json").body(json);
        match request.send().await {
            Ok(response) => judge(response).await,
            Err(error) => not_answered(error),
        }
    }

    /// Asks without a body.
    pub async fn get(&self, url: &SecretUrl) -> Outcome {
        match self.client.get(url.expose()).send().await {
            Ok(response) => judge(response).await,
            Err(error) => not_answered(error),
        }
    }
}

fn not_answered(error: reqwest::Error) -> Outcome {
    let error = error.without_url();
    let is_sent = !(error.is_connect() || error.is_builder());
    let what = match (error.is_timeout(), is_sent) {
        (true, true) => "no answer in time".to_owned(),
        (true, false) => "cannot connect in time".to_owned(),
        (false, true) => format!("connection lost before the answer: {}", root(&error)),
        (false, false) => format!("cannot connect: {}", root(&error)),
    };
    if is_sent { Outcome::Unknown(what) } else { Outcome::Failed(what) }
}

/// The innermost reason: the outer ones only say that something failed.
fn root(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inert::fit(&inert::inert(inner.to_string()), 200)
}

async fn judge(mut response: Response) -> Outcome {
    let status = response.status();
    if status.is_success() {
        return Outcome::Delivered;
    }
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map_or(RETRY_AFTER_UNSAID, Duration::from_secs)
        .clamp(RETRY_AFTER.0, RETRY_AFTER.1);
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && answer.len() < ANSWER
    {
        answer.extend_from_slice(&chunk);
    }
    let reason = match token(&answer) {
        Some(token) => format!("status {}, {token}", status.as_u16()),
        None => format!("status {}", status.as_u16()),
    };
    match status {
        StatusCode::TOO_MANY_REQUESTS => Outcome::Throttled(retry_after),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
            Outcome::Revoked(reason)
        }
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused(reason),
        _ => Outcome::Failed(reason),
    }
}

/// Slack's errors are one word. Anything else may hold what we sent, and is not repeated.
fn token(answer: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(answer).ok()?.trim();
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    ((1..=40).contains(&text.len()) && text.bytes().all(is_word)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_word_is_repeated() {
        assert_eq!(token(b"invalid_payload\n"), Some("invalid_payload"));
        for other in ["", "<html>", "https://hooks.example/x", "UPPER", &"a".repeat(41)] {
            assert_eq!(token(other.as_bytes()), None);
        }
    }
}
