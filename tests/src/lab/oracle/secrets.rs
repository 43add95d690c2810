//! Secrets where everybody on the node can read them. Knows those of the lab's pods by their names.

use std::fs;

use anyhow::Result;

use super::Violations;

/// Whether a process has a secret in its environment.
pub(super) fn environment(pid: u32) -> Result<Violations> {
    let has = words(pid, "environ")?.iter().any(|word| is_secret(word));
    Ok(has.then_some(("secrets-in-environment", "FAIL")).into_iter().collect())
}

/// Whether a process has a secret among its arguments.
pub(super) fn arguments(pid: u32) -> Result<Violations> {
    let has = words(pid, "cmdline")?.iter().any(|word| is_secret(word));
    Ok(has.then_some(("secrets-in-arguments", "FAIL")).into_iter().collect())
}

fn words(pid: u32, file: &str) -> Result<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/{file}"))?;
    Ok(bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// A name that says so, and a value that is no place of a file.
fn is_secret(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, value)| {
        let name = name.to_lowercase();
        ["password", "secret", "token"].iter().any(|part| name.ends_with(part))
            && !value.is_empty()
            && !value.starts_with('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        assert!(is_secret("DATABASE_PASSWORD=x7"));
        assert!(is_secret("--password=x7"));
        assert!(!is_secret("--password-file=/run/secrets/password"));
        assert!(!is_secret("TOKEN=/run/secrets/token"));
        assert!(!is_secret("PATH=/bin"));
    }
}
