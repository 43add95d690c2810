//! The daemons' configuration for this run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{AGENT_HTTP, COLLECTOR_HTTP, GRPC, run::Run};

/// Where they are.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) agent: PathBuf,
    pub(super) collector: PathBuf,
}

/// Writes them. Plain text between the two is fine: it stays on this machine.
pub(super) fn write(run: &Run, cri_socket: Option<&Path>) -> Result<Files> {
    let socket = cri_socket.map_or_else(|| "auto".to_owned(), quoted);
    let agent = format!(
        "state_dir: {state}\n\
         pin_dir: {pins}\n\
         cri:\n  socket: {socket}\n\
         http:\n  listen: {AGENT_HTTP}\n\
         findings:\n  file: {findings}\n\
         uplink:\n  endpoint: http://{GRPC}\n",
        state = quoted(&run.dir.join("state")),
        pins = quoted(&run.pins),
        findings = quoted(&run.dir.join("findings.jsonl")),
    );
    let collector = format!(
        "data_dir: {data}\n\
         grpc:\n  listen: {GRPC}\n\
         http:\n  listen: {COLLECTOR_HTTP}\n",
        data = quoted(&run.dir.join("collector")),
    );
    let put = |name: &str, text: String| {
        let file = run.dir.join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        anyhow::Ok(file)
    };
    Ok(Files { agent: put("agent.yaml", agent)?, collector: put("collector.yaml", collector)? })
}

/// As YAML takes any text.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_one_text() {
        assert_eq!(quoted(Path::new("/a: b/it's")), "'/a: b/it''s'");
    }
}
