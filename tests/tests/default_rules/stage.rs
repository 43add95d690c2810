//! The places, and doing it there.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use kestrel_tests::lab::{
    Lab, artifact,
    cri::Pod,
    spec::{ContainerSpec, Limits, PodSpec, Seccomp, VolumeMount},
};

use super::act::{Act, PRELUDE, Place};

/// Addresses of the world, in a network of the pod's own: a command server, a metadata service, an API server, two
/// peers and a drop of files.
const ADDRESSES: &str = "ip link set lo up
for at in 192.0.2.1 169.254.169.254 198.51.100.10 203.0.113.7 203.0.113.8 203.0.113.20; do ip addr add $at/32 dev lo; done
";
/// Names of two of them, as a node finds them.
pub(crate) const HOSTS: &str = "127.0.0.1 localhost
198.51.100.10 kubernetes.default.svc
203.0.113.20 pastebin.com
";
const FILES: &str = "mkdir -p /var/log /root/.ssh /srv
echo root:x > /etc/shadow; echo x > /root/.ssh/id_ed25519; echo x > /srv/report
/bin/listen 203.0.113.7:4444 &
until /bin/suspect connect 203.0.113.7:4444; do usleep 20000; done
";

/// The pods that run.
pub(crate) struct Stage<'a> {
    lab: &'a Lab,
    acts: &'a [Act],
    shop: Pod,
    offline: Pod,
}

/// The namespace, pod and container of a place; `None`: the node.
pub(crate) const fn names(place: Place) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match place {
        Place::Pod | Place::Exec | Place::IntoPod => ("shop", "suspect-1", "app"),
        Place::Terminal => ("shop", "suspect-1", "terminal"),
        Place::User => ("shop", "suspect-1", "user"),
        Place::Capable => ("shop", "suspect-1", "capable"),
        Place::Offline | Place::IntoOffline => ("no-internet", "offline-1", "app"),
        Place::Host | Place::HostTerminal => return None,
    })
}

impl<'a> Stage<'a> {
    /// Starts the pods, which do what is to be done in them.
    pub(crate) fn set(lab: &'a Lab, acts: &'a [Act]) -> Result<Self> {
        let then_sleep = |before: &str, place| {
            let script = script(acts, place);
            format!("export DIR=/tmp/as BIN=/bin\n{before}{PRELUDE}{script}exec sleep 2147483647")
        };
        let [app, terminal, user, capable, offline] = [
            (format!("{ADDRESSES}{FILES}"), Place::Pod),
            (String::new(), Place::Terminal),
            (String::new(), Place::User),
            (String::new(), Place::Capable),
            (String::new(), Place::Offline),
        ]
        .map(|(before, place)| then_sleep(&before, place));
        let command = |script| ["/bin/sh", "-c", script];
        let app = ContainerSpec {
            read_only_root: false,
            volumes: vec![VolumeMount::token()],
            limits: Limits::NONE,
            ..ContainerSpec::privileged("app", command(&app))
        };
        let terminal = ContainerSpec {
            tty: true,
            read_only_root: false,
            ..ContainerSpec::privileged("terminal", command(&terminal))
        };
        let user = ContainerSpec {
            seccomp: Seccomp::Unconfined,
            read_only_root: false,
            ..ContainerSpec::restricted("user", command(&user))
        };
        let capable = ContainerSpec {
            run_as_user: Some(0),
            drop: Vec::new(),
            add: vec!["SYS_PTRACE".to_owned()],
            read_only_mounts: vec![("/etc".into(), "/node-etc".into())],
            ..ContainerSpec::restricted("capable", command(&capable))
        };
        let shop = PodSpec::new("shop", "suspect-1");
        let shop = shop.container(app).container(terminal).container(user).container(capable);

        let network = ContainerSpec {
            run_as_user: Some(0),
            drop: Vec::new(),
            add: vec!["NET_ADMIN".to_owned()],
            ..ContainerSpec::restricted("network", command(ADDRESSES))
        };
        let app = ContainerSpec {
            volumes: vec![VolumeMount::empty_dir("tmp", "/tmp")],
            ..ContainerSpec::restricted("app", command(&offline))
        };
        let offline = PodSpec {
            init_containers: vec![network],
            ..PodSpec::new("no-internet", "offline-1").container(app)
        };
        let (shop, offline) = (lab.run(&shop)?, lab.run(&offline)?);
        Ok(Self { lab, acts, shop, offline })
    }

    /// Does what is to be done from outside.
    pub(crate) fn perform(&self, dir: &Path) -> Result<()> {
        for act in self.acts.iter().filter(|act| act.place == Place::Exec) {
            let out = self.lab.cri().exec(&self.shop.containers[0].id, act.script.split(' '))?;
            ensure!(out.code == 0, "{}: {}", act.rule, out.stderr);
        }
        let shell: &[&str] = &["sh"];
        for place in [Place::Host, Place::IntoPod, Place::IntoOffline] {
            self.on_the_node(dir, place, shell)?;
        }
        self.on_the_node(dir, Place::HostTerminal, &["script", "-qefc", "sh -s", "/dev/null"])?;
        Ok(())
    }

    fn on_the_node(&self, dir: &Path, place: Place, shell: &[&str]) -> Result<()> {
        let file = dir.join("acts");
        fs::write(&file, format!("{PRELUDE}{}exit\n", script(self.acts, place)))?;
        let bin = artifact::trigger("nothing")?;
        let out = Command::new(shell[0])
            .args(&shell[1..])
            .env("DIR", dir.join("as"))
            .env("BIN", bin.parent().context("a file has a folder")?)
            .env("POD", self.shop.containers[0].pid.to_string())
            .env("OFFLINE", self.offline.containers[0].pid.to_string())
            .stdin(fs::File::open(file)?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .with_context(|| shell[0].to_owned())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        eprintln!("{place:?}:\n{}{}", text(&out.stdout), text(&out.stderr));
        Ok(())
    }

    /// What the containers wrote.
    pub(crate) fn logs(&self) -> String {
        let of = |pod: &Pod, name: &str| self.lab.logs(&pod.spec, name).unwrap_or_default();
        let shop = self.shop.containers.iter().map(|container| of(&self.shop, &container.name));
        shop.chain([of(&self.offline, "app")]).collect()
    }
}

/// All that is done in a place, each in a shell of its own.
fn script(acts: &[Act], place: Place) -> String {
    let there = acts.iter().filter(|act| act.place == place);
    there.map(|act| format!("echo '{}'\n(\n{}\n)\n", act.rule, act.script)).collect()
}
