//! A row of the table: the numbers of a call, and where its arguments stand.

use agent_abi::{
    interest::{NONE, Want, predicate, test},
    map::{
        HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_PATH, HANDLER_PLAIN, HANDLER_SOCKET, RING_BULK,
        RING_CRITICAL,
    },
};

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// What a task may do.
    Credentials,
    /// Files and mounts.
    Files,
    /// Processes and their memory.
    Processes,
    /// Sockets.
    Network,
    /// The kernel and the node.
    System,
}

/// A system call.
#[derive(Debug)]
pub struct Call {
    /// Its name, as `strace` and Falco have it.
    pub name: &'static str,
    /// What it is about.
    pub family: Family,
    /// Number of a native call.
    pub native: Option<u32>,
    /// Numbers of a 32-bit call: some have a 16-bit and a 32-bit form.
    pub compat: &'static [u32],
    /// Number of an x32 call that has one of its own; the others have the native one.
    pub x32: Option<u32>,
    /// What is captured.
    pub capture: Capture,
    /// The same of a 32-bit call, where its arguments stand elsewhere.
    pub capture_compat: Capture,
}

impl Call {
    /// Whether its records may not be lost for the sake of others: a rare call that changes much.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        u32::from(self.capture.0.ring) == RING_CRITICAL
    }
}

/// What is captured of a call: built up from one of the functions below.
#[derive(Clone, Copy, Debug)]
pub struct Capture(pub(super) Want);

impl Capture {
    const fn new(handler: u32, ring: u32) -> Self {
        // Both are small constants.
        #[expect(clippy::cast_possible_truncation, reason = "constants below 16")]
        let want = Want { handler: handler as u8, ring: ring as u8, ..Want::NOTHING };
        Self(want)
    }

    pub(super) const fn name(self, position: u8) -> Self {
        Self(Want { name: position, ..self.0 })
    }

    pub(super) const fn dir(self, position: u8) -> Self {
        Self(Want { dir: position, ..self.0 })
    }

    pub(super) const fn to(self, position: u8) -> Self {
        Self(Want { to_name: position, ..self.0 })
    }

    pub(super) const fn to_dir(self, position: u8) -> Self {
        Self(Want { to_dir: position, ..self.0 })
    }

    pub(super) const fn text(self, position: u8) -> Self {
        Self(Want { text: position, ..self.0 })
    }

    pub(super) const fn text_len(self, position: u8) -> Self {
        Self(Want { text_len: position, ..self.0 })
    }

    /// With the name that an open was given as its text, where it has no other.
    pub(super) const fn with_name(self) -> Self {
        let is_open = self.0.handler as u32 == HANDLER_FILE && self.0.name != NONE;
        if is_open && self.0.text == NONE { self.text(self.0.name) } else { self }
    }

    /// As many bytes of memory.
    pub(super) const fn bytes(self, position: u8, bytes: u8) -> Self {
        Self(Want { text: position, text_bytes: bytes, ..self.0 })
    }

    /// No file where the argument has this bit.
    pub(super) const fn unless(self, position: u8, bit: u8) -> Self {
        Self(Want { unless: position, unless_bit: bit, ..self.0 })
    }

    /// Changes what names start at.
    pub(super) const fn moves(self, moves: u8) -> Self {
        Self(Want { moves, ..self.0 })
    }

    pub(super) const fn flags(self, position: u8) -> Self {
        Self(Want { flags: position, ..self.0 })
    }

    pub(super) const fn pid(self, position: u8) -> Self {
        Self(Want { pid: position, ..self.0 })
    }

    pub(super) const fn pidfd(self, position: u8) -> Self {
        Self(Want { pidfd: position, ..self.0 })
    }

    pub(super) const fn address(self, position: u8) -> Self {
        Self(Want { address: position, ..self.0 })
    }

    pub(super) const fn address_len(self, position: u8) -> Self {
        Self(Want { address_len: position, ..self.0 })
    }

    pub(super) const fn message(self, position: u8) -> Self {
        Self(Want { message: position, ..self.0 })
    }

    /// Its records may not be lost for the sake of others.
    pub(super) const fn critical(self) -> Self {
        Self(Want { ring: Self::new(0, RING_CRITICAL).0.ring, ..self.0 })
    }

    /// Only where it failed: what it does where it succeeds is told by another hook.
    pub(super) const fn failed(self) -> Self {
        Self(Want { predicates: self.0.predicates | predicate::FAILED, ..self.0 })
    }

    /// Only with any of these bits.
    pub(super) const fn any(self, position: u8, bits: u64) -> Self {
        Self(Want { test: test::ANY, tested: position, operand: bits, ..self.0 })
    }

    /// Only with all of these bits.
    pub(super) const fn all(self, position: u8, bits: u64) -> Self {
        Self(Want { test: test::ALL, tested: position, operand: bits, ..self.0 })
    }

    /// Only with one of these values, each below 64.
    pub(super) const fn one_of(self, position: u8, values: &[u32]) -> Self {
        let (mut operand, mut index) = (0, 0);
        while index < values.len() {
            operand |= 1 << values[index];
            index += 1;
        }
        Self(Want { test: test::ONE_OF, tested: position, operand, ..self.0 })
    }

    /// Only with at most this value.
    pub(super) const fn at_most(self, position: u8, value: u64) -> Self {
        Self(Want { test: test::AT_MOST, tested: position, operand: value, ..self.0 })
    }

    /// Only with all of these bits in a 32-bit word of the text.
    pub(super) const fn text_all(self, word: u8, bits: u64) -> Self {
        Self(Want { test: test::TEXT_ALL, tested: word, operand: bits, ..self.0 })
    }

    /// Only with any of these bits in the first 8 bytes of the text.
    pub(super) const fn text_any(self, bits: u64) -> Self {
        Self(Want { test: test::TEXT_ANY, operand: bits, ..self.0 })
    }
}

/// The task's state after the call.
pub(super) const fn credentials() -> Capture {
    let capture = Capture::new(HANDLER_CREDENTIALS, RING_CRITICAL);
    Capture(Want { predicates: predicate::OK, ..capture.0 })
}

/// The file behind the descriptor at `position`.
pub(super) const fn file(position: u8) -> Capture {
    let capture = Capture::new(HANDLER_FILE, RING_BULK);
    Capture(Want { fd: position, ..capture.0 })
}

/// The path at `position`.
pub(super) const fn path(position: u8) -> Capture {
    Capture::new(HANDLER_PATH, RING_BULK).name(position)
}

/// The arguments.
pub(super) const fn plain() -> Capture {
    Capture::new(HANDLER_PLAIN, RING_BULK)
}

/// The socket behind the descriptor at `position`; [`NONE`]: `socketcall` has it in memory.
pub(super) const fn socket(position: u8) -> Capture {
    let capture = Capture::new(HANDLER_SOCKET, RING_BULK);
    Capture(Want { fd: position, ..capture.0 })
}

const _: () = assert!(Want::NOTHING.fd == NONE);

/// A table of calls. Columns: name; number on x86-64 (`_`: it has none); numbers on i386; number that
/// x32 has for itself; number on arm64; numbers on 32-bit arm (EABI); what is captured, and of a
/// 32-bit call where that differs.
macro_rules! calls {
    ($table:ident, $family:ident;
     $($name:ident $x86_64:tt [$($i386:literal),*] $x32:tt $arm64:tt [$($arm:literal),*]
       => $capture:expr $(, compat $compat:expr)?;)*) => {
        pub(super) const $table: &[Call] = &[$(Call {
            name: stringify!($name),
            family: Family::$family,
            native: $crate::syscall::row::number!($x86_64 $arm64),
            compat: $crate::syscall::row::numbers!([$($i386),*] [$($arm),*]),
            x32: $crate::syscall::row::x32!($x32),
            capture: $capture,
            capture_compat: $crate::syscall::row::or!($capture $(, $compat)?),
        },)*];
    };
}

macro_rules! option {
    (_) => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

macro_rules! or {
    ($capture:expr) => {
        $capture
    };
    ($capture:expr, $compat:expr) => {
        $compat
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! number {
    ($x86_64:tt $arm64:tt) => {
        $crate::syscall::row::option!($x86_64)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! number {
    ($x86_64:tt $arm64:tt) => {
        $crate::syscall::row::option!($arm64)
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! numbers {
    ([$($i386:literal),*] [$($arm:literal),*]) => {
        &[$($i386),*]
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! numbers {
    ([$($i386:literal),*] [$($arm:literal),*]) => {
        &[$($arm),*]
    };
}

#[cfg(target_arch = "x86_64")]
macro_rules! x32 {
    ($number:tt) => {
        $crate::syscall::row::option!($number)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! x32 {
    ($number:tt) => {
        None
    };
}

pub(super) use calls;
pub(in crate::syscall) use {number, numbers, option, or, x32};
