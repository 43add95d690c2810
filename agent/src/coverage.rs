//! The attach report: what works on this node, and why the rest does not.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

/// Whether a hook or a control works here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "support", content = "reason", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Support {
    /// As designed.
    Supported,
    /// In part; the reason says what is missing.
    Degraded(String),
    /// Not at all: the kernel lacks it, or the probe failed. The reason says which.
    Unsupported(String),
}

impl Support {
    /// The state's name.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self {
            Self::Supported => "SUPPORTED",
            Self::Degraded(_) => "DEGRADED",
            Self::Unsupported(_) => "UNSUPPORTED",
        }
    }

    /// What is missing, where something is.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Supported => None,
            Self::Degraded(reason) | Self::Unsupported(reason) => Some(reason),
        }
    }
}

/// One hook or control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of the hook ([`agent_abi::hook::Hook::name`]) or slug of the control.
    pub name: String,
    /// Whether it works.
    #[serde(flatten)]
    pub support: Support,
}

/// What works on this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageReport {
    /// The kernel's release.
    pub kernel: String,
    /// Which set of hooks system calls are seen by, and what it does not cover.
    #[serde(default)]
    pub tier: String,
    /// Per hook.
    pub hooks: Vec<Entry>,
    /// Per control.
    pub controls: Vec<Entry>,
    /// Optional kernel fields that this kernel does not have, as `struct.field`.
    pub missing_fields: Vec<String>,
}

impl CoverageReport {
    /// Nothing probed yet.
    #[must_use]
    pub fn new(kernel: &str) -> Self {
        Self { kernel: kernel.to_owned(), ..Self::default() }
    }

    /// Adds a hook.
    pub fn hook(&mut self, name: &str, support: Support) {
        self.hooks.push(Entry { name: name.to_owned(), support });
    }

    /// Adds a control.
    pub fn control(&mut self, slug: &str, support: Support) {
        self.controls.push(Entry { name: slug.to_owned(), support });
    }

    /// Writes it to the log: a warning for each entry that does not fully work, and a summary.
    pub fn log(&self) {
        let Self { kernel, tier, hooks, controls, missing_fields } = self;
        for (what, entries) in [("hook", hooks), ("control", controls)] {
            for Entry { name, support } in entries {
                if let Some(reason) = support.reason() {
                    warn!(what, name, state = support.state(), reason, "not fully supported on this node");
                }
            }
        }
        for field in missing_fields {
            warn!(field, "kernel has no such field");
        }
        info!(
            kernel,
            tier,
            hooks = %Tally(hooks),
            controls = %Tally(controls),
            missing_fields = missing_fields.len(),
            "coverage of this node"
        );
    }

    /// A table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> fmt::Result {
        let Self { kernel, tier, hooks, controls, missing_fields } = self;
        writeln!(out, "Kernel    {}", Inert(kernel))?;
        if !tier.is_empty() {
            writeln!(out, "Tier      {}", Inert(tier))?;
        }
        for (title, entries) in [("Hooks", hooks), ("Controls", controls)] {
            writeln!(out, "{title:<9} {}", Tally(entries))?;
            let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
            for Entry { name, support } in entries {
                let name = Inert(name).to_string();
                write!(out, "  {name:<width$}  {}", support.state())?;
                match support.reason() {
                    Some(reason) => writeln!(out, "  {}", Inert(reason))?,
                    None => writeln!(out)?,
                }
            }
        }
        if !missing_fields.is_empty() {
            writeln!(out, "Missing kernel fields")?;
            for field in missing_fields {
                writeln!(out, "  {}", Inert(field))?;
            }
        }
        Ok(())
    }
}

/// `7 of 10 supported`.
struct Tally<'a>(&'a [Entry]);

impl fmt::Display for Tally<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let supported = self.0.iter().filter(|entry| entry.support == Support::Supported).count();
        write!(formatter, "{supported} of {} supported", self.0.len())
    }
}

/// Text that can do nothing to a terminal: control and bidirectional formatting characters are
/// escaped.
pub(crate) struct Inert<'a>(pub(crate) &'a str);

impl fmt::Display for Inert<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            let hostile = character.is_control()
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                    | '\u{61c}' | '\u{feff}');
            if hostile {
                write!(formatter, "{}", character.escape_unicode())?;
            } else {
                formatter.write_char(character)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> CoverageReport {
        let mut report = CoverageReport::new("6.12.0");
        report.tier = "portable: not permitted".to_owned();
        report.hook("sched_process_exec", Support::Supported);
        report.hook("iter/task", Support::Degraded("falls back to /proc".to_owned()));
        report.control("seccomp", Support::Unsupported("no \u{1b}[31mseccomp\u{202e}".to_owned()));
        report.missing_fields.push("seccomp_filter.cache".to_owned());
        report
    }

    #[test]
    fn json_says_state_and_reason() {
        let json = serde_json::to_value(report()).unwrap();
        let expected = serde_json::json!({
            "kernel": "6.12.0",
            "tier": "portable: not permitted",
            "hooks": [
                {"name": "sched_process_exec", "support": "SUPPORTED"},
                {"name": "iter/task", "support": "DEGRADED", "reason": "falls back to /proc"},
            ],
            "controls": [
                {"name": "seccomp", "support": "UNSUPPORTED", "reason": "no \u{1b}[31mseccomp\u{202e}"},
            ],
            "missing_fields": ["seccomp_filter.cache"],
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<CoverageReport>(json).unwrap(), report());
    }

    #[test]
    fn the_table_is_inert() {
        let expected = "\
Kernel    6.12.0
Tier      portable: not permitted
Hooks     1 of 2 supported
  sched_process_exec  SUPPORTED
  iter/task           DEGRADED  falls back to /proc
Controls  0 of 1 supported
  seccomp  UNSUPPORTED  no \\u{1b}[31mseccomp\\u{202e}
Missing kernel fields
  seccomp_filter.cache
";
        assert_eq!(report().table(), expected);
    }
}
