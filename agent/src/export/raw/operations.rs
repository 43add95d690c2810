//! Operations of io_urings that were submitted and are not done, so that their end says whose they
//! are.

use std::collections::VecDeque;

use agent_abi::record;
use hashbrown::{HashMap, hash_map::Entry};
use kestrel_proto::v1;

use crate::outbox::Definition;

/// Operations that are remembered; beyond, the oldest is forgotten, and its end stands for itself.
const REMEMBERED: usize = 1024;

/// By the boottime at which they were submitted, which their ends carry.
#[derive(Debug, Default)]
pub(in crate::export) struct Operations {
    /// `None`: two were submitted at that moment.
    known: HashMap<u64, Option<Operation>>,
    oldest: VecDeque<u64>,
}

#[derive(Debug)]
struct Operation {
    actor: v1::Actor,
    call: v1::Call,
    refers: Vec<Definition>,
}

impl Operations {
    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// An operation was submitted.
    pub(super) fn submitted(
        &mut self,
        at_ns: u64,
        actor: &v1::Actor,
        call: &v1::Call,
        refers: &[Definition],
    ) {
        match self.known.entry(at_ns) {
            // Which of them ends cannot be told.
            Entry::Occupied(mut entry) => drop(entry.insert(None)),
            Entry::Vacant(entry) => {
                let refers = refers.to_vec();
                entry.insert(Some(Operation { actor: actor.clone(), call: call.clone(), refers }));
                self.oldest.push_back(at_ns);
            }
        }
        if self.oldest.len() > REMEMBERED
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// The end of an operation, and what it refers to.
    pub(super) fn done(&mut self, done: &record::UringDone) -> (v1::UringDone, Vec<Definition>) {
        let known = self.known.get(&done.submitted_ns).and_then(Option::as_ref);
        let event = v1::UringDone {
            actor: known.map(|operation| operation.actor.clone()),
            call: known.map(|operation| operation.call.clone()),
            result: done.result,
            submitted_boottime_ns: done.submitted_ns,
            request: done.request,
        };
        // It may end more than once: a multishot does with each completion. Age forgets it.
        (event, known.map(|operation| operation.refers.clone()).unwrap_or_default())
    }
}
