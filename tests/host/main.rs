//! The programs' knowledge of the host they run on, and their reports about it.

#[path = "../support/mod.rs"]
mod support;

mod container_seccomp;
mod doctor;
mod doctor_descriptors;
mod doctor_network;
mod isolated_load;
mod packages;
mod pin_cores;
mod plan;
mod print;
mod steer;
mod sysctl;
