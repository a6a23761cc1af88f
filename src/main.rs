//! The `warmline` command. What it does stands in [`warmline::cli`].

use std::process::ExitCode;

/// See [`warmline::manual::decisions`].
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    warmline::cli::main()
}
