//! The fields by name: what Falco 0.44 lists (libsinsp's filter checks and its container plugin), what it
//! still takes though it is no longer listed, and what only Kestrel sees.

use super::{Definition, Kind, Parameter, Traits};

/// Defines the enum of fields together with their table, so that neither can miss an entry. A line is
/// the variant, the name, the kind, the kind of argument in brackets, its traits, and its meaning.
macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $([$parameter:ident])? $($property:ident)* :
        $meaning:literal;)+) => {
        /// A field of an event, by its name in rules.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $(#[doc = concat!("`", $name, "`: ", $meaning, ".")] $variant),+ }

        /// Every field, in the order of [`Field`].
        pub(super) const TABLE: &[Definition] = &[$(Definition {
            field: Field::$variant,
            name: $name,
            kind: Kind::$kind,
            parameter: fields!(@ $($parameter)?),
            traits: Traits::NONE $(.with(Traits::$property))*,
            meaning: $meaning,
        }),+];
    };
    (@) => { Parameter::None };
    (@ $parameter:ident) => { Parameter::$parameter };
}

fields! {
    // Of every event.
    EvtNum "evt.num" UInt64: "number of the event, counted from the start";
    EvtTime "evt.time" Text: "time of day with nanoseconds";
    EvtTimeS "evt.time.s" Text: "time of day in seconds";
    EvtTimeIso8601 "evt.time.iso8601" Text: "time in ISO 8601 with nanoseconds, UTC";
    EvtDatetime "evt.datetime" Text: "date and time with nanoseconds";
    EvtDatetimeS "evt.datetime.s" Text: "date and time in seconds";
    EvtRawtime "evt.rawtime" AbsTime: "nanoseconds since the epoch";
    EvtRawtimeS "evt.rawtime.s" AbsTime: "seconds since the epoch";
    EvtRawtimeNs "evt.rawtime.ns" AbsTime: "nanoseconds within the second";
    EvtReltime "evt.reltime" RelTime: "nanoseconds since the first event";
    EvtReltimeS "evt.reltime.s" RelTime: "seconds since the first event";
    EvtReltimeNs "evt.reltime.ns" RelTime: "nanoseconds within the second since the first event";
    EvtPluginname "evt.pluginname" Text: "plugin that made the event";
    EvtPlugininfo "evt.plugininfo" Text: "what that plugin says of the event";
    EvtSource "evt.source" Text: "source of the event, as in a rule's `source`";
    EvtIsAsync "evt.is_async" Bool: "whether the event was made beside the stream of the kernel";
    EvtAsynctype "evt.asynctype" Text: "type of such an event";
    EvtHostname "evt.hostname" Text: "name of the node";

    // Of calls to the kernel.
    EvtDeltatime "evt.deltatime" RelTime: "nanoseconds since the event before";
    EvtDeltatimeS "evt.deltatime.s" RelTime: "seconds since the event before";
    EvtDeltatimeNs "evt.deltatime.ns" RelTime: "nanoseconds within the second since the event before";
    EvtType "evt.type" Text: "name of the event, mostly that of the system call";
    EvtTypeIs "evt.type.is" UInt32 [EventType]: "1 when the event is of the type given, else 0";
    SyscallType "syscall.type" Text: "name of the system call; missing for other events";
    EvtCategory "evt.category" Text: "what the event is about: file, net, memory, process and so on";
    EvtCpu "evt.cpu" Int16: "number of the processor";
    EvtArgs "evt.args" Text: "all arguments of the event as one text";
    EvtArg "evt.arg" Text [EventArgument]: "one argument, by name or number, as text";
    EvtRawarg "evt.rawarg" Dynamic [RawArgument] FIXED: "one argument, by name, with its own type";
    EvtInfo "evt.info" Text: "the same as `evt.args`";
    EvtBuffer "evt.buffer" Bytes: "data read or written";
    EvtBuflen "evt.buflen" UInt64: "how many bytes were read or written";
    EvtRes "evt.res" Text: "`SUCCESS`, or the name of the error";
    EvtRawres "evt.rawres" Int64: "what the call returned";
    EvtFailed "evt.failed" Bool: "whether the call failed";
    EvtIsIo "evt.is_io" Bool: "whether the event reads or writes";
    EvtIsIoRead "evt.is_io_read" Bool: "whether the event reads";
    EvtIsIoWrite "evt.is_io_write" Bool: "whether the event writes";
    EvtIoDir "evt.io_dir" Text: "`r` when the event reads, `w` when it writes";
    EvtIsWait "evt.is_wait" Bool: "whether the thread waits in it";
    EvtIsSyslog "evt.is_syslog" Bool: "whether it writes to `/dev/log`";
    EvtCount "evt.count" UInt32: "always 1";
    EvtCountError "evt.count.error" UInt32: "1 when the call failed";
    EvtCountErrorFile "evt.count.error.file" UInt32: "1 when a call on files failed";
    EvtCountErrorNet "evt.count.error.net" UInt32: "1 when a call on the network failed";
    EvtCountErrorMemory "evt.count.error.memory" UInt32: "1 when a call on memory failed";
    EvtCountErrorOther "evt.count.error.other" UInt32: "1 when any other call failed";
    EvtCountExit "evt.count.exit" UInt32: "1 when the event is the end of a call";
    EvtAround "evt.around" UInt64 [Time] FIXED FILTER: "within so many milliseconds of the time given";
    EvtAbspath "evt.abspath" Text [Side]: "absolute path of a call that takes a folder and a name";
    EvtIsOpenRead "evt.is_open_read" Bool: "whether a file was opened for reading";
    EvtIsOpenWrite "evt.is_open_write" Bool: "whether a file was opened for writing";
    EvtIsOpenExec "evt.is_open_exec" Bool: "whether a file was made that can be executed";
    EvtIsOpenCreate "evt.is_open_create" Bool: "whether a file was made";
    EvtLatency "evt.latency" RelTime UNLISTED: "no longer measured: 0";
    EvtLatencyS "evt.latency.s" RelTime UNLISTED: "no longer measured: 0";
    EvtLatencyNs "evt.latency.ns" RelTime UNLISTED: "no longer measured: 0";
    EvtLatencyHuman "evt.latency.human" Text UNLISTED: "no longer measured: `0ns`";
    EvtWaitLatency "evt.wait_latency" RelTime UNLISTED: "no longer measured: 0";
    EvtDir "evt.dir" Text UNLISTED: "`<`: events are ends of calls";

    // The process.
    ProcExe "proc.exe" Text: "argv[0]";
    ProcPexe "proc.pexe" Text: "argv[0] of the parent";
    ProcAexe "proc.aexe" Text [Index] FIXED ANCESTORS: "argv[0] of an ancestor";
    ProcExepath "proc.exepath" Text: "path of the executable";
    ProcPexepath "proc.pexepath" Text: "path of the parent's executable";
    ProcAexepath "proc.aexepath" Text [Index] FIXED ANCESTORS: "path of an ancestor's executable";
    ProcName "proc.name" Text: "name of the process (comm)";
    ProcPname "proc.pname" Text: "name of the parent";
    ProcAname "proc.aname" Text [Index] FIXED ANCESTORS: "name of an ancestor";
    ProcArgs "proc.args" Text [Index]: "arguments after argv[0], or one of them";
    ProcAargs "proc.aargs" Text [Index] FIXED ANCESTORS: "arguments of an ancestor";
    ProcCmdline "proc.cmdline" Text: "name and arguments";
    ProcPcmdline "proc.pcmdline" Text: "name and arguments of the parent";
    ProcAcmdline "proc.acmdline" Text [Index] FIXED ANCESTORS: "name and arguments of an ancestor";
    ProcCmdnargs "proc.cmdnargs" UInt64: "how many arguments after argv[0]";
    ProcCmdlenargs "proc.cmdlenargs" UInt64: "length of these arguments without blanks between";
    ProcExeline "proc.exeline" Text: "argv[0] and arguments";
    ProcEnv "proc.env" Text [Name]: "environment as `NAME=value` with blanks between, or one variable";
    ProcAenv "proc.aenv" Text [IndexOrName] FIXED ANCESTORS: "environment of an ancestor, or one variable";
    ProcCwd "proc.cwd" Text: "working folder, with a slash at its end";
    ProcLoginshellid "proc.loginshellid" Int64: "pid of the oldest shell among the ancestors";
    ProcTty "proc.tty" UInt32: "controlling terminal; 0 without one";
    ProcPid "proc.pid" Int64: "pid";
    ProcPpid "proc.ppid" Int64: "pid of the parent";
    ProcApid "proc.apid" Int64 [Index] FIXED ANCESTORS: "pid of an ancestor";
    ProcVpid "proc.vpid" Int64: "pid in its own pid namespace";
    ProcPvpid "proc.pvpid" Int64: "pid of the parent in its own pid namespace";
    ProcSid "proc.sid" Int64: "session";
    ProcSname "proc.sname" Text: "name of the session's leader";
    ProcSidExe "proc.sid.exe" Text: "argv[0] of the session's leader";
    ProcSidExepath "proc.sid.exepath" Text: "path of its executable";
    ProcVpgid "proc.vpgid" Int64: "process group in its own pid namespace";
    ProcVpgidName "proc.vpgid.name" Text: "name of that group's leader";
    ProcVpgidExe "proc.vpgid.exe" Text: "argv[0] of that group's leader";
    ProcVpgidExepath "proc.vpgid.exepath" Text: "path of its executable";
    ProcPgid "proc.pgid" Int64: "process group on the host";
    ProcPgidName "proc.pgid.name" Text: "name of that group's leader";
    ProcPgidExe "proc.pgid.exe" Text: "argv[0] of that group's leader";
    ProcPgidExepath "proc.pgid.exepath" Text: "path of its executable";
    ProcDuration "proc.duration" RelTime: "nanoseconds since the process began";
    ProcPpidDuration "proc.ppid.duration" RelTime: "nanoseconds since the parent began";
    ProcPidTs "proc.pid.ts" RelTime: "when the process began, in nanoseconds since the epoch";
    ProcPpidTs "proc.ppid.ts" RelTime: "when the parent began, in nanoseconds since the epoch";
    ProcIsExeWritable "proc.is_exe_writable" Bool: "whether its user may write to the executable";
    ProcIsExeUpperLayer "proc.is_exe_upper_layer" Bool: "whether the executable came after the image";
    ProcIsExeLowerLayer "proc.is_exe_lower_layer" Bool: "whether the executable is of the image";
    ProcIsExeFromMemfd "proc.is_exe_from_memfd" Bool: "whether the executable is a memfd";
    ProcIsSidLeader "proc.is_sid_leader" Bool: "whether it leads its session";
    ProcIsVpgidLeader "proc.is_vpgid_leader" Bool: "whether it leads its group in its pid namespace";
    ProcIsPgidLeader "proc.is_pgid_leader" Bool: "whether it leads its group on the host";
    ProcExeIno "proc.exe_ino" Int64: "inode of the executable";
    ProcExeInoCtime "proc.exe_ino.ctime" AbsTime: "when that inode changed";
    ProcExeInoMtime "proc.exe_ino.mtime" AbsTime: "when the executable's content changed";
    ProcExeInoCtimeDurationProcStart "proc.exe_ino.ctime_duration_proc_start" AbsTime:
        "nanoseconds from the inode's change to the start of the process";
    ProcExeInoCtimeDurationPidnsStart "proc.exe_ino.ctime_duration_pidns_start" AbsTime:
        "nanoseconds from the start of the pid namespace to the inode's change";
    ProcPidnsInitStartTs "proc.pidns_init_start_ts" UInt64: "when the pid namespace began";
    ThreadCapPermitted "thread.cap_permitted" Text: "permitted capabilities by name, with blanks between";
    ThreadCapInheritable "thread.cap_inheritable" Text: "inheritable capabilities";
    ThreadCapEffective "thread.cap_effective" Text: "effective capabilities";
    ProcIsContainerHealthcheck "proc.is_container_healthcheck" Bool DEPRECATED:
        "whether it is a health check";
    ProcIsContainerLivenessProbe "proc.is_container_liveness_probe" Bool DEPRECATED:
        "whether it is a liveness probe";
    ProcIsContainerReadinessProbe "proc.is_container_readiness_probe" Bool DEPRECATED:
        "whether it is a readiness probe";
    ProcFdopencount "proc.fdopencount" UInt64: "how many descriptors are open";
    ProcFdlimit "proc.fdlimit" Int64: "how many descriptors it may open";
    ProcFdusage "proc.fdusage" Double: "open descriptors in per cent of the limit";
    ProcVmsize "proc.vmsize" UInt64: "virtual memory in KiB";
    ProcVmrss "proc.vmrss" UInt64: "resident memory in KiB";
    ProcVmswap "proc.vmswap" UInt64: "swapped memory in KiB";
    ThreadPfmajor "thread.pfmajor" UInt64: "major page faults";
    ThreadPfminor "thread.pfminor" UInt64: "minor page faults";
    ThreadTid "thread.tid" Int64: "id of the thread";
    ThreadIsmain "thread.ismain" Bool: "whether it is the process's main thread";
    ThreadVtid "thread.vtid" Int64: "id of the thread in its own pid namespace";
    ThreadExectime "thread.exectime" RelTime: "time on the processor since the last switch";
    ThreadTotexectime "thread.totexectime" RelTime: "time on the processor since the first event";
    ThreadCgroups "thread.cgroups" Text: "cgroups as `controller=path` with blanks between";
    ThreadCgroup "thread.cgroup" Text [Part]: "path of the cgroup of one controller";
    ProcNthreads "proc.nthreads" UInt64: "how many threads live, the main one among them";
    ProcNchilds "proc.nchilds" UInt64: "how many threads live beside the main one";
    ThreadCpu "thread.cpu" Double: "processor use of the last second";
    ThreadCpuUser "thread.cpu.user" Double: "that in user space";
    ThreadCpuSystem "thread.cpu.system" Double: "that in the kernel";
    ThreadVmsize "thread.vmsize" UInt64: "virtual memory in KiB for the main thread, else 0";
    ThreadVmrss "thread.vmrss" UInt64: "resident memory in KiB for the main thread, else 0";
    ProcStdinType "proc.stdin.type" Text: "type of descriptor 0";
    ProcStdoutType "proc.stdout.type" Text: "type of descriptor 1";
    ProcStderrType "proc.stderr.type" Text: "type of descriptor 2";
    ProcStdinName "proc.stdin.name" Text: "name of descriptor 0";
    ProcStdoutName "proc.stdout.name" Text: "name of descriptor 1";
    ProcStderrName "proc.stderr.name" Text: "name of descriptor 2";

    // The descriptor.
    FdNum "fd.num" Int64: "number of the descriptor; below 0 when the call that makes it failed";
    FdType "fd.type" Text: "file, directory, ipv4, ipv6, unix, pipe, event, memfd and so on";
    FdTypechar "fd.typechar" Text: "the type as one letter: f d 4 6 u p e s l i b r m o";
    FdName "fd.name" Text: "path of a file, or both ends of a connection";
    FdDirectory "fd.directory" Text: "folder of the file";
    FdFilename "fd.filename" Text: "name of the file in its folder";
    FdIp "fd.ip" Address FIXED ENDS FILTER: "address of either end";
    FdCip "fd.cip" Address: "address of the client";
    FdSip "fd.sip" Address: "address of the server";
    FdLip "fd.lip" Address: "local address";
    FdRip "fd.rip" Address: "remote address";
    FdPort "fd.port" Port FIXED ENDS FILTER: "port of either end";
    FdCport "fd.cport" Port: "port of the client";
    FdSport "fd.sport" Port: "port of the server";
    FdLport "fd.lport" Port: "local port";
    FdRport "fd.rport" Port: "remote port";
    FdL4proto "fd.l4proto" Text: "tcp, udp, icmp or raw";
    FdSockfamily "fd.sockfamily" Text: "ip or unix";
    FdIsServer "fd.is_server" Bool: "whether the process is the server";
    FdUid "fd.uid" Text: "number of the descriptor and of the thread, unique together";
    FdContainername "fd.containername" Text: "container id and name of the descriptor";
    FdContainerdirectory "fd.containerdirectory" Text: "container id and folder of the file";
    FdProto "fd.proto" Port FIXED ENDS FILTER: "service of either end, by port";
    FdCproto "fd.cproto" Text: "service of the client's port";
    FdSproto "fd.sproto" Text: "service of the server's port";
    FdLproto "fd.lproto" Text: "service of the local port";
    FdRproto "fd.rproto" Text: "service of the remote port";
    FdNet "fd.net" Network FIXED ENDS FILTER: "network of either end";
    FdCnet "fd.cnet" Network FIXED FILTER: "network of the client";
    FdSnet "fd.snet" Network FIXED FILTER: "network of the server";
    FdLnet "fd.lnet" Network FIXED FILTER: "local network";
    FdRnet "fd.rnet" Network FIXED FILTER: "remote network";
    FdConnected "fd.connected" Bool: "whether the socket is connected";
    FdNameChanged "fd.name_changed" Bool: "whether this event changed the descriptor's name";
    FdCipName "fd.cip.name" Text FIXED ENDS: "name of the client's address";
    FdSipName "fd.sip.name" Text FIXED ENDS: "name of the server's address";
    FdLipName "fd.lip.name" Text FIXED ENDS: "name of the local address";
    FdRipName "fd.rip.name" Text FIXED ENDS: "name of the remote address";
    FdDev "fd.dev" Int32: "device of the file";
    FdDevMajor "fd.dev.major" Int32: "major number of that device";
    FdDevMinor "fd.dev.minor" Int32: "minor number of that device";
    FdIno "fd.ino" Int64: "inode of the file";
    FdNameraw "fd.nameraw" Text: "path as it was given to the call";
    FdTypes "fd.types" Text [Index] LIST: "types of all open descriptors, or of one";
    FdIsUpperLayer "fd.is_upper_layer" Bool: "whether the file came after the image";
    FdIsLowerLayer "fd.is_lower_layer" Bool: "whether the file is of the image";

    // Paths of calls on paths.
    FsPathName "fs.path.name" Text: "absolute path the call is about";
    FsPathNameraw "fs.path.nameraw" Text: "that path as it was given";
    FsPathSource "fs.path.source" Text: "absolute path it comes from, where there are two";
    FsPathSourceraw "fs.path.sourceraw" Text: "that path as it was given";
    FsPathTarget "fs.path.target" Text: "absolute path it goes to, where there are two";
    FsPathTargetraw "fs.path.targetraw" Text: "that path as it was given";

    // Descriptors of poll.
    FdlistNums "fdlist.nums" Text: "numbers of the descriptors, with commas between";
    FdlistNames "fdlist.names" Text: "their names";
    FdlistCips "fdlist.cips" Text: "addresses of their clients";
    FdlistSips "fdlist.sips" Text: "addresses of their servers";
    FdlistCports "fdlist.cports" Text: "ports of their clients";
    FdlistSports "fdlist.sports" Text: "ports of their servers";

    // The user.
    UserUid "user.uid" UInt32: "user id";
    UserName "user.name" Text: "name of the user";
    UserHomedir "user.homedir" Text: "home folder";
    UserShell "user.shell" Text: "login shell";
    UserLoginuid "user.loginuid" Int64: "user id of the login; -1 without one";
    UserLoginname "user.loginname" Text: "name of the user of the login";
    GroupGid "group.gid" UInt32: "group id";
    GroupName "group.name" Text: "name of the group";

    // The container.
    ContainerId "container.id" Text: "first 12 letters of the id; `host` outside of containers";
    ContainerFullId "container.full_id" Text: "the whole id";
    ContainerName "container.name" Text: "name of the container";
    ContainerImage "container.image" Text: "image as it was asked for";
    ContainerImageId "container.image.id" Text: "id of the image";
    ContainerType "container.type" Text: "runtime: docker, containerd, cri-o and so on";
    ContainerPrivileged "container.privileged" Bool: "whether it is privileged";
    ContainerMounts "container.mounts" Text:
        "mounts as `source:dest:mode:rdwr:propagation` with blanks between";
    ContainerMount "container.mount" Text [NeedsIndexOrName]:
        "one mount, by number or by a glob of its source";
    ContainerMountSource "container.mount.source" Text [NeedsIndexOrName]: "source of one mount";
    ContainerMountDest "container.mount.dest" Text [NeedsIndexOrName]: "destination of one mount";
    ContainerMountMode "container.mount.mode" Text [NeedsIndexOrName]: "mode of one mount";
    ContainerMountRdwr "container.mount.rdwr" Text [NeedsIndexOrName]: "whether one mount is writable";
    ContainerMountPropagation "container.mount.propagation" Text [NeedsIndexOrName]:
        "propagation of one mount";
    ContainerImageRepository "container.image.repository" Text: "image without tag and digest";
    ContainerImageTag "container.image.tag" Text: "tag of the image";
    ContainerImageDigest "container.image.digest" Text: "digest of the image";
    ContainerHealthcheck "container.healthcheck" Text DEPRECATED: "command of the health check";
    ContainerLivenessProbe "container.liveness_probe" Text DEPRECATED: "command of the liveness probe";
    ContainerReadinessProbe "container.readiness_probe" Text DEPRECATED: "command of the readiness probe";
    ContainerStartTs "container.start_ts" AbsTime: "when the container began";
    ContainerDuration "container.duration" RelTime: "nanoseconds since then";
    ContainerIp "container.ip" Text: "first IPv4 address";
    ContainerCniJson "container.cni.json" Text: "what CNI said of its network, as JSON";
    ContainerHostPid "container.host_pid" Bool: "whether it is in the host's pid namespace";
    ContainerHostNetwork "container.host_network" Bool: "whether it is in the host's network namespace";
    ContainerHostIpc "container.host_ipc" Bool: "whether it is in the host's IPC namespace";
    ContainerLabel "container.label" Text [NeedsName]: "value of one label";
    ContainerLabels "container.labels" Text: "labels as `name:value` with commas between";

    // Kubernetes.
    K8sPodName "k8s.pod.name" Text: "name of the pod";
    K8sNsName "k8s.ns.name" Text: "name of the namespace";
    K8sPodId "k8s.pod.id" Text: "uid of the pod, by its old name";
    K8sPodUid "k8s.pod.uid" Text: "uid of the pod";
    K8sPodSandboxId "k8s.pod.sandbox_id" Text: "first 12 letters of the sandbox's id";
    K8sPodFullSandboxId "k8s.pod.full_sandbox_id" Text: "whole id of the sandbox";
    K8sPodLabel "k8s.pod.label" Text [NeedsName]: "value of one label of the pod";
    K8sPodLabels "k8s.pod.labels" Text: "labels of the pod as `name:value` with commas between";
    K8sPodIp "k8s.pod.ip" Text: "first IPv4 address of the pod";
    K8sPodCniJson "k8s.pod.cni.json" Text: "what CNI said of the pod's network, as JSON";
    K8sRcName "k8s.rc.name" Text DEPRECATED: "name of the replication controller";
    K8sRcId "k8s.rc.id" Text DEPRECATED: "id of the replication controller";
    K8sRcLabel "k8s.rc.label" Text [NeedsName] DEPRECATED: "one label of the replication controller";
    K8sRcLabels "k8s.rc.labels" Text DEPRECATED: "labels of the replication controller";
    K8sSvcName "k8s.svc.name" Text DEPRECATED: "names of services";
    K8sSvcId "k8s.svc.id" Text DEPRECATED: "ids of services";
    K8sSvcLabel "k8s.svc.label" Text [NeedsName] DEPRECATED: "one label of services";
    K8sSvcLabels "k8s.svc.labels" Text DEPRECATED: "labels of services";
    K8sNsId "k8s.ns.id" Text DEPRECATED: "id of the namespace";
    K8sNsLabel "k8s.ns.label" Text [NeedsName] DEPRECATED: "one label of the namespace";
    K8sNsLabels "k8s.ns.labels" Text DEPRECATED: "labels of the namespace";
    K8sRsName "k8s.rs.name" Text DEPRECATED: "name of the replica set";
    K8sRsId "k8s.rs.id" Text DEPRECATED: "id of the replica set";
    K8sRsLabel "k8s.rs.label" Text [NeedsName] DEPRECATED: "one label of the replica set";
    K8sRsLabels "k8s.rs.labels" Text DEPRECATED: "labels of the replica set";
    K8sDeploymentName "k8s.deployment.name" Text DEPRECATED: "name of the deployment";
    K8sDeploymentId "k8s.deployment.id" Text DEPRECATED: "id of the deployment";
    K8sDeploymentLabel "k8s.deployment.label" Text [NeedsName] DEPRECATED: "one label of the deployment";
    K8sDeploymentLabels "k8s.deployment.labels" Text DEPRECATED: "labels of the deployment";

    // What Falco does not see.
    ProcNoNewPrivs "proc.no_new_privs" Bool OWN: "whether the process has no_new_privs set";
    ProcSeccompMode "proc.seccomp.mode" Text OWN: "disabled, strict or filter";
    ProcSeccompFilters "proc.seccomp.filters" UInt32 OWN: "how many seccomp filters are stacked";
    ProcUsernsLevel "proc.userns.level" UInt32 OWN: "how deep its user namespace is; 0 is the host's";
    ProcEntered "proc.entered" Text OWN: "how it came into its container: born, exec-in or nsenter";
    ProcHash "proc.hash" Text OWN: "SHA-256 of the executable in hex";
    ContainerPosture "container.posture" Text [NeedsName] OWN: "verdict of one control on the container";
    EvtViaIoUring "evt.via_io_uring" Bool OWN: "whether the call came through a ring of io_uring";
    K8sOwnerKind "k8s.owner.kind" Text OWN: "kind of the workload that owns the pod";
    K8sOwnerName "k8s.owner.name" Text OWN: "name of that workload";
}
