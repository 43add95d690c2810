//! The table of `agent_abi::offset`, filled in from this kernel's types.

use agent_abi::{
    map::{Boot, CGROUP_V2, RING_COUNT},
    offset::{ABSENT, FIELDS, Field, Need, Offsets},
    record::SECCOMP_BITMAP_BYTES,
};
use thiserror::Error;

use super::{
    btf::{Btf, BtfError, Types},
    cast::Cast,
    cgroup::Hierarchy,
    form::Forms,
    registers::Registers,
    uring::{self, UringLayout},
};

/// Fields of which one took the other's place: a kernel has either.
const REPLACED: [(&str, &str); 1] = [("file_count", "file_ref")];

/// Why the kernel's layout is not known well enough.
#[derive(Debug, Error)]
pub enum OffsetError {
    /// No usable type information.
    #[error("this kernel's type information (BTF) is not usable; Kestrel needs CONFIG_DEBUG_INFO_BTF")]
    Btf(#[from] BtfError),
    /// Required fields are missing.
    #[error("this kernel lacks required fields: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// `pt_regs` is not what this architecture has.
    #[error("this kernel's pt_regs lacks the registers of a system call")]
    NoRegisters,
    /// Containers are in v1 cgroups and the pids controller is not there.
    #[error("containers are in v1 cgroups, and this kernel has no pids controller to tell them apart")]
    NoPidsController,
}

/// All that the programs are told of this kernel.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Offsets.
    pub offsets: Offsets,
    /// Constants of this boot.
    pub boot: Boot,
    /// How programs load words from anywhere, where they may.
    pub cast: Option<Cast>,
    /// Where the operations of an io_uring keep what is captured of them.
    pub uring: UringLayout,
    /// Which programs fit this kernel's tracepoints.
    pub forms: Forms,
    /// Optional fields that this kernel does not have, as `structure.path`.
    pub missing: Vec<String>,
}

impl Layout {
    /// Reads it from the kernel's types.
    ///
    /// # Errors
    /// When a required field is missing, by name.
    pub fn read(hierarchy: Hierarchy, ring_bytes: [u32; RING_COUNT]) -> Result<Self, OffsetError> {
        let kernel = Btf::vmlinux()?;
        let mut offsets = [ABSENT; FIELDS.len()];
        let mut required = Vec::new();
        let mut missing = Vec::new();
        for (field, slot) in FIELDS.iter().zip(&mut offsets) {
            match offset(field, &kernel)? {
                Some(offset) => *slot = offset,
                None if field.need == Need::Required => required.push(name(field)),
                None => missing.push(field),
            }
        }
        let has = |wanted: &str| {
            FIELDS.iter().zip(&offsets).any(|(field, &offset)| field.name == wanted && offset != ABSENT)
        };
        let is_replaced = |field: &Field| {
            REPLACED
                .iter()
                .any(|&(old, new)| (field.name == old && has(new)) || (field.name == new && has(old)))
        };
        let missing: Vec<_> = missing.into_iter().filter(|field| !is_replaced(field)).map(name).collect();
        if !required.is_empty() {
            return Err(OffsetError::Missing(required));
        }
        let types = Types::kernel(&kernel);
        let registers = Registers::read(types).ok_or(OffsetError::NoRegisters)?;
        let cgroup_subsys = match hierarchy {
            Hierarchy::V2 => CGROUP_V2,
            Hierarchy::V1Pids { .. } => {
                types.enumerator("cgroup_subsys_id", "pids_cgrp_id").ok_or(OffsetError::NoPidsController)?
            }
        };
        let cast = Cast::read(types);
        let boot = Boot {
            ring_bytes,
            cgroup_subsys,
            cgroup_hierarchy: hierarchy.id(),
            seccomp_bitmap_bytes: seccomp_bitmap_bytes(types),
            compat_flag: registers.compat_flag,
            regs_number: registers.number,
            regs_native: registers.native,
            regs_compat: registers.compat,
            has_task_btf: u32::from(
                types.enumerator("bpf_func_id", "BPF_FUNC_get_current_task_btf").is_some(),
            ),
            has_task_regs: u32::from(types.enumerator("bpf_func_id", "BPF_FUNC_task_pt_regs").is_some()),
            regs_in_stack: registers.in_stack,
            uring_by_user_data: u32::from(uring::completions_name_no_request(types)),
            uring_async_flag: uring::async_flag(types),
            word_type: cast.map_or(0, |cast| cast.word_type),
        };
        let (uring, forms) = (UringLayout::read(types), Forms::read(types));
        Ok(Self { offsets: Offsets::from_array(offsets), boot, cast, uring, forms, missing })
    }
}

fn offset(field: &Field, kernel: &Btf) -> Result<Option<u32>, BtfError> {
    let found = Types::kernel(kernel).member(field.structure, field.path);
    if found.is_some() || field.module.is_empty() {
        return Ok(found.map(|member| member.offset));
    }
    let module = Btf::module(field.module, kernel)?;
    Ok(module.and_then(|module| {
        Types::module(kernel, &module).member(field.structure, field.path).map(|member| member.offset)
    }))
}

fn name(field: &Field) -> String {
    format!("{}.{}", field.structure, field.path)
}

/// `allow_native` is an array of `unsigned long`.
fn seccomp_bitmap_bytes(types: Types<'_>) -> u32 {
    types
        .member("seccomp_filter", "cache.allow_native")
        .and_then(|member| types.array_len(member))
        .map(|longs| longs * 8)
        .filter(|&bytes| bytes as usize <= SECCOMP_BITMAP_BYTES)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_every_required_field() {
        let layout = Layout::read(Hierarchy::V2, [4096, 4096]).unwrap();
        assert_eq!(layout.boot.seccomp_bitmap_bytes % 8, 0);
        assert_ne!(layout.offsets.task_seccomp_mode, layout.offsets.task_pid);
    }

    #[test]
    fn names_of_fields_are_unique() {
        let mut names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FIELDS.len());
    }
}
