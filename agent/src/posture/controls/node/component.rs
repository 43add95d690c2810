//! What the controls of the parts of Kubernetes share: one process judged after the other, and what is said
//! where there is none.

use crate::{
    inspect::{
        NotRead, Read,
        node::{
            ApiServer, Arguments, ControllerManager, Found, Hidden, Kubelet, Scheduler, arguments::truth,
        },
    },
    posture::{Judgement, Outcome, UnknownReason},
};

/// Longest value that is shown.
const SHOWN: usize = 256;

/// A part of Kubernetes.
pub(super) trait Part {
    const NAME: &'static str;

    fn arguments(&self) -> &Read<Arguments>;
}

macro_rules! parts {
    ($($part:ident = $name:literal;)*) => { $(
        impl Part for $part {
            const NAME: &'static str = $name;

            fn arguments(&self) -> &Read<Arguments> {
                &self.arguments
            }
        }
    )* };
}

parts! {
    ApiServer = "kube-apiserver";
    ControllerManager = "kube-controller-manager";
    Scheduler = "kube-scheduler";
    Kubelet = "kubelet";
}

/// Judges each process of a part by its arguments; the worst counts.
pub(super) fn each<P: Part>(found: &Found<P>, check: impl Fn(&P, &Arguments) -> Judgement) -> Judgement {
    worst(P::NAME, found, |part| match part.arguments() {
        Ok(arguments) => check(part, arguments),
        Err(why) => not_read(&format!("arguments of {}", P::NAME), *why),
    })
}

/// Judges each process of a part; the worst counts.
pub(super) fn worst<P>(name: &str, found: &Found<P>, check: impl Fn(&P) -> Judgement) -> Judgement {
    let rank = |judgement: &Judgement| match judgement.outcome {
        Outcome::Fail | Outcome::Drift => 0,
        Outcome::Unknown(_) => 1,
        Outcome::Pass | Outcome::NotApplicable => 2,
    };
    let judged = found.running.iter().map(check).min_by_key(rank);
    match (judged, &found.hidden) {
        (Some(judgement), Some(Hidden::TooMany)) if rank(&judgement) > 0 => {
            unknown(UnknownReason::NotAllJudged, format!("more processes of {name} than are looked at"))
        }
        (Some(judgement), _) => judgement,
        (None, None) => Judgement::new(Outcome::NotApplicable, format!("{name} does not run on this node")),
        (None, Some(Hidden::Inside(program))) => unknown(
            UnknownReason::NotTold,
            format!("{name} may run inside of {program}, whose arguments do not tell how it is set up"),
        ),
        (None, Some(Hidden::Unnamed)) => unknown(
            UnknownReason::NotTold,
            format!("{name} may run in a container of which no name is known"),
        ),
        (None, Some(Hidden::NotRead(why))) => not_read("what a process executes", *why),
        (None, Some(Hidden::TooMany)) => unknown(UnknownReason::NotAllJudged, name),
    }
}

/// UNKNOWN, with more than its reason says.
pub(super) fn unknown(reason: UnknownReason, observed: impl Into<String>) -> Judgement {
    Judgement::new(Outcome::Unknown(reason), observed)
}

/// Something was not read.
pub(super) fn not_read(what: &str, why: NotRead) -> Judgement {
    // The kernel has nothing to do with a file that is not there.
    let reason = if why == NotRead::NotThere { "it is not there" } else { why.as_str() };
    unknown(UnknownReason::NotRead(why), format!("{what}: {reason}"))
}

/// A setting of the kernel was not read.
pub(super) fn unread(why: NotRead) -> Judgement {
    // What this kernel does not have is no reason of this kind.
    let reason = if why == NotRead::NotThere { "not mounted where the agent looks" } else { why.as_str() };
    unknown(UnknownReason::NotRead(why), reason)
}

/// PASS or FAIL.
pub(super) fn judged(passes: bool, observed: impl Into<String>) -> Judgement {
    Judgement::new(if passes { Outcome::Pass } else { Outcome::Fail }, observed)
}

/// A value, cut where it is longer than anybody reads.
pub(super) fn shown(value: &str) -> String {
    value.chars().take(SHOWN).collect()
}

/// Judges a boolean flag, which is to have the value `wanted`.
pub(super) fn switch(arguments: &Arguments, flag: &str, default: bool, wanted: bool) -> Judgement {
    match arguments.last(flag) {
        None => judged(default == wanted, format!("--{flag} is not set, which means {default}")),
        Some(value) => match truth(value) {
            Some(is_set) => judged(is_set == wanted, format!("--{flag}={is_set}")),
            None => unknown(UnknownReason::ValueNotUnderstood, format!("--{flag}={}", shown(value))),
        },
    }
}

/// Judges flags all of which have to be set.
pub(super) fn all_set(arguments: &Arguments, flags: &[&str]) -> Judgement {
    let (mut set, mut missing) = (Vec::new(), Vec::new());
    for flag in flags {
        match arguments.path(flag) {
            Some(path) => set.push(format!("--{flag}={}", shown(path))),
            None => missing.push(format!("--{flag}")),
        }
    }
    if missing.is_empty() {
        judged(true, set.join(", "))
    } else {
        judged(false, format!("not set: {}", missing.join(", ")))
    }
}

#[cfg(test)]
pub(super) mod testing {
    use crate::inspect::node::{
        Candidate, Home, NodeFacts, read,
        testing::{APISERVER, Tree},
    };

    /// A node on which one process of the host runs, and these files are in its root.
    pub(in super::super) fn running(executable: &str, words: &[&str], files: &[(&str, &str)]) -> NodeFacts {
        let tree = Tree::hardened();
        tree.process(10, executable, words);
        for (path, text) in files {
            tree.write(&format!("10/own-root{path}"), text);
        }
        read(&tree.paths(), &[Candidate { tgid: 10, home: Home::Host }])
    }

    /// kubeadm's `kube-apiserver`, with more arguments.
    pub(in super::super) fn apiserver(more: &[&str], files: &[(&str, &str)]) -> NodeFacts {
        running("/usr/local/bin/kube-apiserver", &[APISERVER, more].concat(), files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(running: &[Outcome], hidden: Option<Hidden>) -> Outcome {
        let found = Found { running: running.to_vec(), hidden };
        worst("etcd", &found, |outcome| Judgement::new(*outcome, "")).outcome
    }

    #[test]
    fn the_worst_of_several_counts() {
        let unknown = Outcome::Unknown(UnknownReason::NotTold);
        assert_eq!(found(&[Outcome::Pass, Outcome::Pass], None), Outcome::Pass);
        assert_eq!(found(&[Outcome::Pass, unknown], None), unknown);
        assert_eq!(found(&[unknown, Outcome::Fail, Outcome::Pass], None), Outcome::Fail);
    }

    #[test]
    fn what_may_run_unseen_is_not_said_to_be_missing() {
        assert_eq!(found(&[], None), Outcome::NotApplicable);
        let told = Outcome::Unknown(UnknownReason::NotTold);
        assert_eq!(found(&[], Some(Hidden::Inside("k3s"))), told);
        assert_eq!(found(&[], Some(Hidden::Unnamed)), told);
        let why = NotRead::NotPermitted;
        assert_eq!(found(&[], Some(Hidden::NotRead(why))), Outcome::Unknown(UnknownReason::NotRead(why)));
        let not_all = Outcome::Unknown(UnknownReason::NotAllJudged);
        assert_eq!(found(&[Outcome::Pass], Some(Hidden::TooMany)), not_all);
        assert_eq!(found(&[Outcome::Fail], Some(Hidden::TooMany)), Outcome::Fail);
        assert_eq!(found(&[Outcome::Pass], Some(Hidden::Inside("k3s"))), Outcome::Pass);
    }

    #[test]
    fn arguments_that_were_not_read() {
        let manager = ControllerManager { tgid: 1, arguments: Err(NotRead::TooMuch) };
        let judgement = each(&Found { running: vec![manager], hidden: None }, |_, _| judged(true, ""));
        assert_eq!(judgement.outcome, Outcome::Unknown(UnknownReason::NotRead(NotRead::TooMuch)));
    }
}
