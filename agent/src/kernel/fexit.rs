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
    maps::Map,
    programs::{FExit, links::FdLink},
};

use super::{
    bpf::open_pin,
    btf::Function,
    pins::{Generation, PinError, create_dir, remove_pin},
    portable::HANDLERS,
    program::{describe, retried, set_handler},
    release::{LINK, remove_links},
};
use crate::syscall::{Entry, Wants};

/// Loaded once for each function.
const PROGRAM: &str = "fexit_call";
/// The same for functions without arguments.
const PROGRAM_ALONE: &str = "fexit_call_alone";

/// Why a function has no program. Of many calls of Linux 5.10 the types have what would stand in for the call, in
/// which the registers are declared and nothing more (kernel/sys_ni.c), or nothing at all.
const NOT_WHOLE: &str = "this kernel's types do not say what their functions are given";

/// The type of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prototype {
    id: u32,
    has_arguments: bool,
}

/// Functions by name, each with its type, or nothing where that is not whole.
pub(super) type Functions = BTreeMap<String, Option<Prototype>>;

/// Loads the object once more, with an array of handlers of its own, by this number.
pub(super) type LoadAgain<'a> = &'a dyn Fn(usize) -> Result<Ebpf, String>;

/// Of functions that the types have several times, by one name, those that are most like the others: the call and
/// not what would stand in for it.
pub(super) fn distinct(functions: Vec<Function<'_>>) -> Vec<Function<'_>> {
    let mut counts = BTreeMap::new();
    for function in &functions {
        *counts.entry(function.prototype).or_insert(0_usize) += 1;
    }
    let likeness = |function: &Function<'_>| (function.is_whole, counts[&function.prototype]);
    let mut by_name: BTreeMap<&str, Function<'_>> = BTreeMap::new();
    for function in functions {
        let known = by_name.entry(function.name).or_insert(function);
        if likeness(&function) > likeness(known) {
            *known = function;
        }
    }
    by_name.into_values().collect()
}

/// The functions that serve system calls: those among the kernel's `symbols`, where these are known, as its types
/// have them.
pub(super) fn functions<'a>(typed: impl Iterator<Item = Function<'a>>, symbols: &[String]) -> Functions {
    let prototype = |function: &Function<'_>| {
        let Function { prototype: id, arguments, is_whole, .. } = *function;
        is_whole.then_some(Prototype { id, has_arguments: arguments != 0 })
    };
    let typed: Functions = typed.map(|function| (function.name.to_owned(), prototype(&function))).collect();
    if symbols.is_empty() {
        return typed;
    }
    symbols.iter().map(|name| (name.clone(), typed.get(name).copied().flatten())).collect()
}

/// A call that is left to `sys_exit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub call: &'static str,
    /// [`ABI_NATIVE`] and its like.
    pub abi: u8,
    /// Why.
    pub reason: String,
}

/// Where the wanted calls are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exits {
    /// Functions with a program.
    pub functions: usize,
    /// Calls whose functions cannot have one: left to `sys_exit`.
    pub left: Vec<Left>,
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
        write!(formatter, "; sys_exit serves {}", self.left())
    }
}

impl Exits {
    /// Whether a call is left that `sys_exit` has to serve.
    pub(super) fn needs_sys_exit(&self) -> bool {
        !self.left.is_empty()
    }

    /// What is left to `sys_exit`, for people: the calls by the reason.
    #[must_use]
    pub fn left(&self) -> String {
        let mut by_reason: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for left in &self.left {
            by_reason.entry(&left.reason).or_default().insert(left.call);
        }
        let reasons = by_reason.into_iter().map(|(reason, calls)| {
            let calls: Vec<_> = calls.into_iter().collect();
            format!("{} ({reason})", calls.join(", "))
        });
        reasons.collect::<Vec<_>>().join("; ")
    }

    /// Whether a program at its own exit tells of a call.
    #[must_use]
    pub fn serves(&self, abi: u8, number: u32) -> bool {
        self.served.contains(&(abi, number))
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
            let mut left = |reason| exits.left.push(Left { call: entry.name, abi: entry.abi, reason });
            let failed = entry.functions.iter().find_map(|name| attached.get(name)?.as_ref().err());
            if let Some(reason) = failed {
                left(reason.clone());
            } else if !entry.functions.is_empty() {
                exits.served.extend(entry.numbers.iter().map(|&number| (entry.abi, number)));
            } else if is_absent(entry, entries, has(entry.abi)) {
                exits.absent.push(entry.name);
            } else {
                left(format!("no function of the {} call is known", abi_name(entry.abi)));
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

/// Attaches what is missing and detaches what nobody wants any more. An array of handlers is emptied when nobody has
/// it open: those that are not the object's come to `arrays`.
///
/// # Errors
/// When no program at all can be had.
pub(super) fn attach(
    object: &mut Ebpf,
    again: LoadAgain<'_>,
    arrays: &mut Vec<Map>,
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
    pins.retain(&wanted).map_err(describe)?;

    let mut handlers: Vec<_> = HANDLERS.iter().map(|handler| (handler.hook, Ok(()))).collect();
    let mut attached = BTreeMap::new();
    // Programs call only those for functions of one type: each type has a set of its own.
    for (set, prototype) in prototypes(known).into_iter().enumerate() {
        let functions: Vec<_> =
            wanted.iter().filter(|&&name| known.get(name) == Some(&Some(prototype))).collect();
        let Some(first) = functions.first() else { continue };
        let mut other = if set == 0 { None } else { Some(again(set)?) };
        let object = other.as_mut().unwrap_or(object);
        let own = Pins { dir: if set == 0 { pins.dir.clone() } else { pins.dir.join(set.to_string()) } };
        create_dir(&own.dir).map_err(describe)?;
        for ((_, result), handler) in handlers.iter_mut().zip(&HANDLERS) {
            let installed = install(object, types, &own, handler.fexit, handler.slot, first);
            *result = std::mem::replace(result, Ok(())).and(installed);
        }
        for &function in functions {
            let result = attach_to(object, types, &pins, PROGRAM, function);
            attached.insert(function.clone(), result.map_err(|error| format!("{function}: {error}")));
        }
        arrays.extend(other.and_then(|mut object| object.take_map(map::FEXIT_HANDLERS)));
    }
    for &function in &wanted {
        let result = match known.get(function).copied().flatten() {
            Some(Prototype { has_arguments: true, .. }) => continue,
            Some(_) => attach_to(object, types, &pins, PROGRAM_ALONE, function)
                .map_err(|error| format!("{function}: {error}")),
            None => Err(NOT_WHOLE.to_owned()),
        };
        attached.insert(function.clone(), result);
    }
    Ok(Exits { handlers, ..Exits::new(&entries, &attached) })
}

/// The types with arguments, those that most functions of this kernel have first.
fn prototypes(known: &Functions) -> Vec<Prototype> {
    let mut counts = BTreeMap::new();
    for prototype in known.values().flatten().filter(|prototype| prototype.has_arguments) {
        *counts.entry(*prototype).or_insert(0_usize) += 1;
    }
    let mut prototypes: Vec<_> = counts.into_iter().collect();
    prototypes.sort_by_key(|&(prototype, count)| (std::cmp::Reverse(count), prototype));
    prototypes.into_iter().map(|(prototype, _)| prototype).collect()
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
    let fd = program.fd().map_err(describe)?.try_clone();
    set_handler(object, map::FEXIT_HANDLERS, slot, fd)?;
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

const PROGRAM_PIN: &str = "program_";

impl Pins {
    fn link(&self, function: &str) -> PathBuf {
        self.dir.join(format!("{LINK}{function}"))
    }

    fn program(&self, function: &str) -> PathBuf {
        self.dir.join(format!("{PROGRAM_PIN}{function}"))
    }

    /// Detaches what is not in `wanted`.
    fn retain(&self, wanted: &BTreeSet<&String>) -> Result<(), PinError> {
        let mut unwanted = links(&self.dir);
        unwanted.retain(|function| !wanted.contains(function));
        let pins: Vec<_> = unwanted.iter().map(|function| self.link(function)).collect();
        remove_links(&pins)?;
        unwanted.iter().try_for_each(|function| remove_pin(&self.program(function)))
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
        assert!(exits.serves(ABI_NATIVE, 257) && !exits.serves(ABI_COMPAT, 295));
        assert_eq!(exits.left(), "openat (busy); unlink (no function of the 32-bit call is known)");
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
    fn calls_that_are_left_for_one_reason_are_told_together() {
        let left = |call, abi, reason: &str| Left { call, abi, reason: reason.to_owned() };
        let left = vec![
            left("b", ABI_NATIVE, "x"),
            left("b", ABI_COMPAT, "x"),
            left("c", ABI_NATIVE, "y"),
            left("a", ABI_NATIVE, "x"),
        ];
        assert_eq!(Exits { left, ..Exits::default() }.left(), "a, b (x); c (y)");
    }

    fn function(name: &str, prototype: u32, is_whole: bool) -> Function<'_> {
        Function { name, id: 0, prototype, arguments: 1, is_whole }
    }

    fn functions_of(known: &[(&str, Option<u32>)]) -> Functions {
        let prototype = |id| Prototype { id, has_arguments: true };
        known.iter().map(|&(name, id)| (name.to_owned(), id.map(prototype))).collect()
    }

    #[test]
    fn the_symbols_say_which_functions_there_are_and_the_types_what_they_are_given() {
        let typed = || {
            [function("open", 1, true), function("bpf", 1, false), function("left_out", 1, true)].into_iter()
        };
        let symbols = ["bpf", "open", "perf_event_open"].map(str::to_owned);
        let known = [("bpf", None), ("open", Some(1)), ("perf_event_open", None)];
        assert_eq!(functions(typed(), &symbols), functions_of(&known));
        let known = [("bpf", None), ("left_out", Some(1)), ("open", Some(1))];
        assert_eq!(functions(typed(), &[]), functions_of(&known), "where they cannot be read");
    }

    #[test]
    fn of_two_functions_of_a_name_the_call_is_taken() {
        let all =
            [("a", 1, true), ("a", 2, true), ("b", 2, true), ("c", 2, true), ("d", 3, false), ("d", 1, true)];
        let taken =
            distinct(all.map(|(name, prototype, is_whole)| function(name, prototype, is_whole)).into());
        let taken: Vec<_> = taken.iter().map(|function| (function.name, function.prototype)).collect();
        assert_eq!(taken, [("a", 2), ("b", 2), ("c", 2), ("d", 1)]);
    }

    #[test]
    fn each_type_has_a_set_and_the_most_common_one_the_first() {
        let mut known =
            functions_of(&[("a", Some(7)), ("b", Some(9)), ("c", Some(9)), ("d", None), ("e", None)]);
        known.insert("f".to_owned(), Some(Prototype { id: 5, has_arguments: false }));
        let ids: Vec<_> = prototypes(&known).iter().map(|prototype| prototype.id).collect();
        assert_eq!(ids, [9, 7]);
        assert_eq!(prototypes(&Functions::new()), []);
    }
}
