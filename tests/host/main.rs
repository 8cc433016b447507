//! What the programs know and say of the host they run on.

#[path = "../support/mod.rs"]
mod support;

mod container_seccomp;
mod doctor;
mod doctor_descriptors;
mod doctor_network;
mod isolated_load;
mod pin_cores;
mod plan;
mod steer;
mod sysctl;
