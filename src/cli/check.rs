//! `warmline check`: every mistake of a configuration, and nothing started.

use std::path::PathBuf;

use super::failure::Failure;
use super::file;
use super::say::say;

/// Check a configuration without starting anything
///
/// Reads the file and prints every mistake with its line and a hint. Binds no port and looks up no name. Exits with 0 when
/// `warmline run` would accept the file, else with 2.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  warmline check --config edge.toml && systemctl restart warmline")]
pub(super) struct Args {
    /// The file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<(), Failure> {
    let config = file::read(&args.config)?;
    say!("{}: good", args.config.display());
    for target in config.names() {
        say!("  {} will be looked up at start ({})", target.host, target.place);
    }
    Ok(())
}
