//! Which embedded store the outbox uses: each on its workload, in a process of its own, the rounds
//! interleaved, medians of them. `cargo run --release -- FOLDER` (on the disk to be measured; as
//! root also with a full and a read-only one).

mod store;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

const STORES: [&str; 4] = ["sqlite", "fjall", "redb", "file"];
const ROUNDS: usize = 8;
const EVENT_BYTES: usize = 300;
/// Acknowledgements come that many groups later, 16 at once.
const LAG: u64 = 64;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["append", store, dir, group, groups, sync] => {
            append(store, Path::new(dir), group.parse()?, groups.parse()?, sync == "sync")
        }
        ["until-killed", store, dir] => until_killed(store, Path::new(dir)),
        ["reopen", store, dir] => reopen(store, Path::new(dir)),
        ["full", store, dir] => full(store, Path::new(dir)),
        ["nothing"] => Ok(()),
        [dir] => compare(Path::new(dir)),
        _ => bail!("usage: stores FOLDER"),
    }
}

fn compare(dir: &Path) -> Result<()> {
    let mut results: BTreeMap<(String, &str), Vec<BTreeMap<String, f64>>> = BTreeMap::new();
    for round in 0..ROUNDS {
        // What one leaves to be written back, another pays for: each is the first once.
        let mut stores = STORES;
        stores.rotate_left(round % STORES.len());
        for (group, groups) in [(1, 20_000), (32, 4_000), (256, 1_000)] {
            for sync in ["kill", "sync"] {
                let groups = if sync == "sync" { 200 } else { groups };
                for store in stores {
                    // It syncs each commit anyway.
                    let groups = if store == "redb" { 200 } else { groups };
                    let folder = fresh(dir)?;
                    let (group, groups) = (group.to_string(), groups.to_string());
                    let output = this(&["append", store, &folder, &group, &groups, sync])?;
                    let what = format!("append {group:>3} {sync}");
                    results.entry((what, store)).or_default().push(parse(&output));
                }
            }
        }
        for store in stores {
            let folder = fresh(dir)?;
            let reported = kill_after(store, &folder, 40_000)?;
            let mut found = parse(&this(&["reopen", store, &folder])?);
            found.insert("lost".into(), (reported as f64 - found["events"]).max(0.0));
            results.entry(("reopen after kill".into(), store)).or_default().push(found);
        }
        eprintln!("round {} of {ROUNDS}", round + 1);
    }
    for ((what, store), rounds) in &results {
        let medians = rounds[0].keys().map(|key| {
            let mut values: Vec<f64> = rounds.iter().map(|round| round[key]).collect();
            values.sort_by(f64::total_cmp);
            format!("{key} {:.1}", values[values.len() / 2])
        });
        println!("{what:<20} {store:<7} {}", medians.collect::<Vec<_>>().join("  "));
    }
    for store in STORES {
        println!("full disk            {store:<7} {}", on_tmpfs(dir, "full", store)?);
        println!("read-only            {store:<7} {}", on_tmpfs(dir, "read-only", store)?);
    }
    Ok(())
}

fn body(group: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 60) as u8
    };
    std::iter::repeat_with(next).take(group * EVENT_BYTES).collect()
}

fn append(store: &str, dir: &Path, group: u64, groups: u64, sync: bool) -> Result<()> {
    let mut store = store::open(store, dir)?;
    let body = body(group as usize);
    let mut times = Vec::with_capacity(groups as usize);
    let start = Instant::now();
    for number in 0..groups {
        let delete_to = (number > LAG && number % 16 == 0).then(|| (number - LAG) * group);
        let before = Instant::now();
        store.append(number * group + 1, &body, delete_to)?;
        if sync {
            store.sync()?;
        }
        times.push(before.elapsed().as_secs_f64() * 1e6);
    }
    let rate = (groups * group) as f64 / start.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let of = |part: f64| times[(times.len() as f64 * part) as usize];
    let size: u64 = size(dir)?;
    println!(
        "p50_us={:.1} p99_us={:.1} max_us={:.0} events/s={rate:.0} cpu_ms={} rss_MiB={} disk_MiB={:.1}",
        of(0.5),
        of(0.99),
        times[times.len() - 1],
        cpu_ms()?,
        rss()?,
        size as f64 / f64::from(1 << 20)
    );
    Ok(())
}

fn until_killed(store: &str, dir: &Path) -> Result<()> {
    let mut store = store::open(store, dir)?;
    let body = body(32);
    for number in 0.. {
        store.append(number * 32 + 1, &body, None)?;
        println!("{}", (number + 1) * 32);
    }
    Ok(())
}

fn kill_after(store: &str, dir: &str, events: u64) -> Result<u64> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["until-killed", store, dir])
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
    let mut reported = 0;
    for line in lines {
        reported = line?.parse()?;
        if reported == events {
            child.kill()?;
        }
    }
    child.wait()?;
    Ok(reported)
}

fn reopen(store: &str, dir: &Path) -> Result<()> {
    let start = Instant::now();
    let mut store = store::open(store, dir)?;
    let opened = start.elapsed();
    let rows = store.read()?;
    let events: usize = rows.iter().map(|(_, length)| length / EVENT_BYTES).sum();
    let (open, read) = (opened.as_secs_f64() * 1e3, (start.elapsed() - opened).as_secs_f64() * 1e3);
    println!("open_ms={open:.1} read_ms={read:.1} events={events} rss_MiB={}", rss()?);
    Ok(())
}

// Fills the disk; then acknowledges half of it, appends again, and opens anew.
fn full(name: &str, dir: &Path) -> Result<()> {
    let body = body(32);
    let mut store = match store::open(name, dir) {
        Ok(store) => store,
        Err(error) => {
            println!("does not open on 64 MiB: {error:#}");
            return Ok(());
        }
    };
    let (mut number, mut refused) = (0, 0);
    let mut last = String::new();
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![1; 32 << 20])?;
    while refused < 20 && number < 100_000 {
        match store.append(number * 32 + 1, &body, None) {
            Ok(()) => number += 1,
            Err(error) => {
                refused += 1;
                last = format!("{error:#}").chars().take(60).collect();
            }
        }
    }
    let rows = store.read().map_or(-1, |rows| rows.len() as i64);
    print!("took {number} groups, then \"{last}\"; {rows} readable; ");
    let deleted = store.append(0, &[], Some(number * 16));
    let again = (0..50).filter(|more| store.append((number + more) * 32 + 1, &body, None).is_ok()).count();
    print!(
        "delete half: {}, {again} of 50 appended after it; ",
        if deleted.is_ok() { "ok" } else { "refused" }
    );
    fs::remove_file(&ballast)?;
    let freed = (50..100).filter(|more| store.append((number + more) * 32 + 1, &body, None).is_ok()).count();
    print!("{freed} of 50 when others made room; ");
    let rows_before = store.read().map_or(-1, |rows| rows.len() as i64);
    drop(store);
    match store::open(name, dir).and_then(|mut store| store.read()) {
        Ok(rows) => println!("reopened with {} of {rows_before}", rows.len()),
        Err(error) => println!("does not reopen: {error:#}"),
    }
    Ok(())
}

fn on_tmpfs(dir: &Path, what: &str, store: &str) -> Result<String> {
    let folder = dir.join("mount");
    fs::create_dir_all(&folder)?;
    let path = folder.to_string_lossy().into_owned();
    if !Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "none", &path]).status()?.success() {
        return Ok("skipped: cannot mount, not root".into());
    }
    let result = if what == "full" {
        this(&["full", store, &path])
    } else {
        kill_after(store, &path, 3_200).and_then(|_| {
            Command::new("mount").args(["-o", "remount,ro", &path]).status()?;
            Ok(this(&["reopen", store, &path]).unwrap_or_else(|error| format!("{error:#}")))
        })
    };
    Command::new("umount").arg(&path).status()?;
    Ok(result?.trim().replace('\n', " "))
}

fn this(arguments: &[&str]) -> Result<String> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn parse(output: &str) -> BTreeMap<String, f64> {
    let pairs = output.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.parse().unwrap_or(f64::NAN))).collect()
}

fn fresh(dir: &Path) -> Result<String> {
    let folder = dir.join("store");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    if !Command::new("sync").status()?.success() {
        bail!("cannot sync");
    }
    Ok(folder.to_string_lossy().into_owned())
}

fn size(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            size(&entry.path())?
        } else {
            // Blocks: a file may have holes.
            std::os::unix::fs::MetadataExt::blocks(&entry.metadata()?) * 512
        };
    }
    Ok(bytes)
}

fn rss() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
    Ok(line.split_whitespace().nth(1).context("kB")?.parse::<u64>()? / 1024)
}

fn cpu_ms() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("stat")?.split(' ').collect();
    Ok((fields[11].parse::<u64>()? + fields[12].parse::<u64>()?) * 10)
}
