//! The words of a condition: comparison operators, their modifiers, and transformers.

use std::fmt;

/// What an operator takes on its right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One number.
    Number,
    /// One text; with a [`Modifier`], a list of them.
    Text,
    /// A list of texts.
    List,
}

/// Defines an enum of words together with its spellings, so that neither can miss an entry.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All of them, in the order of their definition.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// How it is written.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// A comparison of two sides. `==` is another spelling of `=`; `exists` is unary and stands in
    /// [`ExprKind::Exists`](super::ast::ExprKind::Exists).
    Operator {
        /// The two are the same.
        Equal = "=",
        /// The two differ.
        NotEqual = "!=",
        /// The left number is smaller.
        Less = "<",
        /// The left number is not greater.
        LessOrEqual = "<=",
        /// The left number is greater.
        Greater = ">",
        /// The left number is not smaller.
        GreaterOrEqual = ">=",
        /// The right text is somewhere in the left.
        Contains = "contains",
        /// The same without regard to case.
        IContains = "icontains",
        /// The bytes given in hex are somewhere in the left.
        BContains = "bcontains",
        /// The left begins with the right.
        StartsWith = "startswith",
        /// The left begins with the bytes given in hex.
        BStartsWith = "bstartswith",
        /// The left ends with the right.
        EndsWith = "endswith",
        /// The left fits the pattern.
        Glob = "glob",
        /// The same without regard to case.
        IGlob = "iglob",
        /// The whole left fits the regular expression.
        Regex = "regex",
        /// The left is one of the list; a left list has all of its members there.
        In = "in",
        /// One member of the left is in the list.
        Intersects = "intersects",
        /// One path of the list is the left or a parent of it.
        PMatch = "pmatch",
    }
}

impl Operator {
    /// What stands on its right.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => Shape::Number,
            Self::In | Self::Intersects | Self::PMatch => Shape::List,
            Self::Equal
            | Self::NotEqual
            | Self::Contains
            | Self::IContains
            | Self::BContains
            | Self::StartsWith
            | Self::BStartsWith
            | Self::EndsWith
            | Self::Glob
            | Self::IGlob
            | Self::Regex => Shape::Text,
        }
    }
}

words! {
    /// How a text operator goes over a list.
    Modifier {
        /// True for exactly one.
        OneOf = "oneof",
        /// True for at least one.
        AnyOf = "anyof",
        /// True for each.
        AllOf = "allof",
    }
}

words! {
    /// A function of values. `val(field)` is none: it only says that a field stands on the right.
    Transformer {
        /// Letters become small.
        ToLower = "tolower",
        /// Letters become capital.
        ToUpper = "toupper",
        /// Base64 is decoded.
        B64 = "b64",
        /// The last component of a path.
        Basename = "basename",
        /// How long a text, or how many members a list.
        Len = "len",
        /// Values of a list with a separator between them: `join(separator, list)`.
        Join = "join",
        /// Values one after the other.
        Concat = "concat",
        /// The options of a command line.
        GetOpt = "getopt",
    }
}
