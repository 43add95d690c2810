//! The part of Slack's Block Kit that is used. It has no place for markup: `plain_text` and the text
//! elements of `rich_text` are shown as they are, so no text in a block can become a link or a
//! mention. Links are elements of their own, to places that we know. The text of the notification is the one exception; see [`crate::alert::text::word`].

use serde::Serialize;

use crate::alert::text::cut;

/// Most blocks of a message.
pub const BLOCKS: usize = 50;
/// Longest header.
const HEADER: usize = 150;
/// Longest text of any other element; Slack's limit is 3000.
pub const TEXT: usize = 2000;

/// A message as the incoming webhook takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// What a notification shows.
    pub text: String,
    mrkdwn: bool,
    parse: &'static str,
    link_names: bool,
    unfurl_links: bool,
    unfurl_media: bool,
    /// What is shown instead of `text`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// A headline.
    Header {
        /// It.
        text: Plain,
    },
    /// Text in small print.
    Context {
        /// At most 10.
        elements: Vec<Plain>,
    },
    /// Lists and literal text.
    RichText {
        /// In order.
        elements: Vec<Rich>,
    },
}

/// Text without markup.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "plain_text")]
pub struct Plain {
    text: String,
    /// `:name:` stays as it is.
    emoji: bool,
}

/// A part of a `rich_text` block.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type")]
pub enum Rich {
    /// A line.
    #[serde(rename = "rich_text_section")]
    Line {
        /// In order.
        elements: Vec<Run>,
    },
    /// Bullets, each a line.
    #[serde(rename = "rich_text_list")]
    List {
        /// Always `bullet`.
        style: &'static str,
        /// The lines.
        elements: Vec<Rich>,
    },
    /// Literal text.
    #[serde(rename = "rich_text_preformatted")]
    Literal {
        /// In order.
        elements: Vec<Run>,
    },
}

/// A run of text in one style.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Run {
    /// Text.
    Text {
        /// It.
        text: String,
        /// Its style.
        #[serde(skip_serializing_if = "Option::is_none")]
        style: Option<Style>,
    },
    /// Text that leads somewhere.
    Link {
        /// Where.
        url: String,
        /// What is shown.
        text: String,
    },
}

/// How a run looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Style {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bold: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    code: bool,
}

impl Message {
    /// `text` is shown in notifications and must have gone through [`crate::alert::text::word`] where
    /// it is foreign.
    #[must_use]
    pub fn new(text: String, mut blocks: Vec<Block>) -> Self {
        blocks.truncate(BLOCKS);
        Self {
            text: filled(&text),
            mrkdwn: false,
            parse: "none",
            link_names: false,
            unfurl_links: false,
            unfurl_media: false,
            blocks,
        }
    }
}

/// A headline.
#[must_use]
pub fn header(text: &str) -> Block {
    Block::Header { text: Plain { text: cut(&filled(text), HEADER), emoji: false } }
}

/// Small print.
#[must_use]
pub fn context(texts: &[String]) -> Block {
    let plain = |text: &String| Plain { text: filled(text), emoji: false };
    Block::Context { elements: texts.iter().take(10).map(plain).collect() }
}

/// Text in the usual style.
#[must_use]
pub fn run(text: &str) -> Run {
    Run::Text { text: filled(text), style: None }
}

/// Our own words that stand out.
#[must_use]
pub fn bold(text: &str) -> Run {
    Run::Text { text: filled(text), style: Some(Style { bold: true, ..Style::default() }) }
}

/// Foreign text.
#[must_use]
pub fn code(text: &str) -> Run {
    Run::Text { text: filled(text), style: Some(Style { code: true, ..Style::default() }) }
}

/// A link of our own: nothing foreign may be in its URL.
#[must_use]
pub fn link(url: &str, text: &str) -> Run {
    Run::Link { url: url.to_owned(), text: filled(text) }
}

/// A line of runs.
#[must_use]
pub fn line(elements: Vec<Run>) -> Rich {
    Rich::Line { elements }
}

/// Bullets.
#[must_use]
pub fn list(lines: Vec<Vec<Run>>) -> Rich {
    Rich::List { style: "bullet", elements: lines.into_iter().map(line).collect() }
}

/// Literal lines.
#[must_use]
pub fn literal(text: &str) -> Rich {
    Rich::Literal { elements: vec![run(text)] }
}

/// Slack refuses empty text, and long one.
fn filled(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { cut(text, TEXT) }
}
