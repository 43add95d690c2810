//! Names of addresses as one container was told them.

use std::{collections::VecDeque, net::IpAddr};

use hashbrown::HashMap;

/// Most names of one address. Those that end first go.
const NAMES_OF_ADDRESS: usize = 16;

/// What became of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) learned: usize,
    pub(super) evicted: usize,
}

/// Addresses and their names.
#[derive(Default)]
pub(super) struct Addresses {
    by_address: HashMap<IpAddr, Vec<Known>>,
    /// Addresses in the order of their coming.
    order: VecDeque<IpAddr>,
    /// Names of all of them.
    len: usize,
}

struct Known {
    name: Box<str>,
    since_ns: u64,
    until_ns: u64,
}

impl Addresses {
    /// Names of addresses.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The names that an address had at a moment.
    pub(super) fn names(&self, address: IpAddr, at_ns: u64) -> impl Iterator<Item = &str> {
        let known = self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        known
            .iter()
            .filter(move |known| (known.since_ns..known.until_ns).contains(&at_ns))
            .map(|it| &*it.name)
    }

    /// An address has a name from `at_ns` on, and until `until_ns` at least.
    pub(super) fn learn(&mut self, address: IpAddr, name: &str, at_ns: u64, until_ns: u64) -> Change {
        let known = self.by_address.entry(address).or_insert_with(|| {
            self.order.push_back(address);
            Vec::new()
        });
        if let Some(same) = known.iter_mut().find(|known| &*known.name == name) {
            if same.until_ns <= at_ns {
                same.since_ns = at_ns;
            }
            same.until_ns = same.until_ns.max(until_ns);
            return Change::default();
        }
        let new = Known { name: name.into(), since_ns: at_ns, until_ns };
        if known.len() < NAMES_OF_ADDRESS {
            known.push(new);
            self.len += 1;
            return Change { learned: 1, evicted: 0 };
        }
        if let Some(first_to_end) = known.iter_mut().min_by_key(|known| known.until_ns) {
            *first_to_end = new;
        }
        Change { learned: 1, evicted: 1 }
    }

    /// Lets the address go that came first; says how many names it had.
    pub(super) fn evict(&mut self) -> usize {
        let oldest = self.order.pop_front().and_then(|address| self.by_address.remove(&address));
        let gone = oldest.map_or(0, |known| known.len());
        self.len -= gone;
        gone
    }

    /// Lets go what ended before a moment.
    pub(super) fn expire(&mut self, before_ns: u64) {
        self.by_address.retain(|_, known| {
            known.retain(|known| known.until_ns > before_ns);
            !known.is_empty()
        });
        self.order.retain(|address| self.by_address.contains_key(address));
        self.len = self.by_address.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn names(addresses: &Addresses, last: u8, at_ns: u64) -> Vec<&str> {
        addresses.names(address(last), at_ns).collect()
    }

    #[test]
    fn a_name_holds_from_its_answer_to_its_end() {
        let mut addresses = Addresses::default();
        addresses.learn(address(1), "a.example", 100, 200);
        addresses.learn(address(1), "b.example", 150, 300);
        let at = |ns| names(&addresses, 1, ns);
        assert_eq!((at(99), at(100)), (vec![], vec!["a.example"]), "what came before it was named otherwise");
        assert_eq!((at(199), at(200)), (vec!["a.example", "b.example"], vec!["b.example"]));
        assert!(names(&addresses, 2, 150).is_empty());
        assert_eq!(addresses.learn(address(1), "a.example", 190, 250), Change::default());
        assert_eq!(names(&addresses, 1, 220), ["a.example", "b.example"], "it holds for longer");
        addresses.learn(address(1), "a.example", 400, 500);
        assert_eq!(names(&addresses, 1, 260), ["b.example"], "there was a gap");
        addresses.expire(450);
        assert_eq!((addresses.len(), addresses.order.len()), (1, 1));
        addresses.expire(500);
        assert_eq!((addresses.len(), addresses.order.len(), addresses.by_address.len()), (0, 0, 0));
    }

    #[test]
    fn an_address_with_many_names_loses_those_that_end_first() {
        let mut addresses = Addresses::default();
        let mut sum = Change::default();
        for name in 0..NAMES_OF_ADDRESS as u64 + 3 {
            let change = addresses.learn(address(1), &format!("n{name}"), name, 1000 + name);
            (sum.learned, sum.evicted) = (sum.learned + change.learned, sum.evicted + change.evicted);
        }
        assert_eq!(sum, Change { learned: NAMES_OF_ADDRESS + 3, evicted: 3 });
        assert_eq!(sum.learned - sum.evicted, addresses.len());
        let left = names(&addresses, 1, 999);
        assert!(!left.contains(&"n2") && left.contains(&"n3") && left.contains(&"n18"));
    }

    #[test]
    fn the_address_that_came_first_goes_first_with_all_its_names() {
        let mut addresses = Addresses::default();
        for last in 1..4 {
            addresses.learn(address(last), "a", 0, 10);
        }
        addresses.learn(address(1), "b", 0, 10);
        assert_eq!((addresses.evict(), addresses.len()), (2, 2));
        assert!(names(&addresses, 1, 5).is_empty() && !names(&addresses, 2, 5).is_empty());
        assert_eq!((addresses.evict(), addresses.evict(), addresses.evict()), (1, 1, 0));
    }
}
