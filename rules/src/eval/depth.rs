//! How deep conditions may be nested.

/// So deep a condition may be with its macros in place. The parser allows 100 for each text; a macro that
/// stands in a macro adds its own.
const LIMIT: u16 = 256;

/// A depth within the limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Depth(u16);

impl Depth {
    /// One deeper, unless that is too deep.
    pub(super) fn deeper(self) -> Option<Self> {
        (self.0 < LIMIT).then_some(Self(self.0 + 1))
    }
}
