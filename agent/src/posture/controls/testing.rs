//! Builds tasks and containers for tests, and says what a control makes of them.

use std::sync::Arc;

use agent_abi::record::{FileRef, Namespaces, TaskState};

use crate::{
    capability::ALL,
    context::{
        Container, ContainerId, ContainerKey, ContainerRole, Declared, Enrichment, Names, Origin, Owner,
        PendingReason, Process, ProcessId, Runtime, SeccompAllow, Stage,
    },
    posture::{
        ControlId, Facts, Gain, HostFacts, Outcome, Policy, Surroundings, control::TASK, facts::Baseline,
        syscall::DANGEROUS,
    },
};

pub(in crate::posture) const HOST_MNT_NS: u32 = 1;
pub(in crate::posture) const HOST_USER_NS: u32 = 2;
pub(in crate::posture) const HOST_NS: Namespaces = Namespaces {
    mnt: HOST_MNT_NS,
    pid: 11,
    net: 12,
    ipc: 13,
    uts: 14,
    cgroup: 15,
    user: HOST_USER_NS,
    user_level: 0,
};

/// A task that passes every control, changed.
pub(in crate::posture) fn task(change: impl FnOnce(&mut TaskState)) -> TaskState {
    let mut task = TaskState { no_new_privs: 1, seccomp_mode: 2, seccomp_filters: 1, ..Default::default() };
    task.task.tgid = 100;
    task.task.tid = 100;
    task.ids = agent_abi::record::Ids {
        uid: 1000,
        gid: 1000,
        suid: 1000,
        sgid: 1000,
        euid: 1000,
        egid: 1000,
        fsuid: 1000,
        fsgid: 1000,
        ns_uid: 1000,
        ns_euid: 1000,
    };
    task.ns = Namespaces { mnt: 3, pid: 4, net: 5, ipc: 6, uts: 8, cgroup: 9, user: 7, user_level: 0 };
    task.cgroup_id = 42;
    change(&mut task);
    task
}

pub(in crate::posture) fn process(state: TaskState) -> Process {
    Process {
        id: ProcessId::of(&state.task),
        state,
        seccomp_allow: allow_default(),
        // On a file system of which nothing is said as long as the container was not looked into.
        exe: FileRef { inode: 9, dev: 8, ..FileRef::default() },
        exe_path: b"/usr/bin/server".to_vec(),
        container: Some(ContainerKey { hierarchy: 0, cgroup: 42 }),
        stage: Stage::Workload,
        ..Process::nobody()
    }
}

pub(in crate::posture) fn container(cgroup: u64) -> Container {
    Container {
        key: ContainerKey { hierarchy: 0, cgroup },
        id: ContainerId::parse(format!("{cgroup:064x}").as_bytes()).unwrap(),
        runtime: Runtime::Containerd,
        cgroup_path: Vec::new(),
        pod_uid: None,
        enrichment: Enrichment::Pending(PendingReason::Asked),
        init: None,
        first_seen_ns: 0,
        gone: false,
    }
}

pub(in crate::posture) fn names(owner: &str) -> Names {
    Names {
        role: ContainerRole::Workload,
        pod: format!("{owner}-abc"),
        namespace: "shop".into(),
        pod_uid: "uid".into(),
        labels: Default::default(),
        container: "main".into(),
        owner: Owner { kind: "Deployment", name: owner.into() },
        image: "registry.example/web:1".into(),
        image_digest: None,
        init_pid: None,
        service_account: None,
        sandboxed_runtime: false,
        image_created: None,
        declared: Declared::default(),
    }
}

pub(in crate::posture) fn named(cgroup: u64, owner: &str) -> Container {
    let mut container = container(cgroup);
    container.enrichment = Enrichment::Complete(Arc::new(names(owner)));
    container
}

/// Every known call.
pub(in crate::posture) fn allow_all() -> SeccompAllow {
    SeccompAllow { len: 58, bits: [0xff; agent_abi::record::SECCOMP_BITMAP_BYTES] }
}

/// Something like a runtime's default: none of the dangerous ones, none of the obsolete.
pub(in crate::posture) fn allow_default() -> SeccompAllow {
    let mut allow = allow_all();
    allow.bits[22..26].fill(0);
    for dangerous in DANGEROUS {
        allow.bits[dangerous.number as usize / 8] &= !(1 << (dangerous.number % 8));
    }
    allow
}

/// One control, one task.
pub(in crate::posture) struct Case {
    control: ControlId,
    task: TaskState,
    allow: SeccompAllow,
    pub(in crate::posture) process: Process,
    declared: Option<Declared>,
    pub(in crate::posture) host: HostFacts,
    init: Option<Baseline>,
    pub(in crate::posture) gain: Gain,
    pub(in crate::posture) around: Surroundings,
    pub(in crate::posture) is_scan: bool,
}

impl Case {
    pub(in crate::posture) fn new(control: ControlId, task: TaskState) -> Self {
        Self {
            control,
            task,
            allow: allow_default(),
            process: process(task),
            declared: None,
            host: HostFacts { bounding: ALL, ns: HOST_NS, sees_layers: true },
            init: None,
            gain: Gain::default(),
            around: Surroundings::default(),
            is_scan: false,
        }
    }

    pub(in crate::posture) fn declares(mut self, declare: impl FnOnce(&mut Declared)) -> Self {
        declare(self.declared.get_or_insert_default());
        self
    }

    pub(in crate::posture) fn allows(mut self, allow: SeccompAllow) -> Self {
        self.allow = allow;
        self
    }

    pub(in crate::posture) fn with_init(mut self, state: TaskState) -> Self {
        self.init = Some(Baseline { state });
        self
    }

    pub(in crate::posture) fn entered(mut self, init: Option<TaskState>) -> Self {
        self.process.origin = Origin::Entered;
        self.init = init.map(|state| Baseline { state });
        self
    }

    fn judge(&self) -> (Outcome, crate::posture::Explanation) {
        let container = container(42);
        let control = &TASK[self.control as usize];
        let observation = (control.check)(&Facts {
            task: &self.task,
            allow: &self.allow,
            process: &self.process,
            container: &container,
            declared: self.declared.as_ref(),
            host: &self.host,
            baseline: self.init.as_ref(),
            gain: self.gain,
            around: self.around,
            policy: &Policy::default(),
            is_scan: self.is_scan,
        });
        (observation.outcome, (control.explain)(&observation.evidence))
    }

    #[track_caller]
    pub(in crate::posture) fn is(self, outcome: Outcome) -> Self {
        assert_eq!(self.judge().0, outcome);
        self
    }

    #[track_caller]
    pub(in crate::posture) fn gives(self, outcome: Outcome, observed: &str) {
        let (is, explanation) = self.judge();
        assert_eq!((is, explanation.observed.as_str()), (outcome, observed));
    }

    #[track_caller]
    pub(in crate::posture) fn observed(self, part: &str) {
        let observed = self.judge().1.observed;
        assert!(observed.contains(part), "{observed}");
    }

    #[track_caller]
    pub(in crate::posture) fn declared(self, declared: &str) {
        assert_eq!(self.judge().1.declared.as_deref(), Some(declared));
    }
}
