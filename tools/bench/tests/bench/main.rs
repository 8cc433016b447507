//! The benchmark driver as a program, and its floors.

mod contestants_that_fail;
mod faults;
mod floor_sendloop;
mod floors;
mod hosts_with_limits;
mod rivals;
mod slow_batches;
mod whole_runs;
