//! The agent's own rights.
//!
//! In a container the binary's file capabilities are permitted and not effective, so that it starts
//! with whatever part of them the pod is given: an effective one that is missing would make the
//! exec fail. The agent takes here what it may.

use std::io;

use rustix::thread::{capabilities, set_capabilities};

/// Makes every permitted capability effective. To be called before there are threads: capabilities
/// are a thread's own.
///
/// # Errors
/// When the kernel refuses.
pub fn take_permitted() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    if sets.effective == sets.permitted {
        return Ok(());
    }
    sets.effective = sets.permitted;
    Ok(set_capabilities(None, sets)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_permitted_becomes_effective() {
        take_permitted().unwrap();
        let sets = capabilities(None).unwrap();
        assert_eq!(sets.effective, sets.permitted);
    }
}
