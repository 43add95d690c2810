//! Calls on processes and their memory. Numbers are those of libc 0.2.191 and, where it has none, of Linux 6.18; columns as in
//! [`super::row::calls`].

use agent_abi::interest::RESULT;

use super::row::{Call, Family, calls, file, path, plain};

/// `CLONE_NEWNS`, `CLONE_NEWCGROUP`, `…UTS`, `…IPC`, `…USER`, `…PID`, `…NET`
/// (include/uapi/linux/sched.h).
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// `CLONE_NEWTIME` and `CLONE_INTO_CGROUP`, which `clone3` alone takes.
const CLONE3_ONLY: u64 = 0x80 | 1 << 33;
/// `PROT_WRITE | PROT_EXEC` (include/uapi/asm-generic/mman-common.h).
const WRITE_AND_EXECUTE: u64 = 2 | 4;
/// `MAP_ANONYMOUS` (include/uapi/asm-generic/mman-common.h): there is no file, whatever the descriptor.
const MAP_ANONYMOUS_BIT: u8 = 5;
/// `struct mmap_arg_struct32` (arch/x86/kernel/sys_ia32.c): the six arguments of i386's first mmap, in
/// memory, the protection third.
const OLD_MMAP_BYTES: u8 = 24;

calls! { PROCESSES, Processes;
    execve              59       [11] 520 221       [11] => path(0).failed();
    execveat           322      [358] 545 281      [387] => path(1).dir(0).failed();
    clone               56      [120]   _ 220      [120] => plain().any(0, NEW_NAMESPACES).critical();
    clone3             435      [435]   _ 435      [435] => plain().text(0).text_len(1).text_any(NEW_NAMESPACES | CLONE3_ONLY).critical();
    ptrace             101       [26] 521 117       [26] => plain().pid(1).critical();
    process_vm_readv   310      [347] 539 270      [376] => plain().pid(0).critical();
    process_vm_writev  311      [348] 540 271      [377] => plain().pid(0).critical();
    pidfd_open         434      [434]   _ 434      [434] => plain().pid(0);
    pidfd_getfd        438      [438]   _ 438      [438] => plain().pidfd(0).critical();
    pidfd_send_signal  424      [424]   _ 424      [424] => plain().pidfd(0);
    kill                62       [37]   _ 129       [37] => plain().pid(0);
    tkill              200      [238]   _ 130      [238] => plain().pid(0);
    tgkill             234      [270]   _ 131      [268] => plain().pid(0);
    rt_sigqueueinfo    129      [178] 524 138      [178] => plain().pid(0);
    rt_tgsigqueueinfo  297      [335] 536 240      [363] => plain().pid(0);
    personality        135      [136]   _  92      [136] => plain();
    memfd_create       319      [356]   _ 279      [385] => file(RESULT).text(0);
    memfd_secret       447      [447]   _ 447      [447] => file(RESULT);
    mmap                 9      [192]   _ 222      [192] => file(4).unless(3, MAP_ANONYMOUS_BIT).all(2, WRITE_AND_EXECUTE);
    old_mmap             _       [90]   _   _         [] => plain().bytes(0, OLD_MMAP_BYTES).text_all(2, WRITE_AND_EXECUTE);
    mprotect            10      [125]   _ 226      [125] => plain().all(2, WRITE_AND_EXECUTE);
    pkey_mprotect      329      [380]   _ 288      [394] => plain().all(2, WRITE_AND_EXECUTE);
    userfaultfd        323      [374]   _ 282      [388] => plain().critical();
    setrlimit          160       [75]   _   _       [75] => plain();
    prlimit64          302      [340]   _ 261      [369] => plain().pid(0);
    keyctl             250      [288]   _ 219      [311] => plain();
    add_key            248      [286]   _ 217      [309] => plain().text(0);
    request_key        249      [287]   _ 218      [310] => plain().text(0);
}
