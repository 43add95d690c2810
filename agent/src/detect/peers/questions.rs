//! What a container has asked name servers and was not answered yet. What nobody asked for names nothing:
//! anybody can send a packet that looks like an answer.

use std::{collections::VecDeque, net::IpAddr};

/// Most questions of one container.
const MOST: usize = 128;
/// How long an answer may take: resolvers ask again after five seconds.
const WAIT_NS: u64 = 10 * 1_000_000_000;

/// A question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The socket that asks.
    pub(super) cookie: u64,
    /// Who is asked.
    pub(super) peer: IpAddr,
    /// What an answer has in common with its question.
    pub(super) id: u16,
    /// Of the name and the type of record.
    pub(super) hash: u64,
    /// Boottime in nanoseconds; of an answer, its own.
    pub(super) at_ns: u64,
}

/// Questions in the order of their asking.
#[derive(Debug, Default)]
pub(super) struct Questions(VecDeque<Asked>);

impl Questions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One more. The oldest goes where there is no room, and those that waited too long do.
    pub(super) fn note(&mut self, asked: Asked) {
        self.expire(asked.at_ns);
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(asked);
    }

    /// Whether an answer was asked for. It is asked for once.
    pub(super) fn take(&mut self, answered: &Asked) -> bool {
        let is_it = |asked: &Asked| {
            (asked.cookie, asked.peer, asked.id, asked.hash)
                == (answered.cookie, answered.peer, answered.id, answered.hash)
                && is_waited_for(asked, answered.at_ns)
        };
        let found = self.0.iter().rposition(is_it);
        found.and_then(|place| self.0.remove(place)).is_some()
    }

    pub(super) fn expire(&mut self, now_ns: u64) {
        while self.0.front().is_some_and(|asked| !is_waited_for(asked, now_ns)) {
            self.0.pop_front();
        }
    }
}

fn is_waited_for(asked: &Asked, now_ns: u64) -> bool {
    now_ns.saturating_sub(asked.at_ns) <= WAIT_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(id: u16, at_ns: u64) -> Asked {
        Asked { cookie: 5, peer: IpAddr::from([10, 0, 0, 10]), id, hash: 9, at_ns }
    }

    #[test]
    fn an_answer_is_that_of_its_socket_server_number_and_name_and_comes_once() {
        let mut questions = Questions::default();
        questions.note(asked(1, 0));
        for other in [
            Asked { cookie: 6, ..asked(1, 1) },
            Asked { peer: IpAddr::from([10, 0, 0, 11]), ..asked(1, 1) },
            Asked { hash: 8, ..asked(1, 1) },
            asked(2, 1),
            asked(1, WAIT_NS + 1),
        ] {
            assert!(!questions.take(&other), "{other:?}");
        }
        assert!(questions.take(&asked(1, WAIT_NS)));
        assert!(!questions.take(&asked(1, WAIT_NS)));
        assert_eq!(questions.len(), 0);
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room_or_after_their_time() {
        let mut questions = Questions::default();
        for id in 0..200 {
            questions.note(asked(id, 0));
        }
        assert_eq!(questions.len(), MOST);
        assert!(
            !questions.take(&asked(71, 0)) && questions.take(&asked(72, 0)) && questions.take(&asked(199, 0))
        );
        questions.note(asked(300, WAIT_NS + 1));
        assert_eq!(questions.len(), 1);
    }
}
