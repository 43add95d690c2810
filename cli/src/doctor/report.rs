//! The lines of a report.

use serde::Serialize;

use crate::{
    Failure, Outcome,
    look::{Cell, Look, Paint, cell},
};

/// How good or bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth a look.
    Warn,
    /// Not as it should be.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// How it is.
    pub level: Level,
    /// What was looked at: `collector`, `node worker-1`, `kernel`, …
    pub subject: String,
    /// What was found.
    pub what: String,
    /// What to do; nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Line {
    /// As text, the remedy on a line of its own.
    #[must_use]
    pub fn text(&self, look: Look) -> String {
        let (word, paint) = match self.level {
            Level::Ok => ("ok", Paint::Good),
            Level::Warn => ("warn", Paint::Warn),
            Level::Fail => ("FAIL", Paint::Worst),
        };
        let mut text = String::new();
        cell(&mut text, &Cell::painted(word, paint), 4, look);
        text.push_str(&self.subject);
        text.push_str(": ");
        text.push_str(&self.what);
        if let Some(remedy) = &self.remedy {
            text.push_str("\n      → ");
            text.push_str(remedy);
        }
        text
    }
}

/// All that was found. Texts are inert before they come here.
#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
    unreached: bool,
}

impl Report {
    /// Something is as it should be.
    pub fn ok(&mut self, subject: &str, what: impl Into<String>) {
        self.push(Level::Ok, subject, what, None);
    }

    /// Something is worth a look.
    pub fn warn(&mut self, subject: &str, what: impl Into<String>, remedy: &str) {
        self.push(Level::Warn, subject, what, Some(remedy));
    }

    /// Something is not as it should be.
    pub fn fail(&mut self, subject: &str, what: impl Into<String>, remedy: &str) {
        self.push(Level::Fail, subject, what, Some(remedy));
    }

    /// Nobody answered, so that nothing else can be said.
    pub fn unreached(&mut self, subject: &str, what: impl Into<String>, remedy: &str) {
        self.fail(subject, what, remedy);
        self.unreached = true;
    }

    /// As they were found.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The exit code.
    ///
    /// # Errors
    /// When nobody answered.
    pub fn outcome(&self) -> Result<Outcome, Failure> {
        if self.unreached {
            return Err(Failure::Usage("not everything could be asked: see above".to_owned()));
        }
        let fails = self.lines.iter().any(|line| line.level == Level::Fail);
        Ok(if fails { Outcome::Found } else { Outcome::Fine })
    }

    fn push(&mut self, level: Level, subject: &str, what: impl Into<String>, remedy: Option<&str>) {
        self.lines.push(Line {
            level,
            subject: subject.to_owned(),
            what: what.into(),
            remedy: remedy.map(str::to_owned),
        });
    }
}
