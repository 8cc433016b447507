//! `corecast-scale`: reads the command line and hands over to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    corecast_scale::main()
}
