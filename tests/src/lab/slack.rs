//! An HTTP server on this machine that behaves as Slack's incoming webhook does, and remembers what
//! it was told. It also stands in for the plain webhook and the receiver of signs of life.
//!
//! Without a script it takes what Slack would take and refuses what Slack would refuse:
//! [`check`] has the limits of Block Kit. [`Slack::script`] says what it does with the next requests.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::poll;

/// Longest time that a connection is kept when the answer is none.
const HANG: Duration = Duration::from_secs(60);
/// Longest body.
const BODY: usize = 16 << 20;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 `ok`, or 400 with Slack's word where Slack would say so.
    Take,
    /// 400 `invalid_payload`.
    InvalidPayload,
    /// 429 with `Retry-After` in seconds.
    TooMany(u64),
    /// Another status, with a word.
    Status(u16, &'static str),
    /// Takes it, and never answers.
    Hang,
    /// Takes it, and closes the connection without an answer.
    Cut,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its last byte came.
    pub at: Instant,
    /// `GET` or `POST`.
    pub method: String,
    /// Path of the URL.
    pub path: String,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// What was done with it.
    pub answer: Answer,
    /// The status that was answered; none where there was no answer.
    pub status: Option<u16>,
}

impl Received {
    /// Whether Slack would show it to people: it was taken, even if the answer never came.
    #[must_use]
    pub fn is_posted(&self) -> bool {
        match self.answer {
            Answer::Take => self.status == Some(200),
            Answer::Hang | Answer::Cut => check(&self.body).is_ok(),
            Answer::InvalidPayload | Answer::TooMany(_) | Answer::Status(..) => false,
        }
    }

    /// All texts of the message in order, one a line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut texts = Vec::new();
        collect(&self.body, &mut texts);
        texts.join("\n")
    }
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Answer>>,
    lenient: AtomicBool,
    stopped: AtomicBool,
}

/// The server. It stops when it is dropped.
pub struct Slack {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Slack {
    /// Listens on a free port.
    pub fn start() -> Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Listens there, as after an outage.
    pub fn start_at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if server.stopped.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&server);
                thread::spawn(move || {
                    // A client that goes away in the middle is not this server's trouble.
                    let _ = serve(stream, &shared);
                });
            }
        });
        Ok(Self { address, shared })
    }

    /// Takes any JSON: for the plain webhook and the receiver.
    pub fn lenient(self) -> Self {
        self.shared.lenient.store(true, Ordering::Release);
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The webhook's URL, as secret as Slack's.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/services/T000/B000/s3cr3t-path", self.address)
    }

    /// What is done with the next requests, after those that were said before.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.script).extend(answers);
    }

    /// All requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Those that people would see.
    #[must_use]
    pub fn posted(&self) -> Vec<Received> {
        self.received().into_iter().filter(Received::is_posted).collect()
    }

    /// Waits until so many requests came, and returns them.
    pub fn wait_received(&self, count: usize, limit: Duration) -> Result<Vec<Received>> {
        poll::until_some(&format!("{count} requests"), limit, || {
            let received = self.received();
            Ok((received.len() >= count).then_some(received))
        })
    }

    /// Waits until people see so many messages, and returns them.
    pub fn wait_posted(&self, count: usize, limit: Duration) -> Result<Vec<Received>> {
        poll::until_some(&format!("{count} messages"), limit, || {
            let posted = self.posted();
            Ok((posted.len() >= count).then_some(posted))
        })
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the thread that listens, so that the port is free.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(HANG))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    loop {
        let mut header = String::new();
        ensure!(reader.read_line(&mut header)? > 0, "the request ends in its head");
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
    }
    ensure!(length <= BODY, "the body is too long");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let answer = lock(&shared.script).pop_front().unwrap_or(Answer::Take);
    let is_lenient = shared.lenient.load(Ordering::Acquire);
    let status = match answer {
        Answer::Take if is_lenient => Some((200, "ok")),
        Answer::Take => Some(check(&body).map_or_else(|word| (400, word), |()| (200, "ok"))),
        Answer::InvalidPayload => Some((400, "invalid_payload")),
        Answer::TooMany(_) => Some((429, "rate_limited")),
        Answer::Status(status, word) => Some((status, word)),
        Answer::Hang | Answer::Cut => None,
    };
    let at = Instant::now();
    let code = status.map(|(code, _)| code);
    lock(&shared.received).push(Received { at, method, path, body, answer, status: code });
    match (status, answer) {
        (Some((code, word)), _) => {
            let retry = match answer {
                Answer::TooMany(seconds) => format!("Retry-After: {seconds}\r\n"),
                _ => String::new(),
            };
            let length = word.len();
            write!(
                stream,
                "HTTP/1.1 {code} x\r\n{retry}Content-Length: {length}\r\nConnection: close\r\n\r\n{word}"
            )?;
        }
        (None, Answer::Hang) => {
            // Until the client gives up.
            let _ = reader.read(&mut [0]);
        }
        (None, _) => {}
    }
    Ok(())
}

/// What Slack says of a message that it does not take.
///
/// # Errors
/// Slack's word for it.
pub fn check(body: &Value) -> Result<(), &'static str> {
    let Some(message) = body.as_object() else { return Err("invalid_payload") };
    let text = message.get("text").and_then(Value::as_str);
    if text.is_some_and(|text| text.chars().count() > 40_000) {
        return Err("msg_too_long");
    }
    let Some(blocks) = message.get("blocks") else {
        return if text.is_some_and(|text| !text.is_empty()) { Ok(()) } else { Err("no_text") };
    };
    let blocks = blocks.as_array().ok_or("invalid_blocks_format")?;
    if blocks.len() > 50 || !blocks.iter().all(is_block) {
        return Err("invalid_blocks");
    }
    Ok(())
}

fn is_block(block: &Value) -> bool {
    let elements = || block["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
    match block["type"].as_str() {
        Some("header") => block["text"]["type"] == "plain_text" && is_text(&block["text"]["text"], 150),
        Some("section") => is_object_text(&block["text"]),
        Some("context") => (1..=10).contains(&elements().len()) && elements().iter().all(is_object_text),
        Some("divider") => true,
        Some("rich_text") => !elements().is_empty() && elements().iter().all(is_rich),
        _ => false,
    }
}

fn is_object_text(text: &Value) -> bool {
    matches!(text["type"].as_str(), Some("plain_text" | "mrkdwn")) && is_text(&text["text"], 3000)
}

fn is_rich(element: &Value) -> bool {
    let elements = element["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
    match element["type"].as_str() {
        Some("rich_text_section" | "rich_text_preformatted" | "rich_text_quote") => {
            elements.iter().all(|run| match run["type"].as_str() {
                Some("text") => is_text(&run["text"], 3000),
                Some("link" | "emoji" | "user" | "channel" | "broadcast" | "date") => true,
                _ => false,
            })
        }
        Some("rich_text_list") => {
            matches!(element["style"].as_str(), Some("bullet" | "ordered"))
                && elements.iter().all(|line| line["type"] == "rich_text_section" && is_rich(line))
        }
        _ => false,
    }
}

fn is_text(text: &Value, limit: usize) -> bool {
    text.as_str().is_some_and(|text| (1..=limit).contains(&text.encode_utf16().count()))
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "text" => texts.push(text.clone()),
                    other => collect(other, texts),
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| collect(value, texts)),
        _ => {}
    }
}
