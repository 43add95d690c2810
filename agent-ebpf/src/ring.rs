//! Sends records, and counts what became of them.

use agent_abi::{
    ABI_VERSION,
    hook::HookCounters,
    map::{RING_BULK, RING_CRITICAL},
    record::{Header, header_flag},
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_discard, bpf_ringbuf_output,
        bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
    },
};

use crate::{
    global::{BOOT, RINGS, Ring, SEQUENCES, frozen, settings},
    scratch::RECORD_BYTES,
};

/// Longest record: a mask, so that the verifier sees the bound.
const LEN_MASK: u64 = RECORD_BYTES as u64 - 1;

/// Ring of a record.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Critical = RING_CRITICAL,
    Bulk = RING_BULK,
}

impl Lane {
    /// The lane of a ring's number.
    #[inline(always)]
    pub fn of(ring: u8) -> Self {
        if u32::from(ring) == RING_CRITICAL { Self::Critical } else { Self::Bulk }
    }
}

/// Whether less than a quarter of the critical ring is free. Records then keep to their fixed part,
/// so that a flood of long ones cannot evict what posture needs.
#[inline(always)]
pub fn under_pressure() -> bool {
    let Some(ring) = RINGS.get(RING_CRITICAL) else { return false };
    // SAFETY: a ring from the array of rings.
    let used = unsafe {
        bpf_ringbuf_query(core::ptr::from_ref::<Ring>(ring).cast_mut().cast(), u64::from(BPF_RB_AVAIL_DATA))
    };
    let size = u64::from(frozen(&BOOT.ring_bytes[RING_CRITICAL as usize]));
    used > size - size / 4
}

/// Writes the header at the front of `record`.
///
/// # Safety
/// `record` points at a scratch buffer.
#[inline(always)]
pub unsafe fn stamp(record: *mut u8, lane: Lane, kind: u16, flags: u32, len: usize, sequence: u64) {
    let header = record.cast::<Header>();
    // SAFETY: a scratch buffer begins with room for a header.
    unsafe {
        (*header).abi = ABI_VERSION;
        (*header).kind = kind;
        (*header).len = (len as u64 & LEN_MASK) as u32;
        (*header).cpu = bpf_get_smp_processor_id() as u16;
        (*header).ring = lane as u16;
        (*header).flags = flags;
        (*header).sequence = sequence;
        (*header).boottime_ns = bpf_ktime_get_boot_ns();
    }
}

/// This CPU's next number in the ring of `lane`. Taken before the record is sent, so that a record
/// without room leaves a gap. A program of another hook that runs between the load and the store
/// takes the same number: the reader sees a repeat, which is no loss.
#[inline(always)]
fn next_sequence(lane: Lane) -> Option<u64> {
    let sequence = SEQUENCES.get_ptr_mut(lane as u32)?;
    // SAFETY: this CPU's own value.
    unsafe {
        let number = *sequence;
        *sequence = number + 1;
        Some(number)
    }
}

/// Puts `len` bytes of `record` into the ring of `lane`.
///
/// # Safety
/// `record` points at a scratch buffer of at least `len` bytes.
#[inline(always)]
pub unsafe fn send(hook: &mut HookCounters, record: *mut u8, lane: Lane, kind: u16, flags: u32, len: usize) {
    let Some(sequence) = next_sequence(lane) else {
        hook.errors += 1;
        return;
    };
    // SAFETY: as the caller's.
    unsafe { stamp(record, lane, kind, flags, len, sequence) };
    let sent = match RINGS.get(lane as u32) {
        // SAFETY: a ring from the array of rings, and bytes of the scratch buffer.
        Some(ring) => unsafe {
            let ring = core::ptr::from_ref::<Ring>(ring).cast_mut().cast();
            bpf_ringbuf_output(ring, record.cast(), len as u64 & LEN_MASK, wake_up()) == 0
        },
        None => false,
    };
    let is_bulk = u64::from(lane == Lane::Bulk);
    if sent {
        hook.submitted += 1;
        hook.submitted_bulk += is_bulk;
        if flags & header_flag::SHRUNK != 0 {
            hook.shrunk += 1;
        }
    } else {
        hook.lost += 1;
        hook.lost_bulk += is_bulk;
    }
}

/// Builds a record of exactly `LEN` bytes in the ring itself: for hooks that may run within themselves
/// on one CPU, where a buffer per CPU would be written twice. `fill` writes all but the header, and
/// says whether there is a record.
///
/// # Safety
/// `fill` writes no further than `LEN` bytes.
#[inline(always)]
pub unsafe fn send_in_place<const LEN: usize>(
    hook: &mut HookCounters,
    lane: Lane,
    kind: u16,
    fill: impl FnOnce(*mut u8) -> bool,
) {
    let Some(sequence) = next_sequence(lane) else {
        hook.errors += 1;
        return;
    };
    let is_bulk = u64::from(lane == Lane::Bulk);
    let Some(ring) = RINGS.get(lane as u32) else {
        hook.lost += 1;
        hook.lost_bulk += is_bulk;
        return;
    };
    // SAFETY: a ring from the array of rings; what is reserved is submitted or discarded.
    unsafe {
        let ring = core::ptr::from_ref::<Ring>(ring).cast_mut().cast();
        let record = bpf_ringbuf_reserve(ring, LEN as u64, 0).cast::<u8>();
        if record.is_null() {
            hook.lost += 1;
            hook.lost_bulk += is_bulk;
            return;
        }
        if !fill(record) {
            bpf_ringbuf_discard(record.cast(), u64::from(BPF_RB_NO_WAKEUP));
            hook.errors += 1;
            return;
        }
        stamp(record, lane, kind, 0, LEN, sequence);
        bpf_ringbuf_submit(record.cast(), wake_up());
    }
    hook.submitted += 1;
    hook.submitted_bulk += is_bulk;
}

/// Wakes a sleeping reader once; one that polls is left alone, because a wake-up costs three times
/// the record.
#[inline(always)]
fn wake_up() -> u64 {
    if let Some(settings) = settings() {
        // SAFETY: a map value; a race costs one more wake-up.
        unsafe {
            if core::ptr::read_volatile(&raw const (*settings).reader_sleeps) != 0 {
                core::ptr::write_volatile(&raw mut (*settings).reader_sleeps, 0);
                return u64::from(BPF_RB_FORCE_WAKEUP);
            }
        }
    }
    u64::from(BPF_RB_NO_WAKEUP)
}
