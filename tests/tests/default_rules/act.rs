//! What is done, where, and what is then to be said.

use kestrel_proto::v1::Priority;

/// Where something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A privileged container with its own network, as root.
    Pod,
    /// The same with a terminal.
    Terminal,
    /// A container of an ordinary user without capabilities, and without a seccomp filter.
    User,
    /// A restricted container of the namespace `no-internet`.
    Offline,
    /// A container with a capability that it should not have, and a folder of the node.
    Capable,
    /// What the runtime is asked to run in [`Self::Pod`].
    Exec,
    /// The node, to come into [`Self::Pod`], whose first process is `POD`.
    IntoPod,
    /// The node, to come into [`Self::Offline`], whose first process is `OFFLINE`.
    IntoOffline,
    /// The node.
    Host,
    /// The same with a terminal.
    HostTerminal,
}

/// A rule, and what it looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Act {
    pub(crate) rule: &'static str,
    pub(crate) priority: Priority,
    pub(crate) place: Place,
    /// Lines of a shell, which has the functions of [`PRELUDE`]; words for [`Place::Exec`].
    pub(crate) script: &'static str,
    /// Parts of the output.
    pub(crate) says: &'static [&'static str],
}

/// `nothing NAME …`: a program of that name and with those arguments, which does nothing. `as NAME ACT …`: an act of
/// `suspect` by a program of that name.
pub(crate) const PRELUDE: &str = r#"
mkdir -p "$DIR"
nothing() { name=$1; shift; ln -sf "$BIN/nothing" "$DIR/$name"; "$DIR/$name" "$@"; }
as() { name=$1; shift; ln -sf "$BIN/suspect" "$DIR/$name"; "$DIR/$name" "$@"; }
"#;

impl Act {
    pub(crate) const fn new(
        rule: &'static str,
        priority: Priority,
        place: Place,
        script: &'static str,
        says: &'static [&'static str],
    ) -> Self {
        Self { rule, priority, place, script, says }
    }
}
