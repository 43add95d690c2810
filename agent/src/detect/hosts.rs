//! Names that rules compare addresses with, and the addresses that they stand for.

use std::{
    collections::BTreeSet,
    net::{IpAddr, ToSocketAddrs as _},
    sync::Arc,
};

use hashbrown::HashMap;
use rules::{
    condition::{
        Operator,
        ast::{Expr, ExprKind, Operand, Right},
    },
    field::Field,
};

/// Most names that are looked up, and most addresses of one.
pub(super) const NAMES: usize = 256;
const ADDRESSES: usize = 64;

/// Fields that are compared with names of hosts.
pub(super) const FIELDS: [Field; 4] =
    [Field::FdCipName, Field::FdSipName, Field::FdLipName, Field::FdRipName];

/// Names of hosts, in order.
pub type HostNames = BTreeSet<Arc<str>>;

/// Which of the rules' names an address has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    by_address: HashMap<IpAddr, Vec<Arc<str>>>,
}

impl Hosts {
    /// Of names with their addresses.
    #[must_use]
    pub fn of<'a>(names: impl IntoIterator<Item = (&'a Arc<str>, &'a [IpAddr])>) -> Self {
        let mut hosts = Self::default();
        for (name, addresses) in names {
            for address in addresses {
                let known = hosts.by_address.entry(address.to_canonical()).or_default();
                if !known.contains(name) {
                    known.push(Arc::clone(name));
                }
            }
        }
        hosts
    }

    pub(super) fn names(&self, address: IpAddr) -> &[Arc<str>] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }
}

/// Asks the node for the addresses of a name. May take as long as its name servers do.
///
/// # Errors
/// When there is none.
pub fn look_up(name: &str) -> std::io::Result<Vec<IpAddr>> {
    let found: BTreeSet<_> =
        (name, 0).to_socket_addrs()?.map(|address| address.ip().to_canonical()).collect();
    Ok(found.into_iter().take(ADDRESSES).collect())
}

/// Names that conditions compare addresses with.
#[derive(Default)]
pub(super) struct Compared {
    /// As a whole, by `=`, `!=`, `in` or `intersects`.
    pub(super) names: HostNames,
    /// Of these, those that make a condition false: a rule lets them pass.
    pub(super) passing: HostNames,
}

impl Compared {
    /// Adds the names of a condition. True where it also asks for a part of a name, which nobody can look up.
    pub(super) fn add(&mut self, condition: &Expr) -> bool {
        self.add_of(condition, false)
    }

    fn add_of(&mut self, expr: &Expr, is_negated: bool) -> bool {
        match &expr.kind {
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                // Each of them, also behind one that says true.
                parts.iter().filter(|part| self.add_of(part, is_negated)).count() > 0
            }
            ExprKind::Not(inner) => self.add_of(inner, !is_negated),
            ExprKind::Compare(comparison) => {
                let Operand::Field(field) = &comparison.left else { return false };
                if !FIELDS.iter().any(|known| known.definition().name == field.name) {
                    return false;
                }
                let passes = match comparison.operator {
                    Operator::Equal | Operator::In | Operator::Intersects => is_negated,
                    Operator::NotEqual => !is_negated,
                    _ => return true,
                };
                let names: HostNames = match &comparison.right {
                    Right::Value(text) => [text.value.as_str().into()].into(),
                    Right::List(list) => list.items.iter().map(|text| text.value.as_str().into()).collect(),
                    Right::Operand(_) => HostNames::new(),
                };
                if passes {
                    self.passing.extend(names.iter().cloned());
                }
                self.names.extend(names);
                false
            }
            ExprKind::Macro(_) | ExprKind::Exists(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_addresses_are_compared_with() {
        let condition = "evt.type = connect and (fd.sip.name = a.example or not fd.rip.name in (b.example, c.example)) \
             and fd.lip.name != d.example and fd.name = e.example and fd.cip.name exists";
        let mut compared = Compared::default();
        assert!(!compared.add(&rules::condition::parse(condition).unwrap()));
        let by_part = "evt.type = connect and (fd.sip.name endswith .example or fd.lip.name = d.example)";
        assert!(compared.add(&rules::condition::parse(by_part).unwrap()));
        let listed = |names: &HostNames| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(listed(&compared.names), "a.example b.example c.example d.example");
        assert_eq!(listed(&compared.passing), "b.example c.example d.example", "those that make it false");
        let twice = "evt.type = connect and not (fd.rip.name != e.example or not fd.rip.name = f.example)";
        assert!(!compared.add(&rules::condition::parse(twice).unwrap()));
        assert_eq!(listed(&compared.passing), "b.example c.example d.example");
    }

    #[test]
    fn an_address_has_all_its_names() {
        let (a, b): (Arc<str>, Arc<str>) = ("a.example".into(), "b.example".into());
        let [one, two]: [IpAddr; 2] = ["::ffff:192.0.2.1", "2001:db8::1"].map(|it| it.parse().unwrap());
        let hosts = Hosts::of([(&a, &[one, two, one][..]), (&b, &[one][..])]);
        let names = |address: &str| {
            hosts.names(address.parse().unwrap()).iter().map(AsRef::as_ref).collect::<Vec<&str>>()
        };
        assert_eq!(names("192.0.2.1"), ["a.example", "b.example"], "as what it stands for");
        assert_eq!((names("2001:db8::1"), names("192.0.2.2")), (vec!["a.example"], vec![]));
    }
}
