//! Containers by the Pod Security Standards: the level that is declared, the one that is kept, and what is
//! said of each field.

use controls::{CONTROLS, PssLevel};
use kestrel_proto::v1;

use super::said::known;

/// Why a field is UNKNOWN whose control the agent did not tell of.
pub const NOT_JUDGED: &str = "not judged";

/// The levels of one container, and the fields that make them.
#[derive(Clone, Debug)]
pub struct Levels {
    /// Cluster.
    pub cluster: String,
    /// Node.
    pub node: String,
    /// The node is silent, so that this may not be true any more.
    pub stale: bool,
    /// The container.
    pub container: v1::Container,
    /// The level that the pod's security context asks for.
    pub declared: v1::PodSecurity,
    /// The level that is kept, by what the kernel holds.
    pub observed: v1::PodSecurity,
    /// Less is kept than is declared.
    pub is_weaker: bool,
    /// Those of Baseline, then those of Restricted, in the catalogue's order.
    pub fields: Vec<Field>,
}

/// A field of the standards, and what is said of it.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in the standards.
    pub name: &'static str,
    /// The level that asks for it.
    pub level: PssLevel,
    /// The worst that its controls say.
    pub verdict: v1::Verdict,
    /// For want of it less is kept than is declared.
    pub weakens: bool,
    /// What the controls say that stand for it, in the catalogue's order.
    pub controls: Vec<v1::ControlPosture>,
}

impl Levels {
    /// Those of a container.
    #[must_use]
    pub fn of(response: &v1::InventoryResponse) -> Self {
        let posture = response.container.clone().unwrap_or_default();
        let (declared, observed) = (posture.declared_level(), posture.observed_level());
        let fields = fields(&posture.controls, declared, observed);
        Self {
            cluster: response.cluster.clone(),
            node: response.node.clone(),
            stale: response.stale,
            container: posture.container.unwrap_or_default(),
            declared,
            observed,
            is_weaker: match observed {
                // One field that is not kept is enough, whatever cannot be told of the others.
                v1::PodSecurity::Unspecified => fields.iter().any(|field| field.weakens),
                observed => observed < declared,
            },
            fields,
        }
    }
}

fn fields(told: &[v1::ControlPosture], declared: v1::PodSecurity, observed: v1::PodSecurity) -> Vec<Field> {
    let mut fields = Vec::<Field>::new();
    for control in &CONTROLS {
        let Some(pss) = control.pss else { continue };
        let told = worst(control.slug, told);
        let is_between = observed < asked_by(pss.level) && asked_by(pss.level) <= declared;
        let is_kept = match &told {
            // An exemption keeps nothing. What cannot be told makes no level, neither a lower one.
            Some(said) => matches!(said.verdict(), v1::Verdict::Pass | v1::Verdict::Unknown),
            // A control that the policy leaves out makes the agent's level lower.
            None => observed == v1::PodSecurity::Unspecified,
        };
        let said = told.unwrap_or_else(|| not_judged(control.slug));
        let verdict = said.verdict();
        let weakens = is_between && !is_kept;
        let is_of_it = |field: &&mut Field| (field.level, field.name) == (pss.level, pss.field);
        match fields.iter_mut().find(is_of_it) {
            Some(field) => {
                field.verdict = field.verdict.max(verdict);
                field.weakens |= weakens;
                field.controls.push(said);
            }
            None => fields.push(Field {
                name: pss.field,
                level: pss.level,
                verdict,
                weakens,
                controls: vec![said],
            }),
        }
    }
    fields.sort_by_key(|field| field.level);
    fields
}

/// What the agent told of a control; where it told more than once, the worst of that.
fn worst(slug: &str, told: &[v1::ControlPosture]) -> Option<v1::ControlPosture> {
    let of_it = told.iter().filter(|said| said.control == slug);
    let mut worst = of_it.max_by_key(|said| known(said.verdict())).cloned()?;
    worst.set_verdict(known(worst.verdict()));
    Some(worst)
}

fn not_judged(slug: &str) -> v1::ControlPosture {
    v1::ControlPosture {
        control: slug.to_owned(),
        verdict: v1::Verdict::Unknown.into(),
        unknown_reason: NOT_JUDGED.to_owned(),
        ..Default::default()
    }
}

const fn asked_by(level: PssLevel) -> v1::PodSecurity {
    match level {
        PssLevel::Baseline => v1::PodSecurity::Baseline,
        PssLevel::Restricted => v1::PodSecurity::Restricted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::{
        PodSecurity::{Baseline, Privileged, Restricted, Unspecified},
        Verdict,
    };

    /// Every control says PASS but for these; `None`: nothing is told of it.
    fn levels(
        declared: v1::PodSecurity,
        observed: v1::PodSecurity,
        others: &[(&str, Option<Verdict>)],
    ) -> Levels {
        let said = |slug: &str| {
            let other = others.iter().find(|(other, _)| *other == slug);
            other.map_or(Some(Verdict::Pass), |(_, verdict)| *verdict).map(|verdict| v1::ControlPosture {
                control: slug.to_owned(),
                verdict: verdict.into(),
                ..Default::default()
            })
        };
        let posture = v1::ContainerPosture {
            controls: CONTROLS.iter().filter_map(|control| said(control.slug)).collect(),
            declared_level: declared.into(),
            observed_level: observed.into(),
            ..Default::default()
        };
        Levels::of(&v1::InventoryResponse { container: Some(posture), ..Default::default() })
    }

    fn field<'a>(levels: &'a Levels, name: &str) -> &'a Field {
        levels.fields.iter().find(|field| field.name == name).unwrap()
    }

    fn weakening(levels: &Levels) -> Vec<&str> {
        levels.fields.iter().filter(|field| field.weakens).map(|field| field.name).collect()
    }

    #[test]
    fn each_control_of_the_standards_is_in_one_field_of_its_level() {
        let levels = levels(Restricted, Restricted, &[]);
        let slugs = levels.fields.iter().flat_map(|field| &field.controls).count();
        assert_eq!(slugs, CONTROLS.iter().filter(|control| control.pss.is_some()).count());
        assert!(levels.fields.is_sorted_by_key(|field| field.level));
        let namespaces: Vec<_> = field(&levels, "Host Namespaces").controls.iter().collect();
        assert_eq!(namespaces.len(), 3);
        let capabilities = levels.fields.iter().filter(|field| field.name == "Capabilities");
        assert_eq!(capabilities.map(|field| field.controls.len()).collect::<Vec<_>>(), [1, 1]);
        assert!(levels.fields.iter().all(|field| field.verdict == Verdict::Pass));
    }

    #[test]
    fn a_field_is_as_bad_as_the_worst_of_its_controls() {
        let of = |pid: Option<Verdict>, ipc: Option<Verdict>| {
            let levels = levels(Unspecified, Unspecified, &[("host-pid", pid), ("host-ipc", ipc)]);
            field(&levels, "Host Namespaces").verdict
        };
        use Verdict::{Drift, Exempt, Fail, Pass, Unknown};
        assert_eq!(of(Some(Pass), Some(Exempt)), Exempt);
        assert_eq!(of(Some(Unknown), Some(Exempt)), Unknown);
        assert_eq!(of(Some(Unknown), Some(Fail)), Fail);
        assert_eq!(of(Some(Drift), Some(Fail)), Drift);
        assert_eq!(of(Some(Pass), None), Unknown, "not told of");
        assert_eq!(of(Some(Pass), Some(Verdict::Unspecified)), Unknown, "a verdict of a newer agent");
    }

    #[test]
    fn what_is_told_twice_is_as_bad_as_the_worse() {
        let said = |verdict: Verdict| v1::ControlPosture {
            control: "seccomp".to_owned(),
            verdict: verdict.into(),
            ..Default::default()
        };
        let told = [said(Verdict::Pass), said(Verdict::Fail), said(Verdict::Pass)];
        assert_eq!(worst("seccomp", &told).unwrap().verdict(), Verdict::Fail);
        assert!(worst("host-pid", &told).is_none());
    }

    #[test]
    fn fields_between_the_levels_make_the_difference() {
        let bad = [
            ("host-network", Some(Verdict::Fail)),
            ("host-path", Some(Verdict::Exempt)),
            ("seccomp", Some(Verdict::Drift)),
            ("lsm-profile", Some(Verdict::Unknown)),
        ];
        let all = levels(Restricted, Privileged, &bad);
        assert!(all.is_weaker);
        assert_eq!(weakening(&all), ["Host Namespaces", "HostPath Volumes", "Seccomp"]);
        let declared_weaker = levels(Baseline, Privileged, &bad);
        assert_eq!(weakening(&declared_weaker), ["Host Namespaces", "HostPath Volumes"]);
        for (declared, observed) in
            [(Privileged, Privileged), (Baseline, Restricted), (Unspecified, Privileged)]
        {
            let levels = levels(declared, observed, &bad);
            assert!(!levels.is_weaker && weakening(&levels).is_empty(), "{declared:?} {observed:?}");
        }
    }

    #[test]
    fn a_level_that_is_not_known_is_weaker_where_a_field_is_not_kept() {
        let bad = [("seccomp", Some(Verdict::Fail)), ("host-pid", Some(Verdict::Unknown))];
        assert_eq!(weakening(&levels(Restricted, Unspecified, &bad)), ["Seccomp"]);
        assert!(levels(Restricted, Unspecified, &bad).is_weaker);
        assert!(!levels(Baseline, Unspecified, &bad).is_weaker);
        assert!(!levels(Restricted, Unspecified, &bad[1..]).is_weaker);
    }

    #[test]
    fn what_is_not_judged_is_not_kept_where_a_level_was_made_without_it() {
        let left_out = [("host-ipc", None)];
        assert_eq!(weakening(&levels(Restricted, Privileged, &left_out)), ["Host Namespaces"]);
        assert!(!levels(Restricted, Unspecified, &left_out).is_weaker);
        let levels = levels(Restricted, Privileged, &left_out);
        let said = field(&levels, "Host Namespaces").controls.last().unwrap();
        assert_eq!((said.control.as_str(), said.unknown_reason.as_str()), ("host-ipc", NOT_JUDGED));
    }
}
