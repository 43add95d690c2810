use agent_abi::{
    hook::Hook,
    interest::{ABI_COMPAT, ABI_NATIVE, ABI_X32, ENTRY_SHIFT, SYSCALLS, predicate},
    map::{HANDLER_CREDENTIALS, HANDLER_FILE, HANDLER_SOCKET},
    uring,
};
use nix::libc;

use super::{Family, Only, Wants, all, by_name, find, native};
use crate::kernel::{Hierarchy, Layout};

fn of(wants: &Wants, abi: u8, number: usize) -> agent_abi::interest::Want {
    let interest = wants.table()[number];
    assert_eq!(interest.wanted >> abi & 1 != 0, interest.wants[usize::from(abi)].handler != 0);
    interest.wants[usize::from(abi)]
}

#[test]
fn names_are_unique_and_numbers_fit() {
    let mut names: Vec<_> = all().map(|call| call.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all().count());
    for call in all() {
        let numbers = call.native.iter().chain(call.compat).chain(&call.x32);
        assert!(numbers.clone().all(|&number| number < SYSCALLS), "{}", call.name);
        assert_ne!(numbers.count(), 0, "{}", call.name);
    }
}

#[test]
fn no_number_has_two_calls() {
    for abi in [ABI_NATIVE, ABI_COMPAT, ABI_X32] {
        for number in 0..SYSCALLS {
            let calls: Vec<_> = all()
                .filter(|call| match abi {
                    ABI_NATIVE => call.native == Some(number),
                    ABI_COMPAT => call.compat.contains(&number),
                    _ => call.x32.or(call.native) == Some(number),
                })
                .map(|call| call.name)
                .collect();
            assert!(calls.len() < 2, "{abi} {number}: {calls:?}");
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_abis_do_not_mix() {
    let mut wants = Wants::posture();
    wants.add_family(Family::Files, Only::default());
    // 5 is fstat natively and open in the 32-bit table.
    assert_eq!(of(&wants, ABI_NATIVE, 5).handler, 0);
    assert_eq!(u32::from(of(&wants, ABI_COMPAT, 5).handler), HANDLER_FILE);
    assert_eq!(u32::from(of(&wants, ABI_NATIVE, 2).handler), HANDLER_FILE);
    assert_eq!(u32::from(of(&wants, ABI_X32, 2).handler), HANDLER_FILE);
    assert_eq!(u32::from(of(&wants, ABI_NATIVE, 157).handler), HANDLER_CREDENTIALS);
    assert_eq!(of(&wants, ABI_COMPAT, 339).name, 5, "fanotify_mark has a 64-bit mask in two arguments");
    assert_eq!(wants.table()[110].wanted, 0, "getppid is nobody's");
    assert_eq!(find(ABI_X32, 521).map(|call| call.name), Some("ptrace"));
    assert_eq!(find(ABI_NATIVE, 521).map(|call| call.name), None);
}

#[test]
fn what_nobody_wants_costs_nothing() {
    let table = Wants::posture().table();
    let open = by_name("openat").unwrap();
    assert_eq!(table[open.native.unwrap() as usize].wants[0].handler, 0);
}

#[test]
fn two_consumers_get_what_either_wants() {
    let open = by_name("openat").unwrap();
    let number = open.native.unwrap() as usize;
    let mut wants = Wants::default();
    wants.add(open, Only { writes: true, containers: true, ok: true, ..Only::default() });
    assert_eq!(
        of(&wants, ABI_NATIVE, number).predicates,
        predicate::WRITES | predicate::CONTAINERS | predicate::OK | predicate::BULK
    );
    wants.add(open, Only { containers: true, failed: true, ..Only::default() });
    assert_eq!(of(&wants, ABI_NATIVE, number).predicates, predicate::CONTAINERS | predicate::BULK);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn socketcall_is_wanted_where_one_of_its_calls_is() {
    let mut wants = Wants::default();
    assert_eq!(of(&wants, ABI_COMPAT, 102).handler, 0);
    wants.add(by_name("connect").unwrap(), Only { failed: true, ..Only::default() });
    wants.add(by_name("bind").unwrap(), Only { ok: true, ..Only::default() });
    let socketcall = of(&wants, ABI_COMPAT, 102);
    assert_eq!(u32::from(socketcall.handler), HANDLER_SOCKET);
    assert_eq!(socketcall.predicates, predicate::BULK, "what either wants");
    assert_eq!(of(&wants, ABI_COMPAT, 364).handler, 0, "nobody wants accept4");
    // The handler looks the calls up by these numbers of their own.
    let own = [359, 361, 362, 363, 364, 369, 370, 345].map(|number| find(ABI_COMPAT, number).unwrap().name);
    let expected = ["socket", "bind", "connect", "listen", "accept4", "sendto", "sendmsg", "sendmmsg"];
    assert_eq!(own, expected);
}

/// The C library has numbers of its own from the same kernel headers.
#[test]
fn native_numbers_are_those_of_the_c_library() {
    for (name, number) in [
        ("openat", libc::SYS_openat),
        ("renameat2", libc::SYS_renameat2),
        ("mount", libc::SYS_mount),
        ("ptrace", libc::SYS_ptrace),
        ("connect", libc::SYS_connect),
        ("bpf", libc::SYS_bpf),
        ("finit_module", libc::SYS_finit_module),
        ("setresuid", libc::SYS_setresuid),
        ("settimeofday", libc::SYS_settimeofday),
        ("memfd_create", libc::SYS_memfd_create),
        ("clone3", libc::SYS_clone3),
    ] {
        assert_eq!(by_name(name).unwrap().native.map(i64::from), Some(number), "{name}");
        assert_eq!(i64::from(native(name)), number, "{name}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn calls_that_may_not_return_are_wanted_on_entry_in_every_abi() {
    let mut wants = Wants::default();
    assert!(!wants.hooks().contains(Hook::SysEnter));
    wants.add(by_name("kexec_load").unwrap(), Only::default());
    wants.add(by_name("openat").unwrap(), Only::default());
    assert!(wants.hooks().contains(Hook::SysEnter));
    let table = wants.table();
    let on_entry = |number: usize| table[number].wanted >> ENTRY_SHIFT;
    assert_eq!(on_entry(246), 1 << ABI_NATIVE);
    assert_eq!(on_entry(283), 1 << ABI_COMPAT);
    assert_eq!(on_entry(528), 1 << ABI_X32);
    assert_eq!(on_entry(257), 0, "openat returns");
}

#[test]
fn who_wants_a_call_wants_it_through_a_ring() {
    let layout = Layout::read(Hierarchy::V2, [4096, 4096]).unwrap().uring;
    let mut wants = Wants::posture();
    assert!(wants.operations(&layout).iter().all(|operation| operation.kind == uring::kind::UNWANTED));
    assert!(!wants.hooks().contains(Hook::UringSubmit));
    wants.add(by_name("renameat2").unwrap(), Only { containers: true, ..Only::default() });
    assert!(wants.hooks().contains(Hook::UringSubmit) && wants.hooks().contains(Hook::UringComplete));
    let operations = wants.operations(&layout);
    let wanted: Vec<_> =
        (0..).zip(&operations).filter(|(_, operation)| operation.kind != uring::kind::UNWANTED).collect();
    let [(opcode, rename)] = wanted[..] else { panic!("{wanted:?}") };
    assert_eq!(super::uring::name(opcode), Some("renameat"));
    assert_eq!(rename.kind, uring::kind::PATH);
    assert_eq!(rename.predicates, predicate::CONTAINERS | predicate::BULK);
}

#[test]
fn calls_of_operations_are_in_the_table() {
    for row in super::uring::OPERATION_ROWS {
        assert!(super::uring::name(row.opcode).is_some());
        let known = row.calls.iter().filter(|name| by_name(name).is_some()).count();
        assert_ne!(known, 0, "{}: nobody could want it", row.opcode);
    }
}
