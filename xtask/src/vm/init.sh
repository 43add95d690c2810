#!/bin/busybox sh
# The first process of the virtual machine: runs the agent, gives it a container to judge, runs the kernel
# tests, and prints what they say in sections that console.rs takes apart. Every wait is bounded. What differs
# from machine to machine is on the kernel's command line, and so in the environment: KESTREL_TIER (hooks of
# the agent), KESTREL_CHECK (agent: without the kernel tests), KESTREL_TESTS (parts of their names).
export PATH=/usr/bin:/usr/sbin HOME=/root
if [ "$1" != rooted ]; then
    # What the kernel unpacked to is the one root that cannot be left or mounted over.
    mount -t tmpfs -o mode=755 root /new
    for path in /*; do
        [ "$path" = /new ] || cp -a "$path" /new
    done
    exec switch_root /new /init rooted
fi

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t securityfs security /sys/kernel/security
mount -t tracefs tracing /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
for module in @MODULES@; do
    modprobe -q $module
done
# With the stacks of tasks that hang.
dmesg -n 7
# Apart from the kernel's own messages.
exec >/dev/ttyS1 2>&1 </dev/null

uptime() { cut -d ' ' -f 1 /proc/uptime; }
# Succeeds when the command does, within 60 seconds and while the agent lives.
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

group=/sys/fs/cgroup/kubepods/besteffort/pod1/@CONTAINER@
mkdir -p $group
echo "@@ machine"
echo "release $(uname -r)"
echo "lockdown $(cat /sys/kernel/security/lockdown)"
echo "start $(uptime)"
kestrel-agent run --hooks $KESTREL_TIER --state-dir /run/kestrel --findings-file /tmp/findings >/tmp/log 2>&1 &
agent=$!
if await ready; then
    echo "ready $(uptime)"
    # Root with everything it was born with, and no runtime that would name it.
    sh -c "echo \$\$ >$group/cgroup.procs; exec sleep 1000" &
    contained=$!
    await judged
fi
echo "@@ status"
kestrel-agent status
code=$?
echo "@@ end of status"
echo "exit $code"
echo "@@ findings"
cat /tmp/findings 2>/dev/null
# Gone already where it could not start.
kill $agent $contained 2>/dev/null
wait $agent
code=$?
echo "@@ end of agent"
echo "exit $code"
echo "@@ log"
cat /tmp/log
kestrel-agent detach

if [ "$KESTREL_CHECK" != agent ]; then
    export KESTREL_TRIGGERS=/usr/lib/kestrel/triggers KESTREL_HOOKS=$KESTREL_TIER
    echo "@@ tests"
    start=$(uptime)
    # As many arguments as there are names.
    timeout -k 5 @TEST_SECONDS@ kernel-tests --test-threads=1 --show-output $(echo "$KESTREL_TESTS" | tr , ' ')
    code=$?
    echo "@@ end of tests"
    echo "exit $code"
    echo "start $start"
    echo "end $(uptime)"
fi
echo "@@ end"
poweroff -f
