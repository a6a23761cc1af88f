//! The command line: `demo`, `run`, `check`, and small clients of the API.
//!
//! Owns: arguments and their help, what is printed, exit codes, reading the configuration file.
//!
//! Refuses: to know what a call is. `run` puts configuration, driver and API together; the rest asks the API.
//!
//! | exit code | means |
//! |---|---|
//! | 0 | done |
//! | 1 | what was asked for did not happen: the demo failed, the edge refused |
//! | 2 | wrong arguments or configuration; nothing was started |
//! | 3 | the edge could not start: a port in use, an unknown host |
//! | 4 | the edge stopped while calls were still up |
//!
//! ```
//! use clap::CommandFactory;
//!
//! let command = warmline::cli::Cli::command();
//! assert!(command.get_subcommands().any(|sub| sub.get_name() == "demo"));
//! ```

mod audit;
mod check;
mod client;
mod demo;
mod dialects;
mod failure;
mod file;
mod orders;
mod records;
mod reload;
mod run;
mod say;
mod upgrade;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A SIP edge that performs call transfers natively, in front of your PBX.
#[derive(Debug, Parser)]
#[command(name = "warmline", version, about, long_about = None, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  warmline demo                                  see a warm transfer happen, on this machine only
  warmline check --config edge.toml              every mistake in a configuration, with its line
  warmline run --config edge.toml                start the edge
  warmline run                                   start it without a file: loopback, any user, API on port 8080
  warmline calls --token TOKEN                   what is up now
  warmline transfer leg-2-0 sip:agent2@example.test --token TOKEN --wait

Exit codes: 0 done, 1 refused or failed, 2 wrong arguments or configuration, 3 could not start, 4 stopped with calls up";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show a warm transfer: an edge and three phones over real sockets on loopback
    Demo(demo::Args),
    /// Start the edge
    Run(run::Args),
    /// Check a configuration without starting anything
    Check(check::Args),
    /// Check that nobody has changed an audit log
    Audit(audit::Args),
    /// List the calls of a running edge
    Calls(orders::Calls),
    /// Call one party and, when it has answered, the other
    Dial(orders::Dial),
    /// Show what was said in a call, message by message
    Ladder(orders::LadderOf),
    /// List what became of calls
    Records(records::Records),
    /// Put the party of a leg on hold
    Hold(orders::Hold),
    /// Take the party of a leg back from hold
    Resume(orders::Resume),
    /// Transfer the party that talks with a leg
    Transfer(orders::Transfer),
    /// Hang up a call or a leg
    Hangup(orders::Hangup),
}

/// Reads the arguments of the process, carries them out, and says how it went.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(args) => demo::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Check(args) => check::main(&args),
        Command::Audit(args) => audit::main(&args),
        Command::Calls(args) => orders::calls(&args),
        Command::Dial(args) => orders::dial(&args),
        Command::Ladder(args) => orders::ladder(&args),
        Command::Records(args) => records::records(&args),
        Command::Hold(args) => orders::hold(&args),
        Command::Resume(args) => orders::resume(&args),
        Command::Transfer(args) => orders::transfer(&args),
        Command::Hangup(args) => orders::hang_up(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Whether colours are for this stream: a terminal that has them, and a person who wants them (https://no-color.org).
fn colour(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !unwanted && !dumb
}
