//! `[drain]`: how the process ends, and how it lets another one go on.

use std::time::Duration;

use super::fields::Fields;
use super::report::Problems;

/// `[drain]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long SIGTERM waits for calls and transfers to end by themselves.
    pub stop: Duration,
    /// Calls that are still up then are hung up. Else they are left: with a `[store]` the next process goes on with them.
    pub hang_up: bool,
    /// How long a process that was taken over finishes what it could not hand over.
    pub upgrade: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain {
            stop: Duration::from_secs(5),
            hang_up: false,
            upgrade: Duration::from_secs(3_600),
        }
    }
}

pub(super) fn drain(file: &mut Fields<'_>, problems: &mut Problems) -> Drain {
    let mut drain = Drain::default();
    let Some(mut fields) = file.table("drain", "[drain]", problems) else {
        return drain;
    };
    if let Some(seconds) = fields.number("stop_s", 0..=86_400, problems) {
        drain.stop = Duration::from_secs(seconds);
    }
    let words = [("leave", Ok(false)), ("hang-up", Ok(true))];
    drain.hang_up = fields.choice("then", &words, problems).unwrap_or(false);
    if let Some(seconds) = fields.number("upgrade_s", 1..=604_800, problems) {
        drain.upgrade = Duration::from_secs(seconds);
    }
    fields.finish(problems);
    drain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_not_said_is_as_it_always_was() {
        const EDGE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}{text}")).map(|config| config.drain);
        assert_eq!(read("").ok(), Some(Drain::default()));
        let said = read("[drain]\nstop_s = 60\nthen = \"hang-up\"\nupgrade_s = 7\n").ok();
        let wanted = Drain {
            stop: Duration::from_secs(60),
            hang_up: true,
            upgrade: Duration::from_secs(7),
        };
        assert_eq!(said, Some(wanted));
        assert!(read("[drain]\nthen = \"wait\"\n").is_err());
    }
}
