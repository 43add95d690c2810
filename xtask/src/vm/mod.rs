//! `vm-test`: Debian's kernels in virtual machines, the agent in them, and whether it says what it should.
//! The processor is emulated, so this runs wherever the build does and takes about a minute a kernel.

mod apt;
mod check;
mod initramfs;
mod kernel;
mod qemu;

use std::{fs, process::ExitCode};

use anyhow::Result;

use self::{apt::Apt, check::Report};
use crate::{bpf, setup, workspace::Workspace};

/// The container of the virtual machine, by its cgroup's name.
const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Lines of a console that are shown of a failure.
const TAIL: usize = 40;

/// Arguments of `vm-test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Series of kernels, of each the newest that Debian has. One that was downloaded before is taken from
    /// target/vm/SERIES.
    #[arg(long, num_args = 1.., value_delimiter = ',', default_values = ["5.10", "6.1", "6.12", "7"])]
    kernel: Vec<String>,
}

/// Runs the agent on the kernels; the exit code tells whether all that ran were as they should be.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    setup::install_vm()?;
    bpf::build(workspace)?;
    let dir = workspace.target.join("vm");
    fs::create_dir_all(&dir)?;
    let initramfs = initramfs::build(workspace, &dir)?;

    let mut apt = Apt::new(&dir.join("apt"));
    let mut rows = Vec::new();
    let (mut ran, mut failed) = (0, 0);
    for series in &args.kernel {
        let kernel = match kernel::fetch(&mut apt, &dir, series) {
            Ok(kernel) => kernel,
            Err(error) => {
                rows.push(format!("{series:<26} SKIPPED: {error:#}"));
                continue;
            }
        };
        eprintln!("vm-test: booting {series}");
        let console = qemu::boot(&kernel, &initramfs)?;
        fs::write(dir.join(series).join("console"), &console)?;
        let report = Report::parse(&console);
        let problems = report.problems(CONTAINER);
        ran += 1;
        if !problems.is_empty() {
            failed += 1;
            let lines: Vec<_> = console.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(TAIL)..].join("\n"));
        }
        rows.push(report.row(series, &problems));
    }
    println!("{}", check::HEADING);
    for row in rows {
        println!("{row}");
    }
    // Nothing run is nothing proved.
    Ok(if failed == 0 && ran > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
