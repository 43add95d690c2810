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
const FIELDS: [Field; 4] = [Field::FdCipName, Field::FdSipName, Field::FdLipName, Field::FdRipName];

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

/// Adds the names that a condition compares addresses with. True where it also asks for a part of a name:
/// an address has only the names that are asked for as a whole.
pub(super) fn compared(expr: &Expr, names: &mut HostNames) -> bool {
    match &expr.kind {
        ExprKind::And(parts) | ExprKind::Or(parts) => {
            // Each of them, also behind one that says true.
            parts.iter().filter(|part| compared(part, names)).count() > 0
        }
        ExprKind::Not(inner) => compared(inner, names),
        ExprKind::Compare(comparison) => {
            let is_equal = matches!(
                comparison.operator,
                Operator::Equal | Operator::NotEqual | Operator::In | Operator::Intersects
            );
            let Operand::Field(field) = &comparison.left else { return false };
            if !FIELDS.iter().any(|known| known.definition().name == field.name) {
                return false;
            }
            if !is_equal {
                return true;
            }
            match &comparison.right {
                Right::Value(text) => drop(names.insert(text.value.as_str().into())),
                Right::List(list) => names.extend(list.items.iter().map(|text| text.value.as_str().into())),
                Right::Operand(_) => {}
            }
            false
        }
        ExprKind::Macro(_) | ExprKind::Exists(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_addresses_are_compared_with() {
        let condition = "evt.type = connect and (fd.sip.name = a.example or not fd.rip.name in (b.example, c.example)) \
             and fd.lip.name != d.example and fd.name = e.example and fd.cip.name exists";
        let mut names = HostNames::new();
        assert!(!compared(&rules::condition::parse(condition).unwrap(), &mut names));
        let by_part = "evt.type = connect and (fd.sip.name endswith .example or fd.lip.name = d.example)";
        assert!(compared(&rules::condition::parse(by_part).unwrap(), &mut names));
        let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
        assert_eq!(names, ["a.example", "b.example", "c.example", "d.example"]);
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
