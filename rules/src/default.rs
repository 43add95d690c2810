//! The rules that come with Kestrel: `rules/default`, by tactic of ATT&CK.

macro_rules! files {
    ($($name:literal)+) => {
        const COUNT: usize = [$($name),+].len();

        /// Names and contents, in the order in which they are loaded.
        pub const FILES: [(&str, &str); COUNT] = [$((
            concat!("builtin/", $name),
            include_str!(concat!("../default/", $name)),
        )),+];
    };
}

files! {
    "00_common.yaml"
    "collection.yaml"
    "command_and_control.yaml"
    "credential_access.yaml"
    "defense_evasion.yaml"
    "discovery.yaml"
    "execution.yaml"
    "exfiltration.yaml"
    "impact.yaml"
    "initial_access.yaml"
    "lateral_movement.yaml"
    "persistence.yaml"
    "privilege_escalation.yaml"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/default")).unwrap();
        let mut names: Vec<_> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".yaml"))
            .map(|name| format!("builtin/{name}"))
            .collect();
        names.sort();
        assert_eq!(FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
    }
}
