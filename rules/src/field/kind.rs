//! What the values of a field are.

use std::fmt;

/// What the values of a field are. It decides which operators it takes and how a text of a rule is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    Text,
    /// Bytes that need not be text.
    Bytes,
    /// True or false.
    Bool,
    /// A signed number of 16 bits.
    Int16,
    /// A signed number of 32 bits.
    Int32,
    /// A signed number of 64 bits.
    Int64,
    /// An unsigned number of 32 bits.
    UInt32,
    /// An unsigned number of 64 bits.
    UInt64,
    /// A number with a fraction.
    Double,
    /// A span of nanoseconds.
    RelTime,
    /// Nanoseconds since the epoch.
    AbsTime,
    /// A port, or the service that is known for it.
    Port,
    /// An address, IPv4 or IPv6.
    Address,
    /// An address that is compared with networks.
    Network,
    /// Depends on the argument; see [`Reference::kind`](super::Reference::kind).
    Dynamic,
}

impl Kind {
    /// Its name in Falco's lists of fields.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "CHARBUF",
            Self::Bytes => "BYTEBUF",
            Self::Bool => "BOOL",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::UInt32 => "UINT32",
            Self::UInt64 => "UINT64",
            Self::Double => "DOUBLE",
            Self::RelTime => "RELTIME",
            Self::AbsTime => "ABSTIME",
            Self::Port => "PORT",
            Self::Address => "IPADDR",
            Self::Network => "IPNET",
            Self::Dynamic => "DYNAMIC",
        }
    }

    /// Whether it may be compared with a network in CIDR notation.
    #[must_use]
    pub const fn takes_networks(self) -> bool {
        matches!(self, Self::Address | Self::Network)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
