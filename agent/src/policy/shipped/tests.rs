use super::*;
use crate::{
    context::Names,
    posture::{CONTROL_COUNT, CONTROLS, Exemptions, testing::names_of},
    time::Date,
};

fn pod(namespace: &str, image: &str) -> Names {
    Names { namespace: namespace.into(), image: image.into(), ..names_of("any") }
}

fn exempt(names: &Names) -> Vec<&'static str> {
    let all = Exemptions::default().with_shipped(exemptions().unwrap());
    let today = Date::parse("2999-01-01").unwrap();
    let ids = CONTROLS.iter().map(|control| control.id);
    ids.filter(|id| all.find(*id, names, today).is_some()).map(ControlId::slug).collect()
}

#[test]
fn every_entry_is_narrow() {
    let raw: RawFile = yaml::parse(Path::new(FILE), TEXT).unwrap();
    assert_eq!(exemptions().unwrap().len(), raw.exemptions.len());
    for RawShipped { name, namespaces, images, rights, controls, reason, .. } in &raw.exemptions {
        assert!(!namespaces.is_empty() && !images.is_empty(), "{name}");
        for text in namespaces.iter().chain(images) {
            assert!(!text.is_empty() && !text.contains(['*', ':', '@']), "{name}: {text}");
        }
        assert!(!rights.is_empty() || !controls.is_empty(), "{name}");
        assert!(!reason.is_empty() && !name.is_empty());
        let twice = raw.exemptions.iter().filter(|other| other.name == *name).count();
        assert_eq!(twice, 1, "{name}");
        let namespace = namespaces.first().unwrap();
        let held = exempt(&pod(namespace, &format!("mirror:5000/{}:1", images.first().unwrap())));
        assert!(!held.is_empty() && held.len() < CONTROL_COUNT / 2, "{name}: {held:?}");
        for control in held.iter().filter_map(|slug| ControlId::from_slug(slug)) {
            assert!(!control.control().detective, "{name}: {control}");
        }
    }
}

#[test]
fn namespace_and_image_must_both_fit() {
    for image in [
        "docker.io/calico/node:v3.27.0",
        "calico/node",
        "registry:5000/mirror/calico/node@sha256:00",
        "quay.io/calico/node:v3@sha256:00",
    ] {
        assert!(exempt(&pod("kube-system", image)).contains(&"privileged"), "{image}");
        assert!(exempt(&pod("shop", image)).is_empty(), "{image}");
    }
    for image in
        ["calico/node-evil:1", "evil/notcalico/node:1", "evil.io/x:calico/node", "evil@calico/node", ""]
    {
        assert!(exempt(&pod("kube-system", image)).is_empty(), "{image}");
    }
    let shipper = pod("logging", "docker.io/fluent/fluent-bit:3");
    assert_eq!(exempt(&shipper), ["host-path"]);
}

#[test]
fn another_service_account_is_another_pod() {
    let mut names = pod("kube-system", "docker.io/calico/node:v3");
    names.service_account = Some("default".into());
    assert!(exempt(&names).is_empty());
    names.service_account = Some("calico-node".into());
    assert!(exempt(&names).contains(&"privileged"));
}

#[test]
fn a_mistake_in_the_data_is_named() {
    for (text, message) in [
        (
            "exemptions:\n- {name: a, namespaces: [a], images: [a], rights: [x], reason: a}\nrights: {}\n",
            "exemptions.yaml:2:52: a: no right `x`",
        ),
        (
            "exemptions:\n- {name: a, namespaces: [a], images: [a], controls: [x], reason: a}\nrights: {}\n",
            "exemptions.yaml:2:54: a: no control `x`",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), message);
    }
}
