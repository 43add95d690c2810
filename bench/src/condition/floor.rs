//! Empty programs on the hooks of the agent.

use std::{fs::File, path::Path};

use anyhow::{Context as _, Result};
use aya::{
    Btf, Ebpf,
    programs::{
        CgroupAttachMode, CgroupSkbAttachType, Program, ProgramError, cgroup_skb::CgroupSkbLinkId,
        cgroup_sysctl::CgroupSysctlLinkId, tp_btf::BtfTracePointLinkId,
    },
};
use kestrel_agent::kernel::v2_root;

/// Tracepoints of a hook that has another than its name, the newest first.
const OTHERS: [(&str, &[&str]); 2] = [
    ("io_uring_submit", &["io_uring_submit_req", "io_uring_submit_sqe"]),
    ("sys_enter", &["cap_capable", "sys_enter"]),
];

/// The programs, loaded once.
pub struct Floor {
    object: Ebpf,
    hooks: Vec<String>,
    links: Vec<(String, Link)>,
}

enum Link {
    Tracepoint(BtfTracePointLinkId),
    Packets(CgroupSkbLinkId),
    Sysctl(CgroupSysctlLinkId),
}

impl Floor {
    /// Loads them without attaching them.
    ///
    /// # Errors
    /// When the object cannot be read or the kernel refuses a program.
    pub fn load(object: &Path) -> Result<Self> {
        let bytes = std::fs::read(object)
            .with_context(|| format!("cannot read {}: run `cargo xtask build-ebpf`", object.display()))?;
        let mut object = Ebpf::load(&bytes)?;
        let types = Btf::from_sys_fs()?;
        let mut hooks: Vec<String> = object.programs().map(|(name, _)| name.to_owned()).collect();
        hooks.sort_unstable();
        for hook in &hooks {
            load(program(&mut object, hook)?, hook, &types).with_context(|| hook.clone())?;
        }
        Ok(Self { object, hooks, links: Vec::new() })
    }

    /// The hooks, sorted, by the names of the agent's pins.
    #[must_use]
    pub fn hooks(&self) -> &[String] {
        &self.hooks
    }

    /// Attaches all of them.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn attach(&mut self) -> Result<()> {
        for hook in &self.hooks {
            let link = attach(program(&mut self.object, hook)?, hook).with_context(|| hook.clone())?;
            self.links.push((hook.clone(), link));
        }
        Ok(())
    }

    /// Detaches them. Gives the ids of the programs that were attached.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn detach(&mut self) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for (hook, link) in self.links.drain(..) {
            let program = program(&mut self.object, &hook)?;
            ids.push(program.info()?.id());
            match (program, link) {
                (Program::BtfTracePoint(program), Link::Tracepoint(link)) => program.detach(link)?,
                (Program::CgroupSkb(program), Link::Packets(link)) => program.detach(link)?,
                (Program::CgroupSysctl(program), Link::Sysctl(link)) => program.detach(link)?,
                _ => anyhow::bail!("{hook} has a link of another kind"),
            }
        }
        Ok(ids)
    }
}

fn load(program: &mut Program, hook: &str, types: &Btf) -> Result<()> {
    match program {
        Program::BtfTracePoint(program) => {
            let own = [hook];
            let tracepoints =
                OTHERS.iter().find(|(name, _)| *name == hook).map_or(&own[..], |(_, others)| others);
            let mut result = Ok(());
            for tracepoint in tracepoints {
                result = program.load(tracepoint, types);
                if !matches!(result, Err(ProgramError::Btf(_))) {
                    break;
                }
            }
            result?;
        }
        Program::CgroupSkb(program) => program.load()?,
        Program::CgroupSysctl(program) => program.load()?,
        _ => anyhow::bail!("a program of a kind that the floor has not"),
    }
    Ok(())
}

fn attach(program: &mut Program, hook: &str) -> Result<Link> {
    let root = || -> Result<File> {
        let root = v2_root().map_err(anyhow::Error::msg)?;
        File::open(&root).with_context(|| root.display().to_string())
    };
    // A link is never alone: those of others stay.
    let mode = CgroupAttachMode::Single;
    Ok(match program {
        Program::BtfTracePoint(program) => Link::Tracepoint(program.attach()?),
        Program::CgroupSkb(program) => {
            let is_egress = hook.ends_with("egress");
            let way = if is_egress { CgroupSkbAttachType::Egress } else { CgroupSkbAttachType::Ingress };
            Link::Packets(program.attach(root()?, way, mode)?)
        }
        Program::CgroupSysctl(program) => Link::Sysctl(program.attach(root()?, mode)?),
        _ => anyhow::bail!("a program of a kind that the floor has not"),
    })
}

fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Program> {
    object.program_mut(name).with_context(|| format!("the floor has no program {name}"))
}
