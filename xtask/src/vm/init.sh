#!/bin/busybox sh
# The first process of the virtual machine: runs the agent, gives it a container to judge, and prints
# what it says in sections that check.rs takes apart. Every wait is bounded.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t securityfs security /sys/kernel/security
mount -t tracefs tracing /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up

uptime() { cut -d ' ' -f 1 /proc/uptime; }
# Succeeds when the command does, within 60 seconds.
await() {
    local end=$(($(cut -d . -f 1 /proc/uptime) + 60))
    until "$@"; do
        [ "$(cut -d . -f 1 /proc/uptime)" -lt $end ] || return 1
        kill -0 $agent 2>/dev/null || return 1
        sleep 0.2
    done
}
ready() { kestrel-agent status >/dev/null 2>&1; }
judged() { [ "$(grep -c '"verdict":"FAIL"' /tmp/findings 2>/dev/null)" -ge 5 ]; }

group=/sys/fs/cgroup/kubepods/besteffort/pod1/CONTAINER
mkdir -p $group
echo "@@ machine"
echo "release $(uname -r)"
echo "start $(uptime)"
kestrel-agent run --state-dir /run/kestrel --findings-file /tmp/findings >/tmp/log 2>&1 &
agent=$!
if await ready; then
    echo "ready $(uptime)"
    # Root with everything it was born with, and no runtime that would name it.
    sh -c "echo \$\$ >$group/cgroup.procs; exec sleep 1000" &
    await judged
fi
echo "@@ status"
kestrel-agent status 2>&1
echo "@@ findings"
cat /tmp/findings
echo "@@ log"
cat /tmp/log
echo "@@ end"
poweroff -f
