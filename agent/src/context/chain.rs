//! Doubly linked lists threaded through a slab, so that moving an entry costs no allocation.

/// No slot.
const NONE: u32 = u32::MAX;

/// A slot's neighbours in the one chain of its kind that it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    /// In no chain.
    pub(super) const FREE: Self = Self { prev: NONE, next: NONE };
}

/// A chain of slots, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    head: u32,
    tail: u32,
    len: usize,
}

impl Chain {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0 };

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// The slot after `slot`.
    pub(super) fn after(links: &[Links], slot: u32) -> Option<u32> {
        let next = links[index(slot)].next;
        (next != NONE).then_some(next)
    }

    /// Adds a slot that is in no chain of this kind.
    pub(super) fn push(&mut self, links: &mut [Links], slot: u32) {
        links[index(slot)] = Links { prev: self.tail, next: NONE };
        if self.tail == NONE {
            self.head = slot;
        } else {
            links[index(self.tail)].next = slot;
        }
        self.tail = slot;
        self.len += 1;
    }

    /// Takes out a slot that is in this chain.
    pub(super) fn remove(&mut self, links: &mut [Links], slot: u32) {
        let Links { prev, next } = std::mem::replace(&mut links[index(slot)], Links::FREE);
        if prev == NONE {
            self.head = next;
        } else {
            links[index(prev)].next = next;
        }
        if next == NONE {
            self.tail = prev;
        } else {
            links[index(next)].prev = prev;
        }
        self.len -= 1;
    }
}

/// Slab index of a slot.
pub(super) const fn index(slot: u32) -> usize {
    // A slab never outgrows its `u32` slots, and `usize` has at least 32 bits wherever Linux has BPF.
    slot as usize
}
