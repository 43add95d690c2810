//! What a control saw of one task, and what that amounts to.

use std::fmt;

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::inspect::NotRead;

/// Why a control cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnknownReason {
    /// The host's own capabilities or namespaces were not read.
    HostNotRead,
    /// The task's user namespace was not read.
    UserNamespaceNotRead,
    /// The user namespace's map was too long to translate ids.
    NamespaceIdsNotRead,
    /// The container's first process was not seen, so there is nothing to compare with.
    InitNotKnown,
    /// A seccomp filter is there; what it allows is not visible on this kernel or in this record.
    FilterNotVisible,
    /// The kernel reported a value that has no meaning.
    ValueNotUnderstood,
    /// No task of the container was judged yet.
    NotJudged,
    /// There were more tasks than the agent keeps, so some were not judged.
    NotAllJudged,
    /// The runtime runs the workload in a virtual machine or a kernel of its own.
    SandboxedRuntime,
    /// The agent has not looked into the container yet.
    NotInspected,
    /// It was not read.
    NotRead(NotRead),
    /// The runtime does not tell, or has not yet.
    NotTold,
    /// The policy says nothing that it could be held against.
    NoPolicy,
    /// Neither AppArmor nor SELinux is in force on the node.
    NoLabelModule,
    /// It ran before the agent did: what its program gave it was not seen.
    ExecNotSeen,
    /// The hook that would see it is not attached.
    NotObserved,
}

impl UnknownReason {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HostNotRead => "host's own capabilities or namespaces were not read",
            Self::UserNamespaceNotRead => "user namespace was not read",
            Self::NamespaceIdsNotRead => "ids inside the user namespace were not read",
            Self::InitNotKnown => "container's first process was not seen",
            Self::FilterNotVisible => "contents of the seccomp filter are not visible",
            Self::ValueNotUnderstood => "kernel reported a value that is not understood",
            Self::NotJudged => "no task was judged yet",
            Self::NotAllJudged => "more tasks than are kept, some were not judged",
            Self::SandboxedRuntime => "the runtime runs the workload in a kernel of its own",
            Self::NotInspected => "the container was not looked into yet",
            Self::NotRead(why) => why.as_str(),
            Self::NotTold => "the runtime does not tell",
            Self::NoPolicy => "the policy says nothing of it",
            Self::NoLabelModule => "neither AppArmor nor SELinux is in force on the node",
            Self::ExecNotSeen => "it ran before the agent did",
            Self::NotObserved => "nothing on this node observes it",
        }
    }
}

/// What a control says of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The control does not speak of this task; another one does.
    NotApplicable,
    /// As it should be.
    Pass,
    /// Not known, which is never a pass.
    Unknown(UnknownReason),
    /// Not as it should be.
    Fail,
    /// Not as it was declared, which is worse.
    Drift,
}

/// [`Outcome`] without its reason, as an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Class {
    NotApplicable = 0,
    Pass = 1,
    Unknown = 2,
    Fail = 3,
    Drift = 4,
}

pub(super) const CLASSES: usize = 5;

impl Outcome {
    /// Why it cannot tell.
    pub(super) const fn unknown(self) -> Option<UnknownReason> {
        match self {
            Self::Unknown(reason) => Some(reason),
            _ => None,
        }
    }

    pub(super) const fn class(self) -> Class {
        match self {
            Self::NotApplicable => Class::NotApplicable,
            Self::Pass => Class::Pass,
            Self::Unknown(_) => Class::Unknown,
            Self::Fail => Class::Fail,
            Self::Drift => Class::Drift,
        }
    }
}

/// What a finding or a container says of a control, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Verdict {
    /// As it should be.
    Pass = 0,
    /// It would fail (or cannot be told), and somebody answers for it until a day.
    Exempt = 1,
    /// Cannot be told.
    Unknown = 2,
    /// Not as it should be.
    Fail = 3,
    /// Declared one way, observed another.
    Drift = 4,
}

impl Verdict {
    /// Every verdict, from best to worst.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Exempt, Self::Unknown, Self::Fail, Self::Drift];

    /// The word people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Exempt => "EXEMPT",
            Self::Unknown => "UNKNOWN",
            Self::Fail => "FAIL",
            Self::Drift => "DRIFT",
        }
    }

    pub(super) const fn of(class: Class, exempt: bool) -> Self {
        match class {
            Class::NotApplicable | Class::Pass => Self::Pass,
            Class::Unknown | Class::Fail | Class::Drift if exempt => Self::Exempt,
            Class::Unknown => Self::Unknown,
            Class::Fail => Self::Fail,
            Class::Drift => Self::Drift,
        }
    }

    /// Whether somebody should be told, rather than only find it listed.
    #[must_use]
    pub const fn alerts(self) -> bool {
        matches!(self, Self::Fail | Self::Drift)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Bytes of [`Evidence`].
pub(super) const EVIDENCE_BYTES: usize = 96;

/// The numbers behind an observation: a control's own plain struct, held inline so that judging
/// does not allocate. The control that made it turns it into text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Evidence([u64; EVIDENCE_BYTES / 8]);

impl Evidence {
    /// No numbers.
    pub const NONE: Self = Self([0; EVIDENCE_BYTES / 8]);

    /// Packs a control's numbers.
    pub fn of<T: IntoBytes + Immutable>(numbers: &T) -> Self {
        const { assert!(size_of::<T>() <= EVIDENCE_BYTES) };
        let mut evidence = Self::NONE;
        evidence.0.as_mut_bytes()[..size_of::<T>()].copy_from_slice(numbers.as_bytes());
        evidence
    }

    /// The numbers that [`Evidence::of`] packed.
    pub fn get<T: FromBytes>(&self) -> T {
        const { assert!(size_of::<T>() <= EVIDENCE_BYTES) };
        // The size was just asserted, so the prefix is always there.
        T::read_from_prefix(self.0.as_bytes()).map_or_else(|_| T::new_zeroed(), |(numbers, _)| numbers)
    }

    /// Tells one evidence from the next; a collision costs a missed update, nothing more.
    pub(super) fn digest(&self) -> u32 {
        let folded = self
            .0
            .iter()
            .fold(0_u64, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95));
        (folded >> 32) as u32
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Evidence({:08x})", self.digest())
    }
}

/// An outcome and the numbers behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What the control says.
    pub outcome: Outcome,
    /// Why.
    pub evidence: Evidence,
}

impl Observation {
    /// The control has nothing to say of this task.
    pub const NOT_APPLICABLE: Self = Self { outcome: Outcome::NotApplicable, evidence: Evidence::NONE };

    /// Nothing was judged yet.
    pub const NOT_JUDGED: Self =
        Self { outcome: Outcome::Unknown(UnknownReason::NotJudged), evidence: Evidence::NONE };

    /// The host's task is not the workload's.
    pub const SANDBOXED: Self =
        Self { outcome: Outcome::Unknown(UnknownReason::SandboxedRuntime), evidence: Evidence::NONE };

    /// An outcome with its numbers.
    pub fn new<T: IntoBytes + Immutable>(outcome: Outcome, numbers: &T) -> Self {
        Self { outcome, evidence: Evidence::of(numbers) }
    }
}

/// What a control says of a container as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What it says.
    pub outcome: Outcome,
    /// Why.
    pub explanation: Explanation,
}

impl Judgement {
    /// Without a declaration.
    pub fn new(outcome: Outcome, observed: impl Into<String>) -> Self {
        Self { outcome, explanation: Explanation { observed: observed.into(), declared: None } }
    }

    /// With what was declared.
    #[must_use]
    pub fn declared(mut self, declared: Option<String>) -> Self {
        self.explanation.declared = declared;
        self
    }

    /// It cannot be told.
    #[must_use]
    pub fn unknown(reason: UnknownReason) -> Self {
        Self::new(Outcome::Unknown(reason), reason.as_str())
    }
}

/// Evidence as text. Declared and observed are two axes and stay apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What the kernel holds.
    pub observed: String,
    /// What the pod asked for; `None` where it is not known.
    pub declared: Option<String>,
}
