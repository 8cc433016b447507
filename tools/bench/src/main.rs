//! The benchmark driver behind `make bench`.
fn main() {}
