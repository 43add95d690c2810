//! Executes itself again and again, counting: `counter RUN COUNT MICROSECONDS LOG`. Each child's
//! arguments are `counted RUN NUMBER`. When it was executed, at the earliest and at the latest by
//! `CLOCK_BOOTTIME`, goes to LOG: lines of `NUMBER FROM TO`, nanoseconds.
#![allow(clippy::print_stderr, reason = "its output is for a terminal")]

use std::{
    env,
    error::Error,
    fs::File,
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

fn boottime_ns() -> Result<i64, nix::Error> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(now.tv_sec() * 1_000_000_000 + now.tv_nsec())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().collect();
    if args.first().is_some_and(|name| name == "counted") {
        return Ok(());
    }
    let [_, run, count, pause, log] = &args[..] else {
        return Err("usage: counter RUN COUNT MICROSECONDS LOG".into());
    };
    let (count, pause) = (count.parse::<u64>()?, Duration::from_micros(pause.parse()?));
    let mut log = File::create(log)?;
    for number in 1..=count {
        let from = boottime_ns()?;
        Command::new("/proc/self/exe")
            .arg0("counted")
            .args([run, &number.to_string()])
            .stdin(Stdio::null())
            .status()?;
        writeln!(log, "{number} {from} {}", boottime_ns()?)?;
        thread::sleep(pause);
    }
    Ok(())
}
