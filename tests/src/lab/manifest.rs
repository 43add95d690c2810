//! Pods as the manifests in `deploy/` ask for them, so that what is tested is what is deployed.
//!
//! Does what a kubelet does with them, and refuses what it does not know rather than leaving it out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};

use super::spec::{ContainerSpec, Limits, PodSpec, Seccomp};

/// All objects of the files in a folder, in the order of the files' names.
pub fn objects(dir: &Path) -> Result<Vec<Value>> {
    let mut files: Vec<_> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(read(&file)?);
    }
    Ok(all)
}

/// All objects of a file.
pub fn read(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// The object of that kind and name.
pub fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .with_context(|| format!("no {kind} {name}"))
}

/// Where the volumes of a pod are on this machine.
#[derive(Clone, Debug)]
pub struct Volumes {
    /// The folder of a ConfigMap or Secret, by the volume's name.
    pub files: BTreeMap<String, PathBuf>,
    /// Another place for a path of the host.
    pub moved: BTreeMap<PathBuf, PathBuf>,
}

/// The pod that a DaemonSet or Deployment would make.
pub fn pod(object: &Value, suffix: &str, volumes: &Volumes) -> Result<PodSpec> {
    let template = &object["spec"]["template"];
    let spec = &template["spec"];
    let name = object["metadata"]["name"].as_str().context("an object without a name")?;
    let namespace = object["metadata"]["namespace"].as_str().context("an object without a namespace")?;
    let mut pod = PodSpec::new(namespace, &format!("{name}-{suffix}"));
    for (key, value) in template["metadata"]["labels"].as_object().into_iter().flatten() {
        pod = pod.label(key, value.as_str().context("a label that is no text")?);
    }
    if object["kind"] == "DaemonSet" {
        pod = pod.label("controller-revision-hash", "6b9c5d8f7").label("pod-template-generation", "1");
    }
    ensure!(
        spec["hostNetwork"].is_null() && spec["hostIPC"].is_null(),
        "host namespaces that the lab does not map"
    );
    pod.host_pid = spec["hostPID"] == true;
    // What they talk to is on this machine, and the lab's own network leads nowhere.
    pod.host_network = true;
    let places = places(spec, volumes)?;
    let all = |key: &str| -> Result<Vec<ContainerSpec>> {
        let containers = spec[key].as_array().into_iter().flatten();
        containers.map(|container| self::container(spec, container, &places)).collect()
    };
    pod.init_containers = all("initContainers")?;
    pod.containers = all("containers")?;
    Ok(pod)
}

/// Each volume's place; folders are made as a kubelet does: root's, and open to look at.
fn places(spec: &Value, volumes: &Volumes) -> Result<BTreeMap<String, PathBuf>> {
    let mut places = BTreeMap::new();
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let name = volume["name"].as_str().context("a volume without a name")?;
        let place = if let Some(path) = volume["hostPath"]["path"].as_str() {
            let place = volumes.moved.get(Path::new(path)).cloned().unwrap_or_else(|| path.into());
            if volume["hostPath"]["type"] == "DirectoryOrCreate" {
                fs::create_dir_all(&place)?;
            }
            ensure!(place.is_dir(), "{} is no folder", place.display());
            place
        } else {
            volumes.files.get(name).with_context(|| format!("no place for volume {name}"))?.clone()
        };
        places.insert(name.to_owned(), place);
    }
    Ok(places)
}

fn container(pod: &Value, container: &Value, places: &BTreeMap<String, PathBuf>) -> Result<ContainerSpec> {
    let name = container["name"].as_str().context("a container without a name")?;
    let texts = |key: &str| -> Result<Vec<String>> {
        let values = container[key].as_array().into_iter().flatten();
        values
            .map(|value| Ok(value.as_str().with_context(|| format!("{key} of {name}"))?.to_owned()))
            .collect()
    };
    let mut command = texts("command")?;
    command.extend(texts("args")?);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let mut spec = ContainerSpec { run_as_user: None, ..ContainerSpec::restricted(name, command) };
    spec.no_new_privs = false;
    spec.read_only_root = false;
    spec.limits = limits(&container["resources"]["limits"]).with_context(|| format!("limits of {name}"))?;
    spec.drop.clear();
    spec.seccomp = Seccomp::Unconfined;
    spec.image = container["image"].as_str().map(|image| {
        let has_host = image.split('/').next().is_some_and(|host| host.contains('.'));
        if has_host { image.to_owned() } else { format!("docker.io/{image}") }
    });
    // The container's own word goes over the pod's.
    for context in [&pod["securityContext"], &container["securityContext"]] {
        for (key, value) in context.as_object().unwrap_or(&Map::new()) {
            apply(&mut spec, key, value).with_context(|| format!("securityContext.{key} of {name}"))?;
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().context("a variable without a name")?.to_owned();
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("spec.nodeName") => "lab-node",
            Some(other) => bail!("{other} is not mapped"),
            None => variable["value"].as_str().context("a variable without a value")?,
        };
        spec.env.push((name, value.to_owned()));
    }
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let volume = mount["name"].as_str().context("a mount without a name")?;
        let mut host = places.get(volume).with_context(|| format!("no volume {volume}"))?.clone();
        host.extend(mount["subPath"].as_str());
        let inside = PathBuf::from(mount["mountPath"].as_str().context("a mount without a path")?);
        if mount["readOnly"] == true {
            spec.read_only_mounts.push((host, inside));
        } else {
            spec.mounts.push((host, inside));
        }
    }
    Ok(spec)
}

fn limits(limits: &Value) -> Result<Limits> {
    let memory = limits["memory"].as_str().map(|text| -> Result<i64> {
        let (number, shift) = match (text.strip_suffix("Mi"), text.strip_suffix("Gi")) {
            (Some(number), _) => (number, 20),
            (_, Some(number)) => (number, 30),
            _ => (text, 0),
        };
        Ok(number.parse::<i64>()? << shift)
    });
    let cpu_milli = match &limits["cpu"] {
        Value::String(text) => Some(match text.strip_suffix('m') {
            Some(milli) => milli.parse()?,
            None => text.parse::<i64>()? * 1000,
        }),
        number => number.as_i64().map(|cpus| cpus * 1000),
    };
    Ok(Limits { memory: memory.transpose()?, cpu_milli })
}

fn apply(spec: &mut ContainerSpec, key: &str, value: &Value) -> Result<()> {
    let flag = || value.as_bool().context("no flag");
    let number = || value.as_i64().context("no number");
    let names = |key: &str| -> Result<Vec<String>> {
        let names = value[key].as_array().into_iter().flatten();
        names.map(|name| Ok(name.as_str().context("no name")?.to_owned())).collect()
    };
    match key {
        "runAsUser" => spec.run_as_user = Some(number()?),
        "runAsGroup" => spec.run_as_group = Some(number()?),
        "supplementalGroups" => {
            let groups = value.as_array().context("no list")?.iter();
            spec.groups = groups.map(|group| group.as_i64().context("no number")).collect::<Result<_>>()?;
        }
        "privileged" => spec.privileged = flag()?,
        "allowPrivilegeEscalation" => spec.no_new_privs = !flag()?,
        "readOnlyRootFilesystem" => spec.read_only_root = flag()?,
        "capabilities" => (spec.drop, spec.add) = (names("drop")?, names("add")?),
        "seccompProfile" => {
            spec.seccomp = match value["type"].as_str() {
                Some("RuntimeDefault") => Seccomp::RuntimeDefault,
                Some("Unconfined") => Seccomp::Unconfined,
                Some("Localhost") => {
                    Seccomp::Localhost(value["localhostProfile"].as_str().context("no profile")?.into())
                }
                _ => bail!("no such type"),
            }
        }
        // The kubelet's own check, which the uid has passed.
        "runAsNonRoot" => flag().map(drop)?,
        // The lab's containerd runs without AppArmor.
        "appArmorProfile" => ensure!(value["type"] == "Unconfined", "the lab has no AppArmor"),
        _ => bail!("not mapped"),
    }
    Ok(())
}
