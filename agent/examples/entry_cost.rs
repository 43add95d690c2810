//! What it costs the calls that nobody wants to see others on their entry, beside a program on `sys_exit`:
//! `cargo xtask build-ebpf && cargo run -p kestrel-agent --example entry_cost`, as root. Each way
//! against the same loop without it, interleaved; medians of 25 pairs.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for people")]

use std::{num::NonZeroUsize, time::Instant};

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, TracePoint},
};
use nix::{
    fcntl::OFlag,
    sched::{CpuSet, sched_setaffinity},
    sys::{
        mman::{MapFlags, ProtFlags, mmap_anonymous, munmap},
        stat::Mode,
    },
    unistd::Pid,
};

const PAIRS: usize = 25;
const CALLS: [&str; 7] =
    ["reboot", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "bpf"];

#[derive(Clone, Copy)]
enum Way {
    Nothing,
    SysEnter,
    OneTracepointEach,
    CapabilityCheck,
}

fn main() {
    let mut cpus = CpuSet::new();
    cpus.set(0).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
    let bytes = std::fs::read("target/bpf/entry.bpf.o").unwrap();
    let mut object = Ebpf::load(&bytes).unwrap();
    let types = Btf::from_sys_fs().unwrap();
    for (program, tracepoint) in
        [("exit_look_up", "sys_exit"), ("enter_look_up", "sys_enter"), ("capability_check", "cap_capable")]
    {
        if let Err(error) = btf(&mut object, program).load(tracepoint, &types) {
            println!("{tracepoint}: {error}");
        }
    }
    classic(&mut object).load().unwrap();
    let _exit = btf(&mut object, "exit_look_up").attach().unwrap();
    let workloads: [(&str, u64, fn()); 3] = [
        ("getppid", 60_000, || {
            nix::unistd::getppid();
        }),
        ("open+close", 15_000, || {
            drop(nix::fcntl::open("/dev/null", OFlag::O_RDONLY, Mode::empty()).unwrap());
        }),
        ("mmap+munmap", 15_000, map),
    ];
    println!("{:<14}{:<28}{:>9}{:>9}{:>9}{:>8}", "", "", "without", "with", "more", "ratio");
    for (name, rounds, workload) in workloads {
        for (title, way) in [
            ("none (the noise)", Way::Nothing),
            ("tp_btf/sys_enter", Way::SysEnter),
            ("syscalls:sys_enter_*, 7 of", Way::OneTracepointEach),
            ("tp_btf/cap_capable", Way::CapabilityCheck),
        ] {
            let mut pairs: Vec<(f64, f64)> = Vec::new();
            for round in 0..=PAIRS {
                let mut with = || attached(&mut object, way, || time(rounds, workload));
                let pair = if round % 2 == 0 {
                    let without = time(rounds, workload);
                    (without, with())
                } else {
                    let with = with();
                    (time(rounds, workload), with)
                };
                // The first warms up.
                if round > 0 {
                    pairs.push(pair);
                }
            }
            let without = median(pairs.iter().map(|pair| pair.0));
            let with = median(pairs.iter().map(|pair| pair.1));
            let more = median(pairs.iter().map(|pair| pair.1 - pair.0));
            let ratio = median(pairs.iter().map(|pair| pair.1 / pair.0));
            println!("{name:<14}{title:<28}{without:>6.1} ns{with:>6.1} ns{more:>6.1} ns{ratio:>8.3}");
        }
    }
}

fn map() {
    let len = NonZeroUsize::new(4096).unwrap();
    // SAFETY: a mapping of its own, gone again.
    #[expect(unsafe_code, reason = "a call that checks a capability")]
    unsafe {
        let address =
            mmap_anonymous(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE)
                .unwrap();
        munmap(address, 4096).unwrap();
    }
}

fn attached(object: &mut Ebpf, way: Way, body: impl FnOnce() -> f64) -> f64 {
    match way {
        Way::Nothing => body(),
        Way::SysEnter | Way::CapabilityCheck => {
            let name = if matches!(way, Way::SysEnter) { "enter_look_up" } else { "capability_check" };
            let program = btf(object, name);
            let Ok(link) = program.attach() else { return f64::NAN };
            let time = body();
            program.detach(link).unwrap();
            time
        }
        Way::OneTracepointEach => {
            let program = classic(object);
            let links: Vec<_> = CALLS
                .iter()
                .filter_map(|call| program.attach("syscalls", &format!("sys_enter_{call}")).ok())
                .collect();
            assert!(!links.is_empty(), "tracefs is not mounted");
            let time = body();
            for link in links {
                program.detach(link).unwrap();
            }
            time
        }
    }
}

fn time(rounds: u64, workload: fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..rounds {
        workload();
    }
    start.elapsed().as_nanos() as f64 / rounds as f64
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn btf<'a>(object: &'a mut Ebpf, name: &str) -> &'a mut BtfTracePoint {
    object.program_mut(name).unwrap().try_into().unwrap()
}

fn classic(object: &mut Ebpf) -> &mut TracePoint {
    object.program_mut("enter_of_one_call").unwrap().try_into().unwrap()
}
