//! Names that make a path wanted, noted while it is put together.

use core::ptr::{read_volatile, write_volatile};

use agent_abi::{
    landmark::{self, Landmarks},
    record::{COMPONENT_BYTES, PATH_BYTES},
};

use super::path::load_anywhere;
use crate::{
    global::{LANDMARKS, settings},
    scratch::{WALK, WALK_FRONT, WALK_LANDMARK_SET, WALK_LANDMARKS, WALK_NAME_LEN},
};

/// The set that counts, of which the path in `record` has none yet.
///
/// # Safety
/// `record` is a large scratch buffer.
#[inline(always)]
pub unsafe fn begin_landmarks(record: *mut u8) -> Option<*const Landmarks> {
    let settings = settings()?;
    // SAFETY: a map value; within the buffer.
    unsafe {
        let set = read_volatile(&raw const (*settings).landmarks);
        write_volatile(record.add(WALK_LANDMARK_SET).cast::<u32>(), set);
        write_volatile(record.add(WALK_LANDMARKS).cast::<u64>(), 0);
        LANDMARKS.get_ptr(set)
    }
}

/// Notes whether the name that was put in front last is a landmark. Without a branch, and with the length from
/// map memory: the verifier would follow all ways that led here, for each component.
///
/// # Safety
/// `record` is a large scratch buffer into which a name was put, `landmarks` a map value.
#[inline(always)]
pub unsafe fn note_landmark(record: *mut u8, landmarks: *const Landmarks) {
    // SAFETY: as the caller's.
    unsafe {
        let front = read_volatile(record.add(WALK_FRONT).cast::<u32>()) as usize & (PATH_BYTES - 1);
        let first = load_anywhere(record.add(WALK + 1 + front));
        let len = read_volatile(record.add(WALK_NAME_LEN).cast::<u32>()) & COMPONENT_BYTES as u32;
        // Bits of those bytes that are behind the name, 0 to 56.
        let behind = 64u32.wrapping_sub(len * 8) & 56 & ((len.wrapping_sub(8) as i32) >> 31) as u32;
        let seed = read_volatile(&raw const (*landmarks).seed);
        let hash = landmark::hash(first << behind >> behind, len, seed);
        let place = landmark::place(hash);
        let differ = hash ^ read_volatile((&raw const (*landmarks).names).cast::<u64>().add(place));
        let is_one = !(differ | differ.wrapping_neg()) >> 63;
        let noted = record.add(WALK_LANDMARKS).cast::<u64>();
        write_volatile(noted, read_volatile(noted) | is_one << place);
    }
}

/// Whether the path that was found last has all landmarks of a group.
///
/// # Safety
/// `record` is a large scratch buffer into which a path was walked.
#[inline(always)]
pub unsafe fn has_landmarks(record: *mut u8) -> bool {
    // SAFETY: as the caller's.
    unsafe {
        let noted = read_volatile(record.add(WALK_LANDMARKS).cast::<u64>());
        noted != 0 && covers(noted, read_volatile(record.add(WALK_LANDMARK_SET).cast::<u32>())) != 0
    }
}

/// Whether these are all landmarks of a group of a set. Verified once.
#[unsafe(no_mangle)]
extern "C" fn covers(noted: u64, set: u32) -> u64 {
    let Some(landmarks) = LANDMARKS.get_ptr(set) else { return 1 };
    // SAFETY: a map value.
    let groups = unsafe { &raw const (*landmarks).groups }.cast::<u64>();
    for group in 0..landmark::GROUPS {
        // SAFETY: within it.
        let wanted = unsafe { read_volatile(groups.add(group)) };
        if wanted & !noted == 0 {
            return 1;
        }
    }
    0
}
