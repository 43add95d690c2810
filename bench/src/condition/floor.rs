//! Empty programs on the hooks of the agent.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, tp_btf::BtfTracePointLinkId},
};

/// The programs, loaded once.
pub struct Floor {
    object: Ebpf,
    hooks: Vec<String>,
    links: Vec<(String, BtfTracePointLinkId)>,
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
            program(&mut object, hook)?.load(hook, &types).with_context(|| hook.clone())?;
        }
        Ok(Self { object, hooks, links: Vec::new() })
    }

    /// The tracepoints, sorted.
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
            let link = program(&mut self.object, hook)?.attach().with_context(|| hook.clone())?;
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
            program.detach(link)?;
            ids.push(program.info()?.id());
        }
        Ok(ids)
    }
}

fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint> {
    let program = object.program_mut(name).with_context(|| format!("the floor has no program {name}"))?;
    Ok(program.try_into()?)
}
