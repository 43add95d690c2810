//! What is attached while a workload runs, switched often enough that a slow drift of the machine
//! meets all conditions alike.

mod agent;
mod floor;
mod links;
mod programs;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

pub use agent::{Agent, AgentOptions};
pub use floor::Floor;
pub use links::others;
pub use programs::Programs;

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Nothing,
    /// Empty programs on the hooks of the agent.
    Floor,
    /// The agent.
    Agent,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Floor, Self::Agent];
}

/// Everything that the agent can be asked to see, but of opened files those below one path.
pub const ALL_STREAMS: &str = concat!(
    "streams: {processes: all, files: all, files_below: [/var/tmp], network: all, system: all, signals: all, ",
    "rate: 0}\n"
);

/// The configuration of an agent with the rules of a file, or with its own: the streams are on the same hooks as those of
/// [`ALL_STREAMS`], and leave files to the rules.
#[must_use]
pub fn with_rules(file: Option<&Path>) -> String {
    let rules = match file {
        Some(file) => format!("files: [{:?}]", file.display().to_string()),
        None => "builtin: on".to_owned(),
    };
    format!(
        "streams: {{processes: containers, files: off, network: containers, system: all, rate: 0}}\n\
         rules: {{{rules}}}\n"
    )
}

/// What stands for the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// A real `kestrel-agent run`, on whatever CPU the scheduler gives it.
    #[default]
    Process,
    /// Its kernel programs alone, their rings emptied every 5 ms and the records thrown away.
    Programs,
}

/// Switches between conditions. Dropping it leaves nothing attached.
pub struct Switch {
    floor: Floor,
    subject: Subject,
    agent: PathBuf,
    /// Of the agent.
    config: String,
    now: Attached,
}

/// Detaches when dropped.
enum Attached {
    Nothing,
    Floor,
    Programs(Programs),
    Agent(Agent),
}

impl Switch {
    /// Nothing is attached yet.
    #[must_use]
    pub fn new(floor: Floor, subject: Subject, agent: PathBuf, config: String) -> Self {
        Self { floor, subject, agent, config, now: Attached::Nothing }
    }

    /// Detaches what is attached, waits until the kernel says so, and attaches what `condition` says.
    ///
    /// # Errors
    /// When something does not attach or detach.
    pub fn to(&mut self, condition: Condition) -> Result<()> {
        self.clear()?;
        match (condition, self.subject) {
            (Condition::Nothing, _) => {}
            (Condition::Floor, _) => {
                self.now = Attached::Floor;
                self.floor.attach()?;
            }
            (Condition::Agent, Subject::Process) => {
                let options = AgentOptions { config: Some(self.config.clone()), ..AgentOptions::default() };
                let agent = Agent::start(&self.agent, &options)?;
                self.same_hooks(&agent.hooks()?)?;
                self.now = Attached::Agent(agent);
            }
            (Condition::Agent, Subject::Programs) => {
                let programs = Programs::attach()?;
                self.same_hooks(&programs.hooks())?;
                self.now = Attached::Programs(programs);
            }
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        let programs = match std::mem::replace(&mut self.now, Attached::Nothing) {
            Attached::Nothing => return Ok(()),
            Attached::Floor => self.floor.detach()?,
            Attached::Programs(programs) => programs.detach()?,
            Attached::Agent(agent) => agent.stop()?,
        };
        links::wait_gone(&programs)
    }

    fn same_hooks(&self, agent: &[String]) -> Result<()> {
        let floor = self.floor.hooks();
        ensure!(
            agent == floor,
            "the floor is not on the hooks of the agent ({agent:?}), but on {floor:?}: \
             bring agent-ebpf/src/bin/floor.rs up to date"
        );
        Ok(())
    }
}

/// The ids of programs that were pinned in `dir`, and the names of the hooks they are linked to.
fn pinned(dir: &Path) -> Result<(Vec<u32>, Vec<String>)> {
    let mut programs = Vec::new();
    let mut hooks = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if name.starts_with("program_") {
                programs.push(aya::programs::ProgramInfo::from_pin(entry.path())?.id());
            } else if let Some(hook) = name.strip_prefix("link_") {
                hooks.push(hook.to_owned());
            }
        }
    }
    hooks.sort_unstable();
    Ok((programs, hooks))
}
