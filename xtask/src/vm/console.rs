//! What a machine has printed, taken apart by the marks of its script.

use std::collections::HashMap;

/// Lines by the section they are in.
#[derive(Debug)]
pub(super) struct Console<'a> {
    sections: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Console<'a> {
    /// Whatever comes before the first mark is nobody's.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut sections: HashMap<_, Vec<_>> = HashMap::new();
        let mut section = "";
        for line in text.lines().map(str::trim_end) {
            if let Some(mark) = line.strip_prefix("@@ ") {
                section = mark;
                sections.entry(section).or_default();
            } else {
                sections.entry(section).or_default().push(line);
            }
        }
        Self { sections }
    }

    /// Whether the script came to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.sections.contains_key("end")
    }

    /// Of a section; none where it did not come so far.
    pub(super) fn lines(&self, section: &str) -> &[&'a str] {
        self.sections.get(section).map_or(&[], Vec::as_slice)
    }

    /// The rest of the line that starts with a key.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<&'a str> {
        self.lines(section).iter().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
    }

    /// The exit code of what a section shows.
    pub(super) fn exit(&self, section: &str) -> Option<i32> {
        self.value(&format!("end of {section}"), "exit")?.parse().ok()
    }

    /// Seconds between two marks of a section.
    pub(super) fn seconds(&self, section: &str, from: &str, to: &str) -> Option<f64> {
        let at = |key| self.value(section, key)?.parse::<f64>().ok();
        Some(at(to)? - at(from)?)
    }

    /// Of the kernel that ran.
    pub(super) fn release(&self) -> Option<&'a str> {
        self.value("machine", "release")
    }

    /// Its first two numbers; zeros where it is not known.
    pub(super) fn version(&self) -> (u32, u32) {
        let mut parts = self.release().unwrap_or_default().split('.').map(|part| part.parse().ok());
        let mut part = || parts.next().flatten().unwrap_or(0);
        (part(), part())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_taken_apart() {
        let console = Console::parse(
            "SeaBIOS\n@@ machine\nrelease 6.12.117+deb12\nstart 2.50\nready 5.75\n@@ tests a\nx\n@@ end of tests a\n\
             exit 101\n@@ end\n",
        );
        assert!(console.is_whole());
        assert_eq!(console.release(), Some("6.12.117+deb12"));
        assert_eq!(console.version(), (6, 12));
        assert_eq!(console.lines("tests a"), ["x"]);
        assert_eq!(console.exit("tests a"), Some(101));
        assert_eq!(console.seconds("machine", "start", "ready"), Some(3.25));
        assert_eq!(console.seconds("machine", "start", "judged"), None);
    }

    #[test]
    fn a_machine_that_hangs_or_panics_is_not_whole() {
        for text in ["", "SeaBIOS\nKernel panic - not syncing", "@@ machine\nrelease 6.1.0-53\n"] {
            assert!(!Console::parse(text).is_whole());
        }
        assert_eq!(Console::parse("").version(), (0, 0));
        assert_eq!(Console::parse("").exit("status"), None);
    }
}
