//! The two things only a system call says: this process's processor time to
//! the nanosecond, and the size of a page.

use std::time::Duration;

use rustix::time::ClockId;

/// Processor time of all threads of this process, those that ended included.
pub fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Bytes in a page of memory, in which the kernel counts that of its sockets.
pub fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_while_this_thread_works() {
        let before = process_time();
        let mut sum = 0u64;
        while process_time() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(process_time() > before);
    }

    #[test]
    fn a_page_is_a_power_of_two() {
        assert!(page_bytes().is_power_of_two() && page_bytes() >= 4096);
    }
}
