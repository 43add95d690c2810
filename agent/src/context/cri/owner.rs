//! The workload behind a pod, from what the controllers write on it and into its name. A pod's
//! author may write the same: this groups findings, it proves nothing.

use std::collections::BTreeMap;

use crate::context::Owner;

/// Random characters that a controller puts at the end of a pod's name.
const RANDOM_SUFFIX: usize = 5;
/// Digits at the end of a CronJob's job: the scheduled time in minutes since the epoch.
const CRON_DIGITS: usize = 8;

pub(super) fn owner(labels: &BTreeMap<String, String>, pod: &str) -> Owner {
    let label = |key: &str| labels.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let revision = label("controller-revision-hash").is_some();
    let owner = |kind, name: &str| Owner { kind, name: name.to_owned() };

    if let Some(job) = label("batch.kubernetes.io/job-name").or_else(|| label("job-name")) {
        return match cron_job(job) {
            Some(cron) => owner("CronJob", cron),
            None => owner("Job", job),
        };
    }
    if let Some(name) = label("pod-template-hash").and_then(|hash| deployment(pod, hash)) {
        return owner("Deployment", name);
    }
    let indexed = label("statefulset.kubernetes.io/pod-name")
        .or_else(|| label("apps.kubernetes.io/pod-index"))
        .is_some();
    if revision
        && indexed
        && let Some(name) = stateful_set(pod)
    {
        return owner("StatefulSet", name);
    }
    if revision
        && label("pod-template-generation").is_some()
        && let Some(name) = without_random(pod)
    {
        return owner("DaemonSet", name);
    }
    owner("Pod", pod)
}

fn deployment<'a>(pod: &'a str, hash: &str) -> Option<&'a str> {
    named(without_random(pod)?.strip_suffix(hash)?.strip_suffix('-')?)
}

fn stateful_set(pod: &str) -> Option<&str> {
    let (name, ordinal) = pod.rsplit_once('-')?;
    (!ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit())).then(|| named(name))?
}

fn cron_job(job: &str) -> Option<&str> {
    let (name, minutes) = job.rsplit_once('-')?;
    (minutes.len() == CRON_DIGITS && minutes.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| named(name))?
}

fn without_random(pod: &str) -> Option<&str> {
    let (name, random) = pod.rsplit_once('-')?;
    let random = random.len() == RANDOM_SUFFIX && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    random.then(|| named(name))?
}

fn named(name: &str) -> Option<&str> {
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_by_labels_and_name() {
        let revision = ("controller-revision-hash", "6f7d8c");
        type Labels<'a> = &'a [(&'a str, &'a str)];
        let table: &[(&str, Labels<'_>, &str, &str)] = &[
            ("web-5d4f8c7b9d-x2x4z", &[("pod-template-hash", "5d4f8c7b9d")], "Deployment", "web"),
            ("a-b-c-5d4f8c7b9d-x2x4z", &[("pod-template-hash", "5d4f8c7b9d")], "Deployment", "a-b-c"),
            ("web-other-x2x4z", &[("pod-template-hash", "5d4f8c7b9d")], "Pod", "web-other-x2x4z"),
            ("5d4f8c7b9d-x2x4z", &[("pod-template-hash", "5d4f8c7b9d")], "Pod", "5d4f8c7b9d-x2x4z"),
            ("web-x2x4z", &[("pod-template-hash", "")], "Pod", "web-x2x4z"),
            ("db-0", &[revision, ("statefulset.kubernetes.io/pod-name", "db-0")], "StatefulSet", "db"),
            ("db-12", &[revision, ("apps.kubernetes.io/pod-index", "12")], "StatefulSet", "db"),
            ("db-x", &[revision, ("apps.kubernetes.io/pod-index", "12")], "Pod", "db-x"),
            ("kube-proxy-8k2lm", &[revision, ("pod-template-generation", "3")], "DaemonSet", "kube-proxy"),
            ("kube-proxy-8k2lm", &[revision], "Pod", "kube-proxy-8k2lm"),
            ("pi-8k2lm", &[("job-name", "pi")], "Job", "pi"),
            ("pi-8k2lm", &[("batch.kubernetes.io/job-name", "pi"), ("job-name", "old")], "Job", "pi"),
            ("tidy-28912345-8k2lm", &[("job-name", "tidy-28912345")], "CronJob", "tidy"),
            ("tidy-2891-8k2lm", &[("job-name", "tidy-2891")], "Job", "tidy-2891"),
            ("lonely", &[], "Pod", "lonely"),
            ("", &[revision, ("pod-template-generation", "3")], "Pod", ""),
        ];
        for (pod, labels, kind, name) in table {
            let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let owner = owner(&labels, pod);
            assert_eq!((owner.kind, owner.name.as_str()), (*kind, *name), "{pod} {labels:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_has_an_owner(pod: String, hash: String) {
            let labels = BTreeMap::from([
                ("pod-template-hash".to_owned(), hash),
                ("controller-revision-hash".to_owned(), "x".to_owned()),
                ("pod-template-generation".to_owned(), "1".to_owned()),
            ]);
            let _ = owner(&labels, &pod);
        }
    }
}
