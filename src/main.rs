//! The `warmline` command. What it does stands in [`warmline::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    warmline::cli::main()
}
