//! The controls: one file each, one line each in the table.

mod capabilities;
mod entered;
mod left_container;
mod no_new_privs;
mod privileged;
mod run_as_non_root;
mod seccomp;
#[cfg(test)]
pub(in crate::posture) mod testing;

use super::control::Control;

macro_rules! controls {
    ($($id:ident = $module:ident;)*) => {
        /// Names a control; its place in [`CONTROLS`]. Not stored anywhere: files hold slugs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum ControlId {
            $(#[doc = concat!("See `controls/", stringify!($module), ".rs`.")] $id,)*
        }

        /// Number of controls.
        pub const CONTROL_COUNT: usize = [$(ControlId::$id),*].len();

        /// Every control, in the order of [`ControlId`].
        pub static CONTROLS: [Control; CONTROL_COUNT] = [$($module::CONTROL),*];
    };
}

controls! {
    Privileged = privileged;
    RunAsNonRoot = run_as_non_root;
    NoNewPrivileges = no_new_privs;
    Seccomp = seccomp;
    Capabilities = capabilities;
    Entered = entered;
    LeftContainer = left_container;
}
