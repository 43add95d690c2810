//! How each control is judged: a file each, or one for those that differ in what they look at alone; one line
//! each in the tables.

mod added_capabilities;
mod admin_tools;
mod capabilities;
#[cfg(test)]
mod case;
mod entered;
mod gained_privileges;
mod host_devices;
mod host_namespaces;
mod host_path;
mod host_ports;
mod image_age;
mod image_registry;
mod image_tag;
mod left_container;
mod limits;
mod lsm_profile;
mod mounted;
mod no_new_privs;
mod node;
mod open_files_limit;
mod plaintext_ports;
mod privileged;
mod proc_mount;
mod read_only_root;
mod reference;
mod run_as_non_root;
mod runtime_drift;
mod seccomp;
mod secrets;
mod sensitive_mounts;
mod service_account_token;
pub(in crate::posture) mod sysctls;
#[cfg(test)]
pub(in crate::posture) mod testing;
mod text;
pub(in crate::posture) mod threads_differ;
mod undeclared_ports;
mod writable_executable;

pub use node::NODE;

use super::control::{CONTAINER_CONTROLS, ContainerControl, TASK_CONTROLS, TaskControl};

/// Controls of tasks, in the order of their ids.
pub static TASK: [TaskControl; TASK_CONTROLS] = [
    privileged::CONTROL,
    run_as_non_root::CONTROL,
    no_new_privs::CONTROL,
    seccomp::CONTROL,
    capabilities::CONTROL,
    added_capabilities::CONTROL,
    host_namespaces::PID,
    host_namespaces::NETWORK,
    host_namespaces::IPC,
    host_namespaces::UTS,
    host_namespaces::CGROUP,
    host_namespaces::USERS,
    entered::CONTROL,
    left_container::CONTROL,
    gained_privileges::CONTROL,
    threads_differ::CONTROL,
    runtime_drift::CONTROL,
    admin_tools::CONTROL,
];

/// Controls of containers, in the order of their ids.
pub static CONTAINER: [ContainerControl; CONTAINER_CONTROLS] = [
    read_only_root::CONTROL,
    writable_executable::CONTROL,
    host_path::CONTROL,
    sensitive_mounts::CONTROL,
    proc_mount::CONTROL,
    host_devices::CONTROL,
    service_account_token::CONTROL,
    limits::MEMORY,
    limits::CPU,
    limits::PIDS,
    open_files_limit::CONTROL,
    lsm_profile::CONTROL,
    undeclared_ports::CONTROL,
    plaintext_ports::CONTROL,
    host_ports::CONTROL,
    sysctls::CONTROL,
    secrets::ENVIRONMENT,
    secrets::ARGUMENTS,
    image_registry::CONTROL,
    image_tag::CONTROL,
    image_age::CONTROL,
];
