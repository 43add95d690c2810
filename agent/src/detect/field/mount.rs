//! `container.mount*`: what of the node a container is given.

use std::fmt::Write as _;

use rules::{
    field::{Argument, Field},
    value::{Scalar, Value, is_glob_match},
};

use crate::context::DeclaredMount;

/// Of one mount by its number or its path: the destination goes by the source, which may be a pattern, and the source
/// by the destination.
pub(super) fn value<'a>(mounts: &'a [DeclaredMount], field: Field, argument: &Argument) -> Value<'a> {
    if field == Field::ContainerMounts {
        let all: Vec<_> = mounts.iter().map(line).collect();
        return Value::One(Scalar::owned(all.join(" ")));
    }
    let found = match argument {
        Argument::Index(index) => usize::try_from(*index).ok().and_then(|index| mounts.get(index)),
        Argument::Name(pattern) => mounts.iter().find(|mount| {
            let path = if field == Field::ContainerMountSource { &mount.destination } else { &mount.source };
            is_glob_match(pattern.as_bytes(), path.as_bytes())
        }),
        Argument::None => None,
    };
    let Some(mount) = found else { return Value::Missing };
    match field {
        Field::ContainerMount => Value::One(Scalar::owned(line(mount))),
        Field::ContainerMountSource => Value::text(mount.source.as_bytes()),
        Field::ContainerMountDest => Value::text(mount.destination.as_bytes()),
        Field::ContainerMountRdwr => Value::text(writable(mount)),
        Field::ContainerMountPropagation => Value::text(mount.propagation),
        _ => Value::Missing,
    }
}

/// `SOURCE:DESTINATION:MODE:WRITABLE:PROPAGATION`. Runtimes of Kubernetes tell no mode.
fn line(mount: &DeclaredMount) -> String {
    let DeclaredMount { source, destination, propagation, .. } = mount;
    let mut line = String::new();
    // A text takes what is written to it.
    let _ = write!(line, "{source}:{destination}::{}:{propagation}", writable(mount));
    line
}

const fn writable(mount: &DeclaredMount) -> &'static str {
    if mount.writable { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(source: &str, destination: &str, writable: bool) -> DeclaredMount {
        DeclaredMount {
            source: source.into(),
            destination: destination.into(),
            writable,
            propagation: "private",
        }
    }

    #[test]
    fn a_mount_is_found_by_its_other_end() {
        let mounts = [mount("/etc", "/node-etc", false), mount("/var/lib/kubelet/pods/1", "/data", true)];
        let by = |field, path: &str| value(&mounts, field, &Argument::Name(path.into()));
        assert_eq!(by(Field::ContainerMountDest, "/etc"), Value::text("/node-etc"));
        assert_eq!(by(Field::ContainerMountDest, "/var/lib/kubelet*"), Value::text("/data"));
        assert_eq!(by(Field::ContainerMountSource, "/data"), Value::text("/var/lib/kubelet/pods/1"));
        assert_eq!(by(Field::ContainerMountRdwr, "/etc"), Value::text("false"));
        assert_eq!(by(Field::ContainerMountPropagation, "/etc"), Value::text("private"));
        let at = |index| value(&mounts, Field::ContainerMount, &Argument::Index(index));
        assert_eq!(at(0), Value::text("/etc:/node-etc::false:private"));
        assert_eq!(at(2), Value::Missing);
        for nothing in ["/var", "/etc/"] {
            assert_eq!(by(Field::ContainerMountDest, nothing), Value::Missing);
        }
        let all = "/etc:/node-etc::false:private /var/lib/kubelet/pods/1:/data::true:private";
        assert_eq!(value(&mounts, Field::ContainerMounts, &Argument::None), Value::text(all));
    }
}
