//! The reading side of a BPF ring buffer.
//!
//! Layout: kernel/bpf/ringbuf.c. The consumer position is a page of its own that only the reader
//! writes; the producer position and the data follow read-only, the data mapped twice so that a
//! record never wraps. The positions live in the map: a reader that follows another goes on where
//! that one stopped.

use std::{
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use aya::maps::{Map, MapData};
use nix::{
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
    unistd::{SysconfVar, sysconf},
};
use thiserror::Error;

/// `BPF_RINGBUF_BUSY_BIT` (include/uapi/linux/bpf.h): reserved and not yet submitted.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`.
const DISCARDED: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`.
const HEADER_BYTES: usize = 8;

/// Why a ring cannot be read.
#[derive(Debug, Error)]
pub enum RingError {
    /// Not a ring.
    #[error("map {name} is not a ring buffer")]
    NotARing {
        /// Its name.
        name: &'static str,
    },
    /// It could not be mapped.
    #[error("cannot map ring {name}")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A mapping that ends with it.
struct Mapping {
    start: NonNull<std::ffi::c_void>,
    len: NonZeroUsize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, len: NonZeroUsize, protection: ProtFlags, offset: usize) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        #[expect(unsafe_code, reason = "rings are read in place")]
        let start = unsafe { mmap(None, len, protection, MapFlags::MAP_SHARED, fd, offset) }?;
        Ok(Self { start, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and nothing that was borrowed from it outlives it.
        #[expect(unsafe_code, reason = "undoes the mapping")]
        let result = unsafe { munmap(self.start, self.len.get()) };
        if let Err(error) = result {
            tracing::error!(%error, "cannot unmap a ring");
        }
    }
}

/// A ring buffer, read in place.
pub struct Ring {
    fd: OwnedFd,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    mask: usize,
}

// SAFETY: the mappings are this value's own; reading needs `&mut self`.
#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring `map`, called `name` in messages.
    ///
    /// # Errors
    /// When it is not a ring, or cannot be mapped.
    pub fn new(name: &'static str, map: Map) -> Result<Self, RingError> {
        let Map::RingBuf(data) = map else { return Err(RingError::NotARing { name }) };
        Self::from_data(name, &data)
    }

    /// As [`Ring::new`], from the map itself.
    ///
    /// # Errors
    /// As [`Ring::new`].
    pub fn from_data(name: &'static str, data: &MapData) -> Result<Self, RingError> {
        let failed = |source| RingError::Map { name, source };
        let size = data.info().map_err(|error| failed(io::Error::other(error)))?.max_entries() as usize;
        let page = sysconf(SysconfVar::PAGE_SIZE)
            .ok()
            .flatten()
            .and_then(|page| usize::try_from(page).ok())
            .and_then(NonZeroUsize::new)
            .ok_or(RingError::NotARing { name })?;
        if !size.is_power_of_two() {
            return Err(RingError::NotARing { name });
        }
        let fd = data.fd().as_fd().try_clone_to_owned().map_err(failed)?;
        let consumer = Mapping::new(fd.as_fd(), page, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, 0)
            .map_err(failed)?;
        let len = page.saturating_add(2 * size);
        let producer = Mapping::new(fd.as_fd(), len, ProtFlags::PROT_READ, page.get()).map_err(failed)?;
        Ok(Self { fd, consumer, producer, page: page.get(), mask: size - 1 })
    }

    /// Becomes readable when the programs wake the reader.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Up to where records have been reserved. A snapshot: [`Ring::drain`] up to it ends.
    #[must_use]
    pub fn produced(&self) -> u64 {
        self.producer_position().load(Ordering::Acquire)
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.produced().saturating_sub(self.consumer_position().load(Ordering::Relaxed))
    }

    /// Gives every record before `end` to `each` and frees its place after. Stops at a record that
    /// is still being written. Returns the number of records.
    pub fn drain(&mut self, end: u64, mut each: impl FnMut(&[u8])) -> usize {
        let mut records = 0;
        let mut position = self.consumer_position().load(Ordering::Relaxed);
        while position < end {
            let at = position as usize & self.mask;
            let length = self.length(at).load(Ordering::Acquire);
            if length & BUSY != 0 {
                break;
            }
            let bytes = (length & !(BUSY | DISCARDED)) as usize;
            // The kernel writes lengths; one that is too large would mean that it is not a ring.
            if bytes > self.mask {
                tracing::error!(bytes, "a ring holds a record larger than itself; its backlog is skipped");
                position = end;
                self.consumer_position().store(position, Ordering::Release);
                break;
            }
            if length & DISCARDED == 0 {
                each(self.data(at + HEADER_BYTES, bytes));
                records += 1;
            }
            position += ((HEADER_BYTES + bytes).next_multiple_of(8)) as u64;
            self.consumer_position().store(position, Ordering::Release);
        }
        records
    }

    fn consumer_position(&self) -> &AtomicU64 {
        // SAFETY: the first word of a mapped page, aligned, shared with the kernel.
        #[expect(unsafe_code, reason = "shared with the kernel")]
        unsafe {
            self.consumer.start.cast::<AtomicU64>().as_ref()
        }
    }

    fn producer_position(&self) -> &AtomicU64 {
        // SAFETY: the first word of the mapping, aligned; the kernel writes it.
        #[expect(unsafe_code, reason = "shared with the kernel")]
        unsafe {
            self.producer.start.cast::<AtomicU64>().as_ref()
        }
    }

    fn length(&self, at: usize) -> &AtomicU32 {
        debug_assert!(at <= self.mask && at.is_multiple_of(8));
        // SAFETY: within the data of the mapping; records are aligned to 8 bytes.
        #[expect(unsafe_code, reason = "shared with the kernel")]
        unsafe {
            self.producer.start.byte_add(self.page + at).cast::<AtomicU32>().as_ref()
        }
    }

    fn data(&self, at: usize, bytes: usize) -> &[u8] {
        // SAFETY: the data is mapped twice in a row, so `at + bytes` (both at most the ring's size)
        // lies inside; the kernel does not touch a submitted record until it is freed.
        #[expect(unsafe_code, reason = "records are read in place")]
        unsafe {
            std::slice::from_raw_parts(
                self.producer.start.byte_add(self.page + at).cast::<u8>().as_ptr(),
                bytes,
            )
        }
    }
}
