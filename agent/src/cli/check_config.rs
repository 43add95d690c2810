//! `kestrel-agent check-config`.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{CheckConfigArgs, Exit, chain};
use crate::{
    config::{Config, ConfigError, Mistake, Overrides},
    detect::{Loading, Summary},
    pipeline::clock,
    posture::Policy,
};

/// Checks a file, the policy file that it names and its rules, and says so on `out`, or what is wrong on `err`.
///
/// # Errors
/// When these cannot be written.
pub fn check_config(args: CheckConfigArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    let mut files = vec![args.file.clone()];
    match check(args, &mut files) {
        Ok((warnings, rules)) => {
            for warning in warnings {
                writeln!(err, "{warning}")?;
            }
            for file in files {
                writeln!(out, "{}: ok", file.display())?;
            }
            match rules.map(|rules| rules.load()) {
                None => Ok(Exit::Good),
                Some(Ok(set)) => {
                    let Summary { active, defined, warnings, .. } = set.summary();
                    for warning in warnings {
                        writeln!(err, "{warning}")?;
                    }
                    writeln!(out, "rules: ok, {active} of {defined} active")?;
                    Ok(Exit::Good)
                }
                Some(Err(error)) => writeln!(err, "{error}").map(|()| Exit::Failed),
            }
        }
        Err(error) => writeln!(err, "{}", chain(&error)).map(|()| Exit::Failed),
    }
}

/// What is good and yet hardly meant.
fn check(
    args: CheckConfigArgs,
    files: &mut Vec<PathBuf>,
) -> Result<(Vec<Mistake>, Option<Loading>), ConfigError> {
    let CheckConfigArgs { file, policy } = args;
    let config = Config::load(Some(file), Overrides { policy, ..Overrides::default() })?;
    let exemptions = config.exemptions()?;
    let loaded = Policy::load(config.policy.as_deref())?;
    let today = clock::now().date();
    let mut warnings = config.warnings(&exemptions, today);
    warnings.extend(loaded.warnings(today));
    let rules = Loading::of(&config);
    files.extend(config.policy);
    Ok((warnings, rules))
}
