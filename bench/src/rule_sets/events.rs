//! Events as an agent has them when it asks for their fields: borrowed, and looked up by a `match`.

use std::ops::ControlFlow;

use rules::{
    eval::{Fields, Presence},
    field::{Argument, EventType, Field, Reference},
    value::{Scalar, Value},
};

/// A process and its ancestors.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    exe: &'static str,
    exepath: &'static str,
    args: &'static str,
    cmdline: &'static str,
    /// From the parent on.
    ancestors: &'static [&'static str],
    parent_cmdline: &'static str,
    cwd: &'static str,
    tty: u64,
}

const PROCESSES: &[Process] = &[
    Process {
        name: "sleep",
        exe: "sleep",
        exepath: "/usr/bin/sleep",
        args: "30",
        cmdline: "sleep 30",
        ancestors: &["entrypoint.sh", "tini", "containerd-shim", "systemd"],
        parent_cmdline: "entrypoint.sh /app/entrypoint.sh --wait",
        cwd: "/app/",
        tty: 0,
    },
    Process {
        name: "java",
        exe: "/opt/java/bin/java",
        exepath: "/opt/java/bin/java",
        args: "-Xmx2g -XX:+UseG1GC -Dserver.port=8080 -jar /app/orders.jar --spring.profiles.active=production",
        cmdline: "java -Xmx2g -XX:+UseG1GC -Dserver.port=8080 -jar /app/orders.jar --spring.profiles.active=production",
        ancestors: &["tini", "containerd-shim", "systemd"],
        parent_cmdline: "tini -- java -jar /app/orders.jar",
        cwd: "/app/",
        tty: 0,
    },
    Process {
        name: "date",
        exe: "date",
        exepath: "/usr/bin/date",
        args: "+%s",
        cmdline: "date +%s",
        ancestors: &["healthcheck", "server", "containerd-shim", "systemd"],
        parent_cmdline: "healthcheck /usr/local/bin/healthcheck",
        cwd: "/",
        tty: 0,
    },
    Process {
        name: "node_exporter",
        exe: "/bin/node_exporter",
        exepath: "/bin/node_exporter",
        args: "--path.rootfs=/host --collector.textfile.directory=/textfile",
        cmdline: "node_exporter --path.rootfs=/host --collector.textfile.directory=/textfile",
        ancestors: &["containerd-shim", "systemd"],
        parent_cmdline: "containerd-shim -namespace k8s.io -address /run/containerd/containerd.sock",
        cwd: "/",
        tty: 0,
    },
];

const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libm.so.6",
    "/opt/java/lib/server/libjvm.so",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30",
];

/// What happened.
#[derive(Debug)]
enum What {
    Open { path: &'static str, descriptor: i64 },
    Exec,
    Close { path: &'static str, descriptor: i64 },
}

/// An event of a container's process, that no rule is for.
#[derive(Debug)]
pub(super) struct Event {
    event_type: EventType,
    what: What,
    process: &'static Process,
}

/// A kind of events that is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A library is opened.
    Openat,
    /// A program starts.
    Execve,
    /// A descriptor is closed.
    Close,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Openat, Self::Execve, Self::Close];

    /// Its type by name.
    #[must_use]
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Openat => "openat",
            Self::Execve => "execve",
            Self::Close => "close",
        }
    }

    /// Some events of it, each different.
    #[must_use]
    pub(super) fn events(self) -> Vec<Event> {
        let Some(event_type) = EventType::find(self.name()) else { return Vec::new() };
        let of_process = |process| {
            LIBRARIES.iter().zip(3..).map(move |(path, descriptor)| Event {
                event_type,
                what: match self {
                    Self::Openat => What::Open { path, descriptor },
                    Self::Execve => What::Exec,
                    Self::Close => What::Close { path, descriptor },
                },
                process,
            })
        };
        PROCESSES.iter().flat_map(of_process).collect()
    }
}

impl Event {
    /// Its type.
    #[must_use]
    pub(super) const fn event_type(&self) -> EventType {
        self.event_type
    }

    fn descriptor(&self) -> Option<(&'static str, i64)> {
        match self.what {
            What::Open { path, descriptor } | What::Close { path, descriptor } => Some((path, descriptor)),
            What::Exec => None,
        }
    }

    fn ancestor(&self, place: u64) -> Value<'_> {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        match place.checked_sub(1) {
            None => Value::text(self.process.name),
            Some(above) => self.process.ancestors.get(above).map(|name| Scalar::from(*name)).into(),
        }
    }

    fn argument(&self, name: &str) -> Value<'_> {
        match (&self.what, name) {
            (What::Open { path, .. }, "name") => Value::text(path),
            (What::Open { .. }, "flags") => Value::text("O_RDONLY|O_CLOEXEC"),
            (What::Exec, "filename") => Value::text(self.process.exepath),
            _ => Value::Missing,
        }
    }
}

impl Fields for Event {
    fn field(&self, reference: &Reference) -> Value<'_> {
        let Self { what, process, .. } = self;
        let text = |text: &'static str| Value::text(text);
        let path = |of: fn(&'static str) -> &'static str| match self.descriptor() {
            Some((path, _)) => Value::text(of(path)),
            None => Value::Missing,
        };
        let open = |value| match what {
            What::Open { .. } => Value::One(Scalar::Bool(value)),
            What::Exec | What::Close { .. } => Value::Missing,
        };
        let split = |path: &'static str| path.rsplit_once('/').unwrap_or_default();
        match reference.field() {
            Field::EvtType => text(self.event_type.name()),
            Field::EvtDir => text("<"),
            Field::EvtNum => Value::One(Scalar::UInt(7)),
            Field::EvtRes => text("SUCCESS"),
            Field::EvtRawres => Value::One(Scalar::Int(self.descriptor().map_or(0, |(_, number)| number))),
            Field::EvtFailed | Field::EvtViaIoUring => Value::One(Scalar::Bool(false)),
            Field::EvtIsOpenRead => open(true),
            Field::EvtIsOpenWrite | Field::EvtIsOpenExec | Field::EvtIsOpenCreate => open(false),
            Field::EvtArg => match reference.argument() {
                Argument::Name(name) => self.argument(name),
                Argument::None | Argument::Index(_) => Value::Missing,
            },
            Field::FdName | Field::FdNameraw => path(|path| path),
            Field::FdDirectory => self.descriptor().map(|(path, _)| Scalar::from(split(path).0)).into(),
            Field::FdFilename => self.descriptor().map(|(path, _)| Scalar::from(split(path).1)).into(),
            Field::FdTypechar => path(|_| "f"),
            Field::FdType => path(|_| "file"),
            Field::FdNum => self.descriptor().map(|(_, number)| Scalar::Int(number)).into(),
            Field::ProcName => text(process.name),
            Field::ProcExe => text(process.exe),
            Field::ProcExepath => text(process.exepath),
            Field::ProcArgs => match reference.argument() {
                Argument::None => text(process.args),
                Argument::Index(_) | Argument::Name(_) => Value::Missing,
            },
            Field::ProcCmdline => text(process.cmdline),
            Field::ProcPname => self.ancestor(1),
            Field::ProcPcmdline => text(process.parent_cmdline),
            Field::ProcPexe => self.ancestor(1),
            Field::ProcAname => match reference.argument() {
                Argument::Index(place) => self.ancestor(*place),
                Argument::None | Argument::Name(_) => {
                    Value::Many(process.ancestors.iter().map(|name| Scalar::from(*name)).collect())
                }
            },
            Field::ProcCwd => text(process.cwd),
            Field::ProcEnv => {
                text("PATH=/usr/local/bin:/usr/bin:/bin HOME=/ LANG=C.UTF-8 HOSTNAME=orders-5f7d9")
            }
            Field::ProcTty => Value::One(Scalar::UInt(process.tty)),
            Field::ProcPid | Field::ProcVpid => Value::One(Scalar::Int(4711)),
            Field::ProcDuration => Value::One(Scalar::UInt(90_000_000)),
            Field::ProcIsExeFromMemfd
            | Field::ProcIsExeUpperLayer
            | Field::ProcIsExeWritable
            | Field::ProcNoNewPrivs
            | Field::ProcIsVpgidLeader => Value::One(Scalar::Bool(false)),
            Field::ProcSeccompMode => text("filter"),
            Field::ProcEntered => text("born"),
            Field::ThreadCapEffective | Field::ThreadCapPermitted => text("CAP_NET_BIND_SERVICE"),
            Field::ContainerId => text("41cdd4ca9569"),
            Field::ContainerImageRepository => text("registry.example.com/shop/orders"),
            Field::ContainerPrivileged => Value::One(Scalar::Bool(false)),
            Field::K8sNsName => text("shop"),
            Field::K8sPodName => text("orders-5f7d9"),
            Field::UserName => text("app"),
            Field::UserUid => Value::One(Scalar::UInt(1000)),
            Field::UserLoginuid => Value::One(Scalar::Int(-1)),
            _ => Value::Missing,
        }
    }

    fn each(&self, reference: &Reference, take: &mut dyn FnMut(&Scalar<'_>) -> ControlFlow<()>) -> Presence {
        match reference.field() {
            Field::ProcAname => {
                let _ = self.process.ancestors.iter().try_for_each(|name| take(&Scalar::from(*name)));
                Presence::There
            }
            _ => Presence::Missing,
        }
    }
}
