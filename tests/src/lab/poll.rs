//! Waiting on a condition with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long to rest between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `probe` finds something, and returns it. An error from `probe` ends the wait at once.
pub fn until_some<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} for {what}");
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until `probe` says yes.
pub fn until(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    until_some(what, limit, || Ok(probe()?.then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_least_once_and_names_what_it_waited_for() {
        assert!(until("the sky", Duration::ZERO, || Ok(true)).is_ok());
        let error = until("the moon", Duration::ZERO, || Ok(false)).unwrap_err();
        assert!(error.to_string().contains("the moon"));
    }

    #[test]
    fn an_error_is_not_waited_out() {
        let error = until("x", Duration::from_secs(60), || bail!("broken")).unwrap_err();
        assert_eq!(error.to_string(), "broken");
    }
}
