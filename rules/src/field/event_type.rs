//! The names `evt.type` can have, and sets of them.

use std::{collections::HashMap, sync::LazyLock};

/// Names of system calls, of kernel events that are none, and of events that Falco makes itself (libscap's
/// `PPM_SC_FIELDS` and event table, libs 0.24; the container plugin's two). Falco refuses a rule that compares
/// `evt.type` with any other.
const NAMES: &str = "
    _llseek _newselect _sysctl accept accept4 access acct add_key adjtimex alarm arch_prctl asyncevent
    bdflush bind bpf brk cachestat capget capset chdir chmod chown chroot clock_adjtime clock_getres
    clock_gettime clock_nanosleep clock_settime clone clone3 close close_range connect container
    container_removed copy_file_range cpu_hotplug creat create_module delete_module drop dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
    eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_init
    fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fcntl64 fdatasync fgetxattr
    file_getattr file_setattr finit_module flistxattr flock fork fremovexattr fsconfig fsetxattr fsmount
    fsopen fspick fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate futex futex_requeue futex_wait
    futex_waitv futex_wake futimesat get_kernel_syms get_mempolicy get_robust_list get_thread_area getcpu
    getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getitimer
    getpeername getpgid getpgrp getpid getpmsg getppid getpriority getrandom getresgid getresgid32 getresuid
    getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32
    getxattr getxattrat groupadded groupdeleted idle infra init_module inotify_add_watch inotify_init
    inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
    io_uring_enter io_uring_register io_uring_setup ioctl ioperm iopl ioprio_get ioprio_set ipc k8s kcmp
    kexec_file_load kexec_load keyctl kill landlock_add_rule landlock_create_ruleset landlock_restrict_self
    lchown lgetxattr link linkat listen listmount listxattr listxattrat llistxattr llseek lookup_dcookie
    lremovexattr lseek lsetxattr lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat lstat64 madvise
    map_shadow_stack mbind membarrier memfd_create memfd_secret mesos migrate_pages mincore mkdir mkdirat
    mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mount mount_setattr move_mount move_pages
    mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl
    msgget msgrcv msgsnd msync multiplexer munlock munlockall munmap name_to_handle_at nanosleep newfstatat
    nfsservctl nice notification oldfstat oldlstat oldolduname oldstat olduname open open_by_handle_at
    open_tree open_tree_attr openat openat2 page_fault page_fault_kernel page_fault_user pause
    pciconfig_iobase pciconfig_read pciconfig_write perf_event_open personality pidfd_getfd pidfd_open
    pidfd_send_signal pipe pipe2 pivot_root pkey_alloc pkey_free pkey_mprotect pluginevent poll ppoll prctl
    pread pread64 preadv preadv2 prlimit prlimit64 process_madvise process_mrelease process_vm_readv
    process_vm_writev procexit procinfo pselect6 ptrace pwrite pwrite64 pwritev pwritev2 query_module
    quotactl quotactl_fd read readahead readdir readlink readlinkat readv reboot recv recvfrom recvmmsg
    recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 request_key restart_syscall
    riscv_flush_icache riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo rtas s390_guarded_storage
    s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr s390_sthyi scapevent sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_process_exit sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam
    sched_setscheduler sched_switch sched_yield seccomp select semctl semget semop semtimedop send sendfile
    sendfile64 sendmmsg sendmsg sendto set_mempolicy set_mempolicy_home_node set_robust_list set_thread_area
    set_tid_address setdomainname setfsgid setfsuid setgid setgid32 setgroups sethostname setitimer setns
    setpgid setpriority setregid setresgid setresgid32 setresuid setresuid32 setreuid setrlimit setsid
    setsockopt settimeofday setuid setuid32 setxattr setxattrat sgetmask shmat shmctl shmdt shmget shutdown
    sigaction sigaltstack signal signal_deliver signaldeliver signalfd signalfd4 sigpending sigprocmask
    sigreturn sigsuspend socket socketcall socketpair splice spu_create spu_run ssetmask stat stat64 statfs
    statfs64 statmount statx stime subpage_prot swapcontext swapoff swapon switch switch_endian symlink
    symlinkat sync sync_file_range sync_file_range2 syncfs sys_debug_setcontext syscall sysfs sysinfo syslog
    tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd
    timerfd_create timerfd_gettime timerfd_settime times tkill tracer truncate ugetrlimit umask umount
    umount2 uname unknown unlink unlinkat unshare uselib useradded userdeleted userfaultfd ustat utime
    utimensat utimes vfork vhangup vm86 vmsplice wait4 waitid waitpid write writev";

/// The names in order, and each name's place.
static TYPES: LazyLock<(Vec<&str>, HashMap<&str, u16>)> = LazyLock::new(|| {
    let names: Vec<&str> = NAMES.split_whitespace().take(EventSet::CAPACITY).collect();
    let places = names.iter().zip(0..).map(|(&name, place)| (name, place)).collect();
    (names, places)
});

/// A type of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(u16);

impl EventType {
    /// The type of this name, if there is one.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        TYPES.1.get(name).copied().map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        TYPES.0.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// Its place among all types.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }

    /// All types, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).map(Self).take(TYPES.0.len())
    }
}

/// A set of types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventSet([u64; Self::WORDS]);

impl EventSet {
    const WORDS: usize = 8;
    /// How many types a set has room for.
    const CAPACITY: usize = Self::WORDS * 64;

    /// No type.
    pub const EMPTY: Self = Self([0; Self::WORDS]);

    /// Every type.
    #[must_use]
    pub fn all() -> Self {
        EventType::all().collect()
    }

    /// Puts one in.
    pub fn insert(&mut self, event: EventType) {
        if let Some(word) = self.0.get_mut(usize::from(event.0 / 64)) {
            *word |= 1 << (event.0 % 64);
        }
    }

    /// Whether it is in.
    #[must_use]
    pub fn contains(&self, event: EventType) -> bool {
        self.0.get(usize::from(event.0 / 64)).is_some_and(|word| word & (1 << (event.0 % 64)) != 0)
    }

    /// Those in both.
    #[must_use]
    pub fn intersection(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        self
    }

    /// Those in either.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
        self
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The types in it, by name.
    pub fn iter(&self) -> impl Iterator<Item = EventType> + '_ {
        EventType::all().filter(|event| self.contains(*event))
    }
}

impl FromIterator<EventType> for EventSet {
    fn from_iter<T: IntoIterator<Item = EventType>>(types: T) -> Self {
        let mut set = Self::EMPTY;
        types.into_iter().for_each(|event| set.insert(event));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_each_once_and_have_room() {
        let names: Vec<&str> = NAMES.split_whitespace().collect();
        assert!(names.is_sorted_by(|a, b| a < b), "in order, each once");
        assert!(names.len() <= EventSet::CAPACITY, "{} names", names.len());
        assert_eq!(EventType::all().count(), names.len());
    }

    #[test]
    fn a_type_is_found_by_its_name() {
        let openat = EventType::find("openat").unwrap();
        assert_eq!(openat.name(), "openat");
        assert_eq!(EventType::find("openat3"), None);
    }

    #[test]
    fn a_set_is_a_set() {
        let open = EventType::find("open").unwrap();
        let close = EventType::find("close").unwrap();
        let both: EventSet = [open, close].into_iter().collect();
        assert!(both.contains(open) && both.contains(close));
        assert_eq!(both.len(), 2);
        let only: EventSet = [open].into_iter().collect();
        assert_eq!(both.intersection(&only), only);
        assert_eq!(EventSet::EMPTY.union(&only), only);
        assert_eq!(EventSet::all().len(), EventType::all().count());
        assert_eq!(both.iter().map(EventType::name).collect::<Vec<_>>(), ["close", "open"]);
        assert!(EventSet::EMPTY.is_empty() && !only.is_empty());
    }
}
