//! How structures are declared that both sides of the ring, or of a map, read and write.

/// Structures that both sides lay out alike. What user space reads or writes of them are bytes, so
/// they have no padding. The number behind the name is the size, which is asserted.
///
/// Where all zeros mean something else than "nothing", `no Default:` comes first.
macro_rules! wire {
    (no Default: $($structures:tt)*) => {
        $crate::wire::wire! { @each [] $($structures)* }
    };
    (@each [$($derived:ident)?]) => {};
    (
        @each [$($derived:ident)?]
        $(#[$attribute:meta])*
        pub struct $name:ident [$size:expr] { $($fields:tt)* }
        $($others:tt)*
    ) => {
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, $($derived,)? PartialEq, Eq)]
        #[cfg_attr(
            feature = "user",
            derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
        )]
        pub struct $name { $($fields)* }

        const _: () = assert!(size_of::<$name>() == $size);

        $crate::wire::wire! { @each [$($derived)?] $($others)* }
    };
    ($($structures:tt)*) => {
        $crate::wire::wire! { @each [Default] $($structures)* }
    };
}

pub(crate) use wire;
