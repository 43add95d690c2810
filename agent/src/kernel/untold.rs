//! The map [`map::UNTOLD`], mapped into memory: a store there costs nothing and outlives a kill.

use std::{
    io,
    num::NonZeroUsize,
    os::fd::AsFd as _,
    path::Path,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use agent_abi::map::{self, Untold};
use aya::{
    Ebpf,
    maps::{Map, MapData, MapError},
};
use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{SysconfVar, sysconf},
};

use super::maps::{MapsError, take};

/// How far what was read is told, shared with whoever follows. Each word is written by one thread.
#[repr(C)]
#[derive(Debug, Default)]
pub struct UntoldWords {
    told_ns: AtomicU64,
    read_ns: AtomicU64,
}

const _: () = assert!(size_of::<UntoldWords>() == size_of::<Untold>());

impl UntoldWords {
    /// Both words.
    #[must_use]
    pub fn get(&self) -> Untold {
        Untold {
            told_ns: self.told_ns.load(Ordering::Acquire),
            read_ns: self.read_ns.load(Ordering::Acquire),
        }
    }

    /// What was read of before this is told.
    pub fn told(&self, told_ns: u64) {
        self.told_ns.store(told_ns, Ordering::Release);
    }

    /// Records of before this are read next.
    pub fn read(&self, read_ns: u64) {
        self.read_ns.store(read_ns, Ordering::Release);
    }
}

impl AsRef<Self> for UntoldWords {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The map.
#[derive(Debug)]
pub struct UntoldMap {
    start: NonNull<UntoldWords>,
    len: NonZeroUsize,
}

// SAFETY: the mapping is this value's own, and what is in it is only accessed as atomics.
#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
unsafe impl Send for UntoldMap {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
unsafe impl Sync for UntoldMap {}

impl UntoldMap {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        match take(object, map::UNTOLD)? {
            Map::Array(data) => Self::map(&data),
            _ => Err(MapsError::Absent { name: map::UNTOLD }),
        }
    }

    /// That of another generation.
    pub(super) fn from_pin(path: &Path) -> Result<Self, MapsError> {
        let data =
            MapData::from_pin(path).map_err(|source| MapsError::Kernel { name: map::UNTOLD, source })?;
        Self::map(&data)
    }

    fn map(data: &MapData) -> Result<Self, MapsError> {
        let failed =
            |error: io::Error| MapsError::Kernel { name: map::UNTOLD, source: MapError::IoError(error) };
        let page = sysconf(SysconfVar::PAGE_SIZE).map_err(|errno| failed(errno.into()))?;
        // The kernel rounds the map's size up to whole pages (kernel/bpf/arraymap.c).
        let len = page
            .and_then(|page| NonZeroUsize::new(usize::try_from(page).ok()?))
            .ok_or_else(|| failed(io::Error::other("no page size")))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        #[expect(unsafe_code, reason = "shared with whoever follows")]
        let start = unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, data.fd().as_fd(), 0) };
        Ok(Self { start: start.map_err(|errno| failed(errno.into()))?.cast(), len })
    }
}

impl AsRef<UntoldWords> for UntoldMap {
    fn as_ref(&self) -> &UntoldWords {
        // SAFETY: the first words of a page that is mapped as long as this value is; aligned.
        #[expect(unsafe_code, reason = "shared with whoever follows")]
        unsafe {
            self.start.as_ref()
        }
    }
}

impl Drop for UntoldMap {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nothing that was borrowed from it outlives it.
        #[expect(unsafe_code, reason = "undoes the mapping")]
        let result = unsafe { munmap(self.start.cast(), self.len.get()) };
        if let Err(error) = result {
            tracing::error!(%error, "cannot unmap a map");
        }
    }
}
