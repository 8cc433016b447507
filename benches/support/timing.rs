//! How benchmarks are timed.

use std::time::Duration;

use divan::Divan;

/// Time for each benchmark: enough for a steady median on a machine that has other
/// things to do, and less than half a minute for all of them.
const MIN_TIME: Duration = Duration::from_millis(100);

/// Runs the benchmarks of this program, as its arguments say.
pub fn run() {
    Divan::default()
        .min_time(MIN_TIME)
        .config_with_args()
        .main();
}
