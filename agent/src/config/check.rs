//! From the file as written to a configuration that holds.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use serde_saphyr::Spanned;

use super::{
    Config, ConfigError, Located, LogFormat, LogLevel, Mistake, Problem,
    raw::{RawConfig, RawCri, RawFindings, RawHttp, RawLimits, RawLog, RawRings, RawScan, RawStreams},
    unit,
};

/// Kernel pages are at most 64 KiB, so a power of two from there on is a multiple of any.
const RING_BYTES: RangeInclusive<u64> = (64 << 10)..=(1 << 30);
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);
const QUIET_TIME: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
const SCAN_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(24);
const ENTRIES: RangeInclusive<usize> = 64..=(1 << 20);

/// Puts what the file says over `config`.
pub(super) fn check<E>(
    file: &Path,
    raw: RawConfig<E>,
    mut config: Config<E>,
) -> Result<Config<E>, ConfigError> {
    let at = Checker { file };
    let RawConfig {
        node_name,
        state_dir,
        pin_dir,
        cri,
        http,
        findings,
        rings,
        streams,
        scan,
        limits,
        log,
        exemptions,
    } = raw;
    at.text("node_name", node_name, unit::parse_node_name, &mut config.node_name)?;
    at.text("state_dir", state_dir, unit::parse_path, &mut config.state_dir)?;
    at.text("pin_dir", pin_dir, unit::parse_path, &mut config.pin_dir)?;

    let RawCri { socket, timeout } = cri.unwrap_or_default();
    at.text("cri.socket", socket, unit::parse_cri_socket, &mut config.cri.socket)?;
    at.text("cri.timeout", timeout, duration(TIMEOUT), &mut config.cri.timeout)?;

    let RawHttp { listen } = http.unwrap_or_default();
    at.text("http.listen", listen, unit::parse_listen, &mut config.http.listen)?;

    let RawFindings { file, quiet_time, name_wait } = findings.unwrap_or_default();
    at.text("findings.file", file, |text| unit::parse_path(text).map(Some), &mut config.findings.file)?;
    at.text("findings.quiet_time", quiet_time, duration(QUIET_TIME), &mut config.findings.quiet_time)?;
    at.text("findings.name_wait", name_wait, duration(TIMEOUT), &mut config.findings.name_wait)?;

    let RawRings { critical_bytes, bulk_bytes } = rings.unwrap_or_default();
    at.text("rings.critical_bytes", critical_bytes, ring_bytes, &mut config.rings.critical_bytes)?;
    at.text("rings.bulk_bytes", bulk_bytes, ring_bytes, &mut config.rings.bulk_bytes)?;

    let RawStreams { open } = streams.unwrap_or_default();
    at.field("streams.open", open, Ok, &mut config.streams.open)?;

    let RawScan { interval } = scan.unwrap_or_default();
    at.text("scan.interval", interval, duration(SCAN_INTERVAL), &mut config.scan.interval)?;

    let RawLimits { processes, containers, cgroups, findings } = limits.unwrap_or_default();
    at.field("limits.processes", processes, entries, &mut config.limits.processes)?;
    at.field("limits.containers", containers, entries, &mut config.limits.containers)?;
    at.field("limits.cgroups", cgroups, entries, &mut config.limits.cgroups)?;
    at.field("limits.findings", findings, entries, &mut config.limits.findings)?;

    let RawLog { level, format } = log.unwrap_or_default();
    at.text("log.level", level, log_level, &mut config.log.level)?;
    at.text("log.format", format, log_format, &mut config.log.format)?;

    for entry in exemptions.unwrap_or_default() {
        let place = entry.referenced;
        config.exemptions.push(Located {
            value: entry.value,
            file: at.file.to_owned(),
            line: place.line(),
            column: place.column(),
        });
    }
    Ok(config)
}

struct Checker<'a> {
    file: &'a Path,
}

impl Checker<'_> {
    fn text<V>(
        &self,
        key: &str,
        raw: Option<Spanned<String>>,
        parse: impl FnOnce(&str) -> Result<V, String>,
        into: &mut V,
    ) -> Result<(), ConfigError> {
        self.field(key, raw, |text| parse(&text), into)
    }

    fn field<R, V>(
        &self,
        key: &str,
        raw: Option<Spanned<R>>,
        parse: impl FnOnce(R) -> Result<V, String>,
        into: &mut V,
    ) -> Result<(), ConfigError> {
        let Some(raw) = raw else { return Ok(()) };
        let place = raw.referenced;
        *into = parse(raw.value).map_err(|message| Mistake {
            file: self.file.to_owned(),
            line: place.line(),
            column: place.column(),
            key: key.to_owned(),
            problem: Problem::Value(message),
        })?;
        Ok(())
    }
}

fn duration(range: RangeInclusive<Duration>) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let value = unit::parse_duration(text)?;
        if range.contains(&value) {
            return Ok(value);
        }
        let (low, high) = (unit::show_duration(*range.start()), unit::show_duration(*range.end()));
        Err(format!("expected {low} to {high}, got {text}"))
    }
}

fn ring_bytes(text: &str) -> Result<u32, String> {
    let value = unit::parse_bytes(text)?;
    match u32::try_from(value) {
        Ok(bytes) if RING_BYTES.contains(&value) && value.is_power_of_two() => Ok(bytes),
        _ => {
            let (low, high) = (unit::show_bytes(*RING_BYTES.start()), unit::show_bytes(*RING_BYTES.end()));
            Err(format!("expected a power of two from {low} to {high}, got {text}"))
        }
    }
}

fn entries(value: usize) -> Result<usize, String> {
    if ENTRIES.contains(&value) {
        Ok(value)
    } else {
        Err(format!("expected {} to {}, got {value}", ENTRIES.start(), ENTRIES.end()))
    }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    match text {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        _ => Err(format!("expected error, warn, info, debug or trace, got {text:?}")),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("expected text or json, got {text:?}")),
    }
}
