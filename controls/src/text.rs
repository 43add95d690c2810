//! Words that many controls share.

/// A task control costs what the events of tasks cost.
pub(crate) const TASK_COST: &str =
    "nothing beyond the records of tasks that are there; a comparison for each event that is judged";

/// A control of containers costs a look.
pub(crate) const LOOK_COST: &str = "read from /proc and the control group of one process when the container \
     starts and at each look (each minute by default)";

/// A control of secrets costs a look at each process.
pub(crate) const SECRETS_COST: &str = "the environments and arguments of the container's processes (64 at most), \
     read from /proc when the container starts and at each look (each minute by default)";

/// A control of images costs what CRI is asked anyway.
pub(crate) const IMAGE_COST: &str =
    "what CRI says of the container and its image, compared with the policy; nothing of the workload is read";

/// Why nothing can be told of a workload that does not run on the host's kernel.
macro_rules! in_a_machine {
    () => {
        "the runtime runs the workload in a virtual machine or a kernel of its own (Kata, gVisor), so the \
         host's tasks are not the workload's"
    };
}

/// What makes a control of tasks UNKNOWN: its own reasons, and those of all.
macro_rules! task_unknown {
    () => {
        concat!("no task was judged yet, or there are more than the agent keeps; ", in_a_machine!())
    };
    ($reasons:literal) => {
        concat!($reasons, "; ", task_unknown!())
    };
}

/// What makes a control of containers UNKNOWN: its own reasons, and those of all.
macro_rules! container_unknown {
    () => {
        concat!(
            "the container was not looked at yet, or what is read of it in /proc could not be; ",
            in_a_machine!()
        )
    };
    ($reasons:literal) => {
        concat!($reasons, "; ", container_unknown!())
    };
}
