//! A map of one value, mapped into memory: what is stored there is in the map at once, without a call
//! of the system, and outlives a kill.

use std::{io, num::NonZeroUsize, os::fd::AsFd as _, path::Path, ptr::NonNull};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError},
};
use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{SysconfVar, sysconf},
};

use super::maps::{MapsError, take};

/// What the map holds.
///
/// # Safety
/// It is made of atomics only, is as long as the map's value, and all bytes are a value of it.
#[expect(unsafe_code, reason = "the kernel and other processes write it too")]
pub unsafe trait Words {
    /// The map.
    const MAP: &'static str;
}

/// The mapping.
#[derive(Debug)]
pub struct Mapped<W> {
    start: NonNull<W>,
    len: NonZeroUsize,
    /// Programs that are loaded later name the map by this descriptor.
    _map: MapData,
}

// SAFETY: the mapping is this value's own, and what is in it is only accessed as atomics.
#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
unsafe impl<W: Words> Send for Mapped<W> {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
unsafe impl<W: Words> Sync for Mapped<W> {}

impl<W: Words> Mapped<W> {
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, MapsError> {
        match take(object, W::MAP)? {
            Map::Array(data) => Self::map(data),
            _ => Err(MapsError::Absent { name: W::MAP }),
        }
    }

    /// That of another generation.
    pub(super) fn from_pin(path: &Path) -> Result<Self, MapsError> {
        let data = MapData::from_pin(path).map_err(|source| MapsError::Kernel { name: W::MAP, source })?;
        Self::map(data)
    }

    fn map(data: MapData) -> Result<Self, MapsError> {
        let failed = |error: io::Error| MapsError::Kernel { name: W::MAP, source: MapError::IoError(error) };
        let page = sysconf(SysconfVar::PAGE_SIZE).map_err(|errno| failed(errno.into()))?;
        // The kernel rounds the map's size up to whole pages (kernel/bpf/arraymap.c).
        let len = page
            .and_then(|page| NonZeroUsize::new(usize::try_from(page).ok()?))
            .ok_or_else(|| failed(io::Error::other("no page size")))?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        #[expect(unsafe_code, reason = "shared with the kernel and with whoever follows")]
        let start = unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, data.fd().as_fd(), 0) };
        Ok(Self { start: start.map_err(|errno| failed(errno.into()))?.cast(), len, _map: data })
    }
}

impl<W> AsRef<W> for Mapped<W> {
    fn as_ref(&self) -> &W {
        // SAFETY: the first words of a page that is mapped as long as this value is; aligned.
        #[expect(unsafe_code, reason = "shared with the kernel and with whoever follows")]
        unsafe {
            self.start.as_ref()
        }
    }
}

impl<W> Drop for Mapped<W> {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nothing that was borrowed from it outlives it.
        #[expect(unsafe_code, reason = "undoes the mapping")]
        let result = unsafe { munmap(self.start.cast(), self.len.get()) };
        if let Err(error) = result {
            tracing::error!(%error, "cannot unmap a map");
        }
    }
}
