//! The `ferrohub` command; all of it is in the library, where the Python package finds it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ferrohub::cli::run(std::env::args_os()))
}
