//! No token of a service account is mounted.

use super::{
    mounted::text,
    text::{NAMED, list},
};
use crate::{
    inspect::{Mount, is_service_account},
    posture::{
        ContainerFacts, Judgement, Outcome, UnknownReason,
        control::{ContainerControl, ControlId},
    },
};

pub(super) const CONTROL: ContainerControl = ContainerControl { id: ControlId::ServiceAccountToken, check };

/// The volume that the API server's admission makes of it (plugin/pkg/admission/serviceaccount), wherever it is
/// mounted.
const VOLUME: &[u8] = b"/volumes/kubernetes.io~projected/kube-api-access-";

fn check(facts: &ContainerFacts<'_>) -> Judgement {
    let mounts = match &facts.inspection.mounts {
        Ok(mounts) => mounts,
        Err(why) => return Judgement::unknown(UnknownReason::NotRead(*why)),
    };
    let mut tokens =
        mounts.all.iter().filter(|mount| is_token(mount)).map(|mount| text(&mount.target)).peekable();
    if tokens.peek().is_none() {
        return Judgement::new(Outcome::Pass, "none is mounted");
    }
    let start = match facts.witnessed.token_opened_by {
        Some(_) => "was opened; mounted at ",
        None => "mounted at ",
    };
    Judgement::new(Outcome::Fail, list(start, tokens, NAMED))
}

fn is_token(mount: &Mount) -> bool {
    is_service_account(&mount.target)
        || mount.host_paths.iter().any(|path| path.windows(VOLUME.len()).any(|part| part == VOLUME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inspect::{
            NotRead,
            mounts::{HostMounts, parse, tests},
        },
        posture::controls::case::ContainerCase,
    };

    #[test]
    fn verdicts() {
        let token = |target: &str| {
            let line = format!("90 77 0:70 / {target} ro,relatime - tmpfs tmpfs rw,size=170Mi,inode64\n");
            ContainerCase::new(ControlId::ServiceAccountToken)
                .mounts(tests::mounts(&format!("{}{line}", tests::DEFAULT)))
        };
        ContainerCase::new(ControlId::ServiceAccountToken)
            .mounts(tests::mounts(tests::DEFAULT))
            .gives(Outcome::Pass, "none is mounted");
        for target in ["/var/run", "/run"].map(|run| format!("{run}/secrets/kubernetes.io/serviceaccount")) {
            token(&target).gives(Outcome::Fail, &format!("mounted at {target}"));
        }
        token("/run/secrets/kubernetes.io/serviceaccount/token").is(Outcome::Fail);
        token("/run/secrets/kubernetes.io/serviceaccounts").is(Outcome::Pass);
        let host = "1 0 0:70 / /var/lib/kubelet/pods/a/volumes/kubernetes.io~projected/kube-api-access-x ro - \
                    tmpfs tmpfs rw\n";
        let host = HostMounts::parse(host.as_bytes(), |_| false).unwrap();
        let elsewhere = parse(b"1 0 0:70 / /srv ro - tmpfs tmpfs rw\n", &host).unwrap();
        ContainerCase::new(ControlId::ServiceAccountToken)
            .mounts(elsewhere)
            .gives(Outcome::Fail, "mounted at /srv");
        let mut opened = token("/run/secrets/kubernetes.io/serviceaccount");
        opened.witnessed.token_opened_by = Some(opened.inspection.through);
        opened.gives(Outcome::Fail, "was opened; mounted at /run/secrets/kubernetes.io/serviceaccount");
        ContainerCase::new(ControlId::ServiceAccountToken).not_read(NotRead::Gone);
    }
}
