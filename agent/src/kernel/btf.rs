//! Reads just what the agent asks from the kernel's type information.
//!
//! Layout: Documentation/bpf/btf.rst. A walk for the few wanted names takes milliseconds where a
//! full parse takes a third of a second and tens of megabytes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Where the kernel and its modules show their types.
const SYS_KERNEL_BTF: &str = "/sys/kernel/btf";

const MAGIC: u16 = 0xeb9f;
/// Longest chain of typedefs, qualifiers and nesting that is followed.
const MAX_DEPTH: usize = 32;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FWD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

/// Why type information is of no use.
#[derive(Debug, Error)]
pub enum BtfError {
    /// The file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes are not BTF.
    #[error("{path} is not BTF: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Type information of the kernel, or of a module on top of it.
#[derive(Debug)]
pub struct Btf {
    data: Vec<u8>,
    /// Byte position of each type; index 0 is `first_id`.
    types: Vec<u32>,
    first_id: u32,
    strings: std::ops::Range<usize>,
    first_string: u32,
}

/// A type together with the information it lies in.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    info: u32,
    /// Size, or the type it refers to.
    size_or_type: u32,
    /// Position of what follows the common part.
    extra: usize,
}

impl Type {
    fn kind(&self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn members(&self) -> u32 {
        self.info & 0xffff
    }
}

impl Btf {
    /// The kernel's own.
    ///
    /// # Errors
    /// When it cannot be read or is malformed.
    pub fn vmlinux() -> Result<Self, BtfError> {
        Self::read(&Path::new(SYS_KERNEL_BTF).join("vmlinux"), None)
    }

    /// A module's, whose types refer to those of `kernel`. `None` where the module is not loaded.
    ///
    /// # Errors
    /// When it cannot be read or is malformed.
    pub fn module(name: &str, kernel: &Self) -> Result<Option<Self>, BtfError> {
        let path = Path::new(SYS_KERNEL_BTF).join(name);
        match Self::read(&path, Some(kernel)) {
            Err(BtfError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map(Some),
        }
    }

    fn read(path: &Path, base: Option<&Self>) -> Result<Self, BtfError> {
        let data = fs::read(path).map_err(|source| BtfError::Read { path: path.to_path_buf(), source })?;
        Self::parse(data, base).map_err(|reason| BtfError::Format { path: path.to_path_buf(), reason })
    }

    fn parse(data: Vec<u8>, base: Option<&Self>) -> Result<Self, &'static str> {
        if read_u16(&data, 0) != Some(MAGIC) {
            return Err("no BTF magic in this byte order");
        }
        let field = |at| read_u32(&data, at).map(|value| value as usize).ok_or("header is cut off");
        let header = field(4)?;
        let types_at = header + field(8)?;
        let types_end = types_at + field(12)?;
        let strings_at = header + field(16)?;
        let strings_end = strings_at + field(20)?;
        if types_end > data.len() || strings_end > data.len() {
            return Err("a section leaves the file");
        }
        let mut types = Vec::new();
        let mut at = types_at;
        while at < types_end {
            types.push(u32::try_from(at).map_err(|_| "file is too large")?);
            let (Some(info), Some(_)) = (read_u32(&data, at + 4), read_u32(&data, at + 8)) else {
                return Err("a type is cut off");
            };
            let members = (info & 0xffff) as usize;
            let extra = match (info >> 24) & 0x1f {
                KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
                KIND_ARRAY => 12,
                KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => members * 12,
                KIND_ENUM | KIND_FUNC_PROTO => members * 8,
                KIND_PTR | 7..=12 | 16 | KIND_TYPE_TAG => 0,
                _ => return Err("unknown kind of type"),
            };
            at += 12 + extra;
        }
        let (first_id, first_string) = match base {
            // Type 0 is void and has no entry.
            None => (1, 0),
            Some(base) => (
                base.first_id + u32::try_from(base.types.len()).map_err(|_| "too many types")?,
                base.first_string + u32::try_from(base.strings.len()).map_err(|_| "too many strings")?,
            ),
        };
        Ok(Self { data, types, first_id, strings: strings_at..strings_end, first_string })
    }

    /// The same bytes without functions but those to `keep`, by number and name: whoever looks for one by its name
    /// passes over tens of thousands of others, and finds no other of that name. Every type keeps its number.
    #[must_use]
    pub fn with_functions(&self, keep: impl Fn(u32, &str) -> bool) -> Vec<u8> {
        /// Of the kind in `info`.
        const SHIFT: u32 = 24;
        let mut bytes = self.data.clone();
        for (id, &at) in (self.first_id..).zip(&self.types) {
            let at = at as usize;
            let (Some(name), Some(info)) = (read_u32(&self.data, at), read_u32(&self.data, at + 4)) else {
                continue;
            };
            let is_kept = || self.string(name).is_some_and(|name| keep(id, name));
            if info >> SHIFT & 0x1f == KIND_FUNC && !is_kept() {
                // A declaration has the same form, and nobody looks for it.
                let info = info & !(0x1f << SHIFT) | KIND_FWD << SHIFT;
                bytes[at + 4..at + 8].copy_from_slice(&info.to_ne_bytes());
            }
        }
        bytes
    }

    fn get(&self, id: u32) -> Option<Type> {
        let at = *self.types.get(id.checked_sub(self.first_id)? as usize)? as usize;
        Some(Type {
            name: read_u32(&self.data, at)?,
            info: read_u32(&self.data, at + 4)?,
            size_or_type: read_u32(&self.data, at + 8)?,
            extra: at + 12,
        })
    }

    fn string(&self, offset: u32) -> Option<&str> {
        let start = self.strings.start + offset.checked_sub(self.first_string)? as usize;
        let bytes = self.data.get(start..self.strings.end)?;
        std::str::from_utf8(bytes.split(|&byte| byte == 0).next()?).ok()
    }

    fn string_is(&self, offset: u32, expected: &[u8]) -> Option<bool> {
        let start = self.strings.start + offset.checked_sub(self.first_string)? as usize;
        let bytes = self.data.get(start..self.strings.end)?;
        Some(bytes.starts_with(expected) && bytes.get(expected.len()) == Some(&0))
    }
}

/// The kernel's types, and with them those of one module.
#[derive(Clone, Copy)]
pub struct Types<'a> {
    kernel: &'a Btf,
    module: Option<&'a Btf>,
}

/// A member found by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the structure.
    pub offset: u32,
    /// Type of the member.
    type_id: u32,
}

/// A function of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type's number.
    pub id: u32,
    /// Number of the type of its arguments and result.
    pub prototype: u32,
    /// How many arguments.
    pub arguments: u32,
    /// Whether its arguments can be followed: not where one points to what is declared and nothing more.
    pub is_whole: bool,
}

/// A parameter of a tracepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Whether it is an address.
    pub is_pointer: bool,
    type_id: u32,
}

impl<'a> Types<'a> {
    /// The kernel's own.
    #[must_use]
    pub fn kernel(kernel: &'a Btf) -> Self {
        Self { kernel, module: None }
    }

    /// Those of `module`, which may refer to the kernel's.
    #[must_use]
    pub fn module(kernel: &'a Btf, module: &'a Btf) -> Self {
        Self { kernel, module: Some(module) }
    }

    /// Finds `path` (`a.b.c`) in a structure of that name; of both, alternatives are separated by `|`.
    #[must_use]
    pub fn member(&self, structure: &str, path: &str) -> Option<Member> {
        let alternatives =
            structure.split('|').flat_map(|structure| path.split('|').map(move |path| (structure, path)));
        alternatives.into_iter().find_map(|(structure, path)| {
            self.named(structure, KIND_STRUCT).find_map(|id| {
                path.split('.').try_fold(Member { offset: 0, type_id: id }, |outer, name| {
                    let inner = self.find(outer.type_id, name.as_bytes(), 0)?;
                    Some(Member { offset: outer.offset + inner.offset, type_id: inner.type_id })
                })
            })
        })
    }

    /// Number of elements of an array member.
    #[must_use]
    pub fn array_len(&self, member: Member) -> Option<u32> {
        let (_, array) = self.resolve(member.type_id)?;
        (array.kind() == KIND_ARRAY).then(|| read_u32(&self.home(member.type_id)?.data, array.extra + 8))?
    }

    /// Value of an enumerator.
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        self.named(enumeration, KIND_ENUM).find_map(|id| {
            let (home, found) = (self.home(id)?, self.get(id)?);
            (0..found.members() as usize).find_map(|index| {
                let at = found.extra + index * 8;
                self.string_is(read_u32(&home.data, at)?, name.as_bytes())?
                    .then(|| read_u32(&home.data, at + 4))?
            })
        })
    }

    /// Number of a structure of the kernel's own.
    #[must_use]
    pub fn structure_id(&self, name: &str) -> Option<u32> {
        Self::kernel(self.kernel).named(name, KIND_STRUCT).next()
    }

    /// Size of a structure.
    #[must_use]
    pub fn structure_bytes(&self, name: &str) -> Option<u32> {
        self.named(name, KIND_STRUCT).find_map(|id| self.get(id)).map(|found| found.size_or_type)
    }

    /// The kernel's own functions whose name begins with any of `prefixes`.
    pub fn functions(&self, prefixes: &[&str]) -> impl Iterator<Item = Function<'a>> {
        let kernel = self.kernel;
        let ids = kernel.first_id..kernel.first_id + kernel.types.len() as u32;
        ids.filter_map(move |id| {
            let found = kernel.get(id).filter(|found| found.kind() == KIND_FUNC)?;
            let name = kernel.string(found.name)?;
            let is_wanted = prefixes.iter().any(|prefix| name.starts_with(prefix));
            let prototype = found.size_or_type;
            is_wanted.then(|| {
                let arguments = kernel.get(prototype).map_or(0, |prototype| prototype.members());
                Function { name, id, prototype, arguments, is_whole: self.is_whole(prototype) }
            })
        })
    }

    /// Whether every parameter of a function's type that is an address points to a type that is known.
    fn is_whole(&self, prototype: u32) -> bool {
        let (Some(home), Some(found)) = (self.home(prototype), self.get(prototype)) else { return false };
        (0..found.members() as usize).all(|index| {
            let parameter = read_u32(&home.data, found.extra + index * 8 + 4);
            let target = parameter.and_then(|id| self.resolve(id)).and_then(|(_, parameter)| {
                if parameter.kind() == KIND_PTR { self.resolve(parameter.size_or_type) } else { None }
            });
            target.is_none_or(|(_, target)| target.kind() != KIND_FWD)
        })
    }

    /// Parameters of a tracepoint, as its programs get them; `None` where the kernel has no such
    /// tracepoint.
    #[must_use]
    pub fn tracepoint(&self, name: &str) -> Option<Vec<Parameter>> {
        // include/trace/bpf_probe.h: `typedef void (*btf_trace_NAME)(void *, …)`.
        let id = self.named(&format!("btf_trace_{name}"), KIND_TYPEDEF).next()?;
        let (_, pointer) = self.resolve(id)?;
        let (id, prototype) = self.resolve(pointer.size_or_type)?;
        if pointer.kind() != KIND_PTR || prototype.kind() != KIND_FUNC_PROTO {
            return None;
        }
        let home = self.home(id)?;
        let types = (1..prototype.members() as usize)
            .map(|index| read_u32(&home.data, prototype.extra + index * 8 + 4));
        types
            .map(|type_id| {
                let type_id = type_id?;
                let is_pointer = self.resolve(type_id).is_some_and(|(_, found)| found.kind() == KIND_PTR);
                Some(Parameter { is_pointer, type_id })
            })
            .collect()
    }

    /// Whether a parameter is the address of a structure of that name.
    #[must_use]
    pub fn points_to(&self, parameter: &Parameter, structure: &str) -> bool {
        let target = self.resolve(parameter.type_id).filter(|(_, pointer)| pointer.kind() == KIND_PTR);
        target.and_then(|(_, pointer)| self.resolve(pointer.size_or_type)).is_some_and(|(_, target)| {
            target.kind() == KIND_STRUCT && self.string_is(target.name, structure.as_bytes()) == Some(true)
        })
    }

    fn named(&self, name: &str, kind: u32) -> impl Iterator<Item = u32> {
        let homes = [self.module, Some(self.kernel)];
        homes.into_iter().flatten().flat_map(move |home| {
            (home.first_id..home.first_id + home.types.len() as u32).filter(move |&id| {
                home.get(id).is_some_and(|found| {
                    found.kind() == kind && self.string_is(found.name, name.as_bytes()) == Some(true)
                })
            })
        })
    }

    fn home(&self, id: u32) -> Option<&'a Btf> {
        match self.module {
            Some(module) if id >= module.first_id => Some(module),
            _ => Some(self.kernel),
        }
    }

    fn get(&self, id: u32) -> Option<Type> {
        self.home(id)?.get(id)
    }

    fn string_is(&self, offset: u32, expected: &[u8]) -> Option<bool> {
        match self.module {
            Some(module) if offset >= module.first_string => module.string_is(offset, expected),
            _ => self.kernel.string_is(offset, expected),
        }
    }

    /// Strips typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<(u32, Type)> {
        for _ in 0..MAX_DEPTH {
            let found = self.get(id)?;
            match found.kind() {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = found.size_or_type
                }
                _ => return Some((id, found)),
            }
        }
        None
    }

    /// Finds a member by name, also within anonymous members.
    fn find(&self, id: u32, name: &[u8], depth: usize) -> Option<Member> {
        if depth > MAX_DEPTH {
            return None;
        }
        let (id, outer) = self.resolve(id)?;
        if !matches!(outer.kind(), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        let home = self.home(id)?;
        let is_bitfield_layout = outer.info >> 31 == 1;
        (0..outer.members() as usize).find_map(|index| {
            let at = outer.extra + index * 12;
            let member_name = read_u32(&home.data, at)?;
            let type_id = read_u32(&home.data, at + 4)?;
            let bits = read_u32(&home.data, at + 8)?;
            let bits = if is_bitfield_layout { bits & 0x00ff_ffff } else { bits };
            if self.string_is(member_name, name)? {
                return Some(Member { offset: bits / 8, type_id });
            }
            if self.string_is(member_name, b"")? {
                let inner = self.find(type_id, name, depth + 1)?;
                return Some(Member { offset: bits / 8 + inner.offset, type_id: inner.type_id });
            }
            None
        })
    }
}

fn read_u16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nested_and_anonymous_members_in_this_kernel() {
        let btf = Btf::vmlinux().unwrap();
        let types = Types::kernel(&btf);
        assert_eq!(types.member("list_head", "prev").unwrap().offset, 8);
        assert!(types.member("task_struct", "seccomp.mode").unwrap().offset > 0);
        assert!(types.member("dentry", "d_name.name").is_some());
        assert_eq!(types.member("task_struct", "no_such_field"), None);
        assert_eq!(types.member("no_such_struct", "field"), None);
        assert_eq!(types.member("task_struct", "no_such_field|comm"), types.member("task_struct", "comm"));
    }

    #[test]
    fn knows_the_length_of_an_array() {
        let btf = Btf::vmlinux().unwrap();
        let types = Types::kernel(&btf);
        let comm = types.member("task_struct", "comm").unwrap();
        assert_eq!(types.array_len(comm), Some(16));
        assert_eq!(types.array_len(types.member("task_struct", "pid").unwrap()), None);
    }

    #[test]
    fn finds_functions_by_how_their_names_begin() {
        let btf = Btf::vmlinux().unwrap();
        let functions: Vec<_> =
            Types::kernel(&btf).functions(&["bpf_lsm_file_op", "do_sys_openat2"]).collect();
        let named = |name: &str| functions.iter().filter(|function| function.name == name).count();
        assert_eq!(named("do_sys_openat2"), 1);
        assert!(functions.iter().all(|function| function.prototype != 0), "{functions:?}");
        assert_eq!(Types::kernel(&btf).structure_bytes("list_head"), Some(16));
    }

    #[test]
    fn leaves_functions_out_and_every_type_its_number() {
        let btf = Btf::vmlinux().unwrap();
        let thin =
            Btf::parse(btf.with_functions(|_, name| name.starts_with("do_sys_openat2")), None).unwrap();
        let all = |btf| {
            Types::kernel(btf)
                .functions(&[""])
                .map(|function| (function.name, function.id))
                .collect::<Vec<_>>()
        };
        let (kept, known) = (all(&thin), all(&btf));
        assert!(kept.len() < 10 && known.len() > 10_000, "{kept:?}");
        assert!(kept.iter().any(|(name, _)| *name == "do_sys_openat2"));
        assert!(kept.iter().all(|function| known.contains(function)), "{kept:?}");
        assert_eq!(thin.types, btf.types);
    }

    #[test]
    fn knows_the_parameters_of_a_tracepoint() {
        let btf = Btf::vmlinux().unwrap();
        let types = Types::kernel(&btf);
        let parameters = types.tracepoint("sched_process_exec").unwrap();
        assert_eq!(parameters.len(), 3);
        assert!(types.points_to(&parameters[0], "task_struct"));
        assert!(!parameters[1].is_pointer && !types.points_to(&parameters[1], "task_struct"));
        assert!(types.points_to(&parameters[2], "linux_binprm"));
        assert_eq!(types.tracepoint("no_such_tracepoint"), None);
    }

    #[test]
    fn rejects_what_is_not_btf() {
        assert!(Btf::parse(Vec::new(), None).is_err());
        assert!(Btf::parse(vec![0; 64], None).is_err());
        let mut real = fs::read("/sys/kernel/btf/vmlinux").unwrap();
        real.truncate(4096);
        assert_eq!(Btf::parse(real, None).unwrap_err(), "a section leaves the file");
    }
}
