//! Nobody takes profiles of the control plane over the network. The default is that they can:
//! `EnableProfiling` in Kubernetes' `DebuggingConfiguration` and `RecommendedDebuggingConfiguration`.

use super::component::{each, judged, not_read, switch};
use crate::posture::control::{ControlId, NodeControl};

pub(super) const APISERVER: NodeControl = NodeControl {
    id: ControlId::ApiserverProfiling,
    check: |facts| each(&facts.apiserver, |_, arguments| switch(arguments, "profiling", true, false)),
};

pub(super) const CONTROLLER_MANAGER: NodeControl = NodeControl {
    id: ControlId::ControllerManagerProfiling,
    check: |facts| {
        each(&facts.controller_manager, |_, arguments| switch(arguments, "profiling", true, false))
    },
};

/// The flag "is ignored if a config file is specified in --config" (`kube-scheduler --help`).
pub(super) const SCHEDULER: NodeControl = NodeControl {
    id: ControlId::SchedulerProfiling,
    check: |facts| {
        each(&facts.scheduler, |scheduler, arguments| match &scheduler.config {
            None => switch(arguments, "profiling", true, false),
            Some(Ok(config)) => match config.profiling {
                Some(profiling) => judged(!profiling, format!("enableProfiling: {profiling}")),
                None => judged(false, "enableProfiling is not set, which means true"),
            },
            Some(Err(why)) => not_read("file of --config", *why),
        })
    },
};

#[cfg(test)]
mod tests {
    use super::{super::component::testing::running, *};
    use crate::{
        inspect::NotRead,
        posture::{Judgement, Outcome, UnknownReason},
    };

    #[test]
    fn by_flag() {
        for (control, name) in [
            (APISERVER, "kube-apiserver"),
            (CONTROLLER_MANAGER, "kube-controller-manager"),
            (SCHEDULER, "kube-scheduler"),
        ] {
            let check = |flags: &[&str]| {
                let words = [&[name, "--leader-elect=true"], flags].concat();
                (control.check)(&running(&format!("/usr/local/bin/{name}"), &words, &[]))
            };
            assert_eq!(check(&[]), Judgement::new(Outcome::Fail, "--profiling is not set, which means true"));
            assert_eq!(check(&["--profiling=false"]), Judgement::new(Outcome::Pass, "--profiling=false"));
            assert_eq!(check(&["--profiling"]).outcome, Outcome::Fail);
            assert_eq!(
                check(&["--profiling=maybe"]).outcome,
                Outcome::Unknown(UnknownReason::ValueNotUnderstood)
            );
            let other = running("/usr/bin/other", &[name], &[]);
            let missing = format!("{name} does not run on this node");
            assert_eq!((control.check)(&other), Judgement::new(Outcome::NotApplicable, missing));
        }
    }

    #[test]
    fn the_file_of_the_scheduler_counts() {
        let check = |files: &[(&str, &str)]| {
            let words = ["kube-scheduler", "--profiling=false", "--config=/etc/scheduler.yaml"];
            (SCHEDULER.check)(&running("/kube-scheduler", &words, files)).outcome
        };
        let kind = "kind: KubeSchedulerConfiguration\n";
        assert_eq!(check(&[("/etc/scheduler.yaml", kind)]), Outcome::Fail);
        let off = format!("{kind}enableProfiling: false\n");
        assert_eq!(check(&[("/etc/scheduler.yaml", &off)]), Outcome::Pass);
        assert_eq!(check(&[]), Outcome::Unknown(UnknownReason::NotRead(NotRead::NotThere)));
    }
}
