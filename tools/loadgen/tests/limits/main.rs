//! Every wall that a host can be run into: the cause that the load generator names,
//! and whether `corecast doctor` had said so before.

#[path = "../walls/mod.rs"]
mod walls;

mod doctor_accept_queue;
mod doctor_client_descriptors;
mod doctor_conntrack;
mod doctor_ports;
mod doctor_server_descriptors;
mod doctor_syn_queue;
mod walls_answers;
mod walls_descriptors;
mod walls_network;
mod walls_plateaus;
mod walls_ports;
mod walls_remedies;

/// Not a test: the process of a server, when a test starts this program as one.
#[test]
fn server_process() {
    walls::process::serve_if_asked();
}

/// Not a test: the process of the doctor, when a test starts this program as one.
#[test]
fn doctor_process() {
    walls::doctor::examine_if_asked();
}
