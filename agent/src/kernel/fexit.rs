//! Programs at the exits of the wanted calls, one for each function of the kernel that serves one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use agent_abi::{
    hook::Hook,
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_X32, BY_FEXIT, BY_SYS_EXIT, Interest},
    map,
};
use aya::{
    Ebpf,
    maps::ProgramArray,
    programs::{FExit, ProgramError, links::FdLink},
};

use super::{
    bpf::open_pin,
    btf::Function,
    pins::{Generation, create_dir},
    portable::HANDLERS,
    program::{describe, retried},
};
use crate::syscall::{Entry, Wants};

/// Loaded once for each function.
const PROGRAM: &str = "fexit_call";
/// The same for functions of another type.
const PROGRAM_ALONE: &str = "fexit_call_alone";

/// Functions by name, with the number of their type.
pub(super) type Functions = BTreeMap<String, u32>;

/// The functions that serve system calls.
pub(super) fn functions<'a>(functions: impl Iterator<Item = Function<'a>>) -> Functions {
    functions.map(|function| (function.name.to_owned(), function.prototype)).collect()
}

/// Where the wanted calls are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exits {
    /// Functions with a program.
    pub functions: usize,
    /// Calls whose functions cannot have one, each with the reason: left to `sys_exit`.
    pub left: Vec<String>,
    /// Calls that this kernel does not have.
    pub absent: Vec<&'static str>,
    /// Per ABI and number, those that are served.
    served: Vec<(u8, u32)>,
    /// Whether each handler could be loaded.
    handlers: Vec<(Hook, Result<(), String>)>,
}

impl fmt::Display for Exits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} functions have a program at their exit", self.functions)?;
        if self.left.is_empty() {
            return formatter.write_str("; sys_exit is not attached: they serve all calls");
        }
        write!(formatter, "; sys_exit serves {}", self.left.join(", "))
    }
}

impl Exits {
    /// Whether a call is left that `sys_exit` has to serve.
    pub(super) fn needs_sys_exit(&self) -> bool {
        !self.left.is_empty()
    }

    /// Whether a handler could be loaded.
    pub(super) fn handler(&self, hook: Hook) -> Result<(), String> {
        self.handlers.iter().find(|(known, _)| *known == hook).map_or(Ok(()), |(_, result)| result.clone())
    }

    /// Takes the calls that are served from `sys_exit`.
    pub(super) fn take_over(&self, table: &mut [Interest]) {
        for &(abi, number) in &self.served {
            let Some(slot) = table.get_mut(number as usize) else { continue };
            let bit = 1 << (BY_SYS_EXIT + u32::from(abi));
            if slot.wanted & bit != 0 {
                slot.wanted = slot.wanted & !bit | 1 << (BY_FEXIT + u32::from(abi));
            }
        }
    }

    /// Says where each entry is seen. `attached` has every function that was tried.
    fn new(entries: &[Entry], attached: &BTreeMap<String, Result<(), String>>) -> Self {
        let mut exits =
            Self { functions: attached.values().filter(|result| result.is_ok()).count(), ..Self::default() };
        let has = |abi| entries.iter().any(|entry| entry.abi == abi && !entry.functions.is_empty());
        for entry in entries {
            let failed =
                entry.functions.iter().find_map(|name| Some((name, attached.get(name)?.as_ref().err()?)));
            if let Some((function, reason)) = failed {
                exits.left.push(format!("{} ({function}: {reason})", entry.name));
            } else if !entry.functions.is_empty() {
                exits.served.extend(entry.numbers.iter().map(|&number| (entry.abi, number)));
            } else if is_absent(entry, entries, has(entry.abi)) {
                exits.absent.push(entry.name);
            } else {
                exits.left.push(format!(
                    "{} (no function of its {} call is known)",
                    entry.name,
                    abi_name(entry.abi)
                ));
            }
        }
        exits.absent.dedup();
        exits
    }
}

/// Whether the kernel has no such call: not this ABI at all, or not this call in the native one.
fn is_absent(entry: &Entry, entries: &[Entry], has_abi: bool) -> bool {
    let mut native = entries.iter().filter(|other| other.name == entry.name && other.abi == ABI_NATIVE);
    !has_abi || entry.abi == ABI_NATIVE || native.any(|native| native.functions.is_empty())
}

fn abi_name(abi: u8) -> &'static str {
    match abi {
        ABI_COMPAT => "32-bit",
        ABI_X32 => "x32",
        _ => "native",
    }
}

/// Attaches what is missing and detaches what nobody wants any more.
///
/// # Errors
/// When no program at all can be had.
pub(super) fn attach(
    object: &mut Ebpf,
    types: &aya::Btf,
    known: &Functions,
    generation: &Generation,
    wants: &Wants,
) -> Result<Exits, String> {
    let pins = Pins { dir: generation.exits() };
    create_dir(&pins.dir).map_err(describe)?;
    let names: BTreeSet<_> = known.keys().cloned().collect();
    let entries: Vec<_> = wants.calls().flat_map(|call| call.entries(&names)).collect();
    let wanted: BTreeSet<&String> = entries.iter().flat_map(|entry| &entry.functions).collect();
    pins.retain(&wanted).map_err(|error| format!("cannot clear {}: {error}", pins.dir.display()))?;

    // Programs call only those for functions of one type: the type that most have.
    let Some((first, prototype)) = most_common(&wanted, known) else {
        return Ok(Exits::new(&entries, &BTreeMap::new()));
    };
    let handlers = HANDLERS.iter().map(|handler| {
        let result = install(object, types, &pins, handler.fexit, handler.slot, first);
        (handler.hook, result)
    });
    let handlers: Vec<_> = handlers.collect();
    let mut attached = BTreeMap::new();
    for &function in &wanted {
        let is_common = known.get(function) == Some(&prototype);
        let program = if is_common { PROGRAM } else { PROGRAM_ALONE };
        let result = attach_to(object, types, &pins, program, function);
        attached.insert(function.clone(), result);
    }
    Ok(Exits { handlers, ..Exits::new(&entries, &attached) })
}

/// The first function of the most common type, and that type.
fn most_common<'a>(wanted: &BTreeSet<&'a String>, known: &Functions) -> Option<(&'a str, u32)> {
    let mut counts = BTreeMap::new();
    for prototype in wanted.iter().filter_map(|&name| known.get(name)) {
        *counts.entry(*prototype).or_insert(0_usize) += 1;
    }
    let (prototype, _) = counts.into_iter().max_by_key(|&(_, count)| count)?;
    let first = wanted.iter().find(|&&name| known.get(name) == Some(&prototype))?;
    Some((first, prototype))
}

fn install(
    object: &mut Ebpf,
    types: &aya::Btf,
    pins: &Pins,
    name: &str,
    slot: u32,
    function: &str,
) -> Result<(), String> {
    if pins.program(name).exists() {
        return Ok(());
    }
    let program = program(object, name)?;
    retried(|| program.load(function, types)).map_err(describe)?;
    let fd = program.fd().and_then(|fd| fd.try_clone().map_err(ProgramError::from)).map_err(describe)?;
    let handlers = object.map_mut(map::FEXIT_HANDLERS).ok_or("the object has no handler array")?;
    let mut handlers: ProgramArray<_> = handlers.try_into().map_err(describe)?;
    handlers.set(slot, &fd, 0).map_err(describe)?;
    // Last: its pin says that the slot is filled.
    self::program(object, name)?.pin(pins.program(name)).map_err(describe)
}

fn attach_to(
    object: &mut Ebpf,
    types: &aya::Btf,
    pins: &Pins,
    name: &str,
    function: &str,
) -> Result<(), String> {
    let pin = pins.link(function);
    if pin.exists() {
        return Ok(());
    }
    let program = program(object, name)?;
    retried(|| program.load(function, types)).map_err(describe)?;
    let mut pinned = || {
        let id = program.attach().map_err(describe)?;
        let link: FdLink = program.take_link(id).map_err(describe)?.into();
        program.pin(pins.program(function)).map_err(describe)?;
        link.pin(&pin).map(|_| ()).map_err(describe)
    };
    let result = pinned();
    // For the next function; the pins keep this one.
    program.unload().map_err(describe)?;
    result
}

fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut FExit, String> {
    let program = object.program_mut(name).ok_or_else(|| format!("the object has no program {name}"))?;
    program.try_into().map_err(describe)
}

/// `link_<function>`, `program_<function>` and `program_<handler>`.
struct Pins {
    dir: PathBuf,
}

const LINK: &str = "link_";
const PROGRAM_PIN: &str = "program_";

impl Pins {
    fn link(&self, function: &str) -> PathBuf {
        self.dir.join(format!("{LINK}{function}"))
    }

    fn program(&self, function: &str) -> PathBuf {
        self.dir.join(format!("{PROGRAM_PIN}{function}"))
    }

    /// Detaches what is not in `wanted`.
    fn retain(&self, wanted: &BTreeSet<&String>) -> std::io::Result<()> {
        for function in links(&self.dir) {
            if !wanted.contains(&function) {
                fs::remove_file(self.link(&function))?;
                fs::remove_file(self.program(&function))?;
            }
        }
        Ok(())
    }
}

/// Functions that have a pinned link.
fn links(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(LINK)?.to_owned())).collect()
}

/// Paths of the pinned links.
pub(super) fn link_paths(generation: &Generation) -> Vec<PathBuf> {
    let pins = Pins { dir: generation.exits() };
    links(&pins.dir).iter().map(|function| pins.link(function)).collect()
}

/// The programs that the kernel counts runs of.
pub(super) fn programs(generation: &Generation) -> Vec<OwnedFd> {
    let pins = Pins { dir: generation.exits() };
    links(&pins.dir).iter().filter_map(|function| open_pin(&pins.program(function))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &'static str, abi: u8, number: u32, functions: &[&str]) -> Entry {
        let functions = functions.iter().map(|&name| name.to_owned()).collect();
        Entry { name, abi, numbers: vec![number], functions }
    }

    fn attached(results: &[(&str, Result<(), &str>)]) -> BTreeMap<String, Result<(), String>> {
        let owned = |result: Result<(), &str>| result.map_err(str::to_owned);
        results.iter().map(|&(name, result)| (name.to_owned(), owned(result))).collect()
    }

    #[test]
    fn what_is_attached_serves_and_the_rest_is_left_to_sys_exit() {
        let entries = [
            entry("openat", ABI_NATIVE, 257, &["n_openat"]),
            entry("openat", ABI_COMPAT, 295, &["c_openat"]),
            entry("unlink", ABI_NATIVE, 87, &["n_unlink"]),
            entry("unlink", ABI_COMPAT, 10, &[]),
            entry("newer", ABI_NATIVE, 500, &[]),
            entry("newer", ABI_COMPAT, 500, &[]),
            entry("openat", ABI_X32, 257, &[]),
        ];
        let results = attached(&[("n_openat", Ok(())), ("c_openat", Err("busy")), ("n_unlink", Ok(()))]);
        let exits = Exits::new(&entries, &results);
        assert_eq!(exits.served, [(ABI_NATIVE, 257), (ABI_NATIVE, 87)]);
        assert_eq!(
            exits.left,
            ["openat (c_openat: busy)", "unlink (no function of its 32-bit call is known)"]
        );
        assert_eq!(exits.absent, ["newer", "openat"], "an ABI that the kernel does not have leaves nothing");
        assert!(exits.needs_sys_exit());
        assert!(
            exits.to_string().contains("2 functions have a program at their exit; sys_exit serves openat")
        );

        let mut table = vec![Interest::NOTHING; 1024];
        table[257].wanted = 0b111;
        exits.take_over(&mut table);
        assert_eq!(table[257].wanted, 0b110 | 1 << BY_FEXIT);
        assert_eq!(table[87].wanted, 0, "what nobody wants stays so");
    }

    #[test]
    fn handlers_are_for_the_type_that_most_functions_have() {
        let known = Functions::from([("a".to_owned(), 7), ("b".to_owned(), 9), ("c".to_owned(), 9)]);
        let names: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(most_common(&names.iter().collect(), &known), Some(("b", 9)));
        assert_eq!(most_common(&BTreeSet::new(), &known), None);
    }
}
