//! Addresses and networks of `in`: however many, one look-up and one search.

use std::net::IpAddr;

use hashbrown::HashSet;
use ipnet::IpNet;

/// Addresses and networks.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    single: HashSet<IpAddr>,
    /// Networks as ranges, in order, none of which touches another.
    ranges_4: Box<[(u32, u32)]>,
    ranges_6: Box<[(u128, u128)]>,
}

impl Addresses {
    pub(super) fn new(single: HashSet<IpAddr>, networks: &[IpNet]) -> Self {
        let (mut ranges_4, mut ranges_6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(network) => {
                    ranges_4.push((network.network().to_bits(), network.broadcast().to_bits()));
                }
                IpNet::V6(network) => {
                    ranges_6.push((network.network().to_bits(), network.broadcast().to_bits()));
                }
            }
        }
        Self { single, ranges_4: merged(ranges_4), ranges_6: merged(ranges_6) }
    }

    /// Whether an address is one of them or lies in one of them.
    pub(super) fn contain(&self, address: &IpAddr) -> bool {
        let is_within = match address {
            IpAddr::V4(address) => lies_in(&self.ranges_4, address.to_bits()),
            IpAddr::V6(address) => lies_in(&self.ranges_6, address.to_bits()),
        };
        is_within || !self.single.is_empty() && self.single.contains(address)
    }
}

fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    ranges.dedup_by(|later, kept| {
        let overlaps = later.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(later.1);
        }
        overlaps
    });
    ranges.into()
}

fn lies_in<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).and_then(|place| ranges.get(place)).is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = IpAddr> {
        let small = (0..4_u8, any::<u8>(), any::<bool>());
        small.prop_map(|(high, low, is_4)| match is_4 {
            true => IpAddr::from([10, high, 0, low]),
            false => IpAddr::from([0xfc00, u16::from(high), 0, 0, 0, 0, 0, u16::from(low)]),
        })
    }

    proptest! {
        #[test]
        fn a_search_finds_what_asking_each_finds(
            single in prop::collection::hash_set(address(), 0..4),
            networks in prop::collection::vec((address(), 8..=32_u8), 0..8),
            asked in address(),
        ) {
            let networks: Vec<IpNet> =
                networks.into_iter().map(|(address, length)| IpNet::new(address, length).unwrap()).collect();
            let expected =
                single.contains(&asked) || networks.iter().any(|network| network.contains(&asked));
            let addresses = Addresses::new(single.into_iter().collect(), &networks);
            prop_assert_eq!(addresses.contain(&asked), expected);
        }
    }
}
