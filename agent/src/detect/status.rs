//! How the rules of the node are.

use serde::{Deserialize, Serialize};

use super::Summary;

/// Rules in force, and whether the newest files are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesStatus {
    /// Those in force; absent while none are.
    pub in_force: Option<Summary>,
    /// Why the newest files are not in force: file, line and reason.
    pub error: Option<String>,
    /// Times that files were refused since the agent started.
    pub failed: u64,
}
