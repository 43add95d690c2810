//! `container.*` and `k8s.*`: where it happened.

use rules::{
    field::{Argument, Field, Reference},
    value::{Scalar, Value},
};

use super::{boolean, mount, number, text};
use crate::{
    context::{Container, ContainerRole, Names, Runtime},
    detect::subject::{Named, Subject},
};

pub(super) fn value<'a>(of: &'a Subject<'_>, reference: &Reference) -> Value<'a> {
    let field = reference.field();
    let Some(container) = of.container else { return of_host(field) };
    if let Some(value) = of_cgroup(of, container, reference) {
        return value;
    }
    match of.names() {
        Named::Missing => Value::Missing,
        Named::Pending => Value::Pending,
        Named::Names(names) => of_names(names, field, reference.argument()),
    }
}

/// Outside of containers; as Falco's container plugin has it.
fn of_host<'v>(field: Field) -> Value<'v> {
    match field {
        Field::ContainerId | Field::ContainerName => Value::text("host"),
        Field::ContainerFullId => Value::text("host"),
        _ => Value::Missing,
    }
}

/// What is known without names.
fn of_cgroup<'a>(of: &Subject<'a>, container: &'a Container, reference: &Reference) -> Option<Value<'a>> {
    Some(match (reference.field(), reference.argument()) {
        (Field::ContainerId, _) => Value::text(container.id.short()),
        (Field::ContainerFullId, _) => Value::text(container.id.as_str()),
        (Field::ContainerType, _) => Value::text(match container.runtime {
            Runtime::Containerd => "containerd",
            Runtime::Crio => "cri-o",
            Runtime::Docker => "docker",
            Runtime::Podman => "podman",
            Runtime::Unknown => "cri",
        }),
        (Field::ContainerStartTs, _) => {
            number(of.at.wall_ns.saturating_sub(of.at.boottime_ns.saturating_sub(container.first_seen_ns)))
        }
        (Field::ContainerDuration, _) => number(of.at.boottime_ns.saturating_sub(container.first_seen_ns)),
        (Field::ContainerPosture, Argument::Name(control)) => {
            of.scene.posture.verdict(container.key, control).map_or(Value::Missing, Value::text)
        }
        _ => return None,
    })
}

fn of_names<'a>(names: &'a Names, field: Field, argument: &Argument) -> Value<'a> {
    let Names { labels, owner, .. } = names;
    let (repository, tag) = image_parts(&names.image);
    let declared = |value: Option<bool>| value.map_or(Value::Missing, boolean);
    match (field, argument) {
        // The sandbox has no name of its own; runtimes call it so.
        (Field::ContainerName, _) if names.role == ContainerRole::Sandbox => Value::text("POD"),
        (Field::ContainerName, _) => text(names.container.as_bytes()),
        (Field::ContainerImage, _) => text(names.image.as_bytes()),
        (Field::ContainerImageRepository, _) => text(repository.as_bytes()),
        (Field::ContainerImageTag, _) => tag.map_or(Value::Missing, Value::text),
        (Field::ContainerImageDigest, _) => names.image_digest.as_deref().map_or(Value::Missing, Value::text),
        (Field::ContainerPrivileged, _) => declared(names.declared.privileged),
        (Field::ContainerHostPid, _) => declared(names.declared.host_pid),
        (Field::ContainerHostNetwork, _) => declared(names.declared.host_network),
        (Field::ContainerHostIpc, _) => declared(names.declared.host_ipc),
        (
            Field::ContainerMounts
            | Field::ContainerMount
            | Field::ContainerMountSource
            | Field::ContainerMountDest
            | Field::ContainerMountRdwr
            | Field::ContainerMountPropagation,
            argument,
        ) => {
            let mounts = names.declared.mounts.as_deref();
            mounts.map_or(Value::Missing, |mounts| mount::value(mounts, field, argument))
        }
        (Field::K8sPodName, _) => text(names.pod.as_bytes()),
        (Field::K8sNsName, _) => text(names.namespace.as_bytes()),
        (Field::K8sPodUid | Field::K8sPodId, _) => text(names.pod_uid.as_bytes()),
        (Field::K8sPodLabel, Argument::Name(name)) => labels.get(&**name).map_or(Value::Missing, Value::text),
        (Field::K8sPodLabels, _) => {
            let all: Vec<_> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            Value::One(Scalar::owned(all.join(", ")))
        }
        (Field::K8sOwnerKind, _) => text(owner.kind.as_bytes()),
        (Field::K8sOwnerName, _) => text(owner.name.as_bytes()),
        _ => Value::Missing,
    }
}

/// Repository and tag of an image as it was asked for.
fn image_parts(image: &str) -> (&str, Option<&str>) {
    let name = image.split('@').next().unwrap_or_default();
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    // A colon before the last slash belongs to a registry's port.
    match name.get(last..).and_then(|last| last.rfind(':')) {
        Some(colon) => (&name[..last + colon], name.get(last + colon + 1..).filter(|tag| !tag.is_empty())),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::image_parts;

    #[test]
    fn an_image_has_a_repository_and_a_tag() {
        for (image, repository, tag) in [
            ("nginx", "nginx", None),
            ("nginx:1.27", "nginx", Some("1.27")),
            ("registry:5000/a/b", "registry:5000/a/b", None),
            ("registry:5000/a/b:v1@sha256:00", "registry:5000/a/b", Some("v1")),
            ("docker.io/library/alpine@sha256:00", "docker.io/library/alpine", None),
            ("", "", None),
            (":", "", None),
        ] {
            assert_eq!(image_parts(image), (repository, tag), "{image}");
        }
    }
}
