//! Who speaks: told when it has lasted, and again when it has not lasted any more.
//!
//! | | after |
//! |---|---|
//! | begins | 100 ms of sound at [`LOUD`], with up to as much quiet in between |
//! | ends | a second without any; at once for one that is heard no more |

/// Mean magnitude of somebody who speaks: -42 dBFS of a voice.
const LOUD: u32 = 200;
/// Loud ticks, less quiet ones, that make it true.
const SURE: u8 = 5;
/// Quiet ticks in a row that end it.
const OVER: u8 = 50;

/// One member's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaking {
    /// Loud ticks, less quiet ones.
    No { loud: u8 },
    /// Quiet ticks in a row.
    Yes { quiet: u8 },
}

impl Default for Speaking {
    fn default() -> Speaking {
        Speaking::No { loud: 0 }
    }
}

impl Speaking {
    /// A tick of this level; what is to be told.
    pub(super) fn tick(&mut self, level: Option<u32>, heard: bool) -> Option<bool> {
        let loud = level.is_some_and(|level| level >= LOUD);
        let (next, told) = match *self {
            Speaking::No { .. } if !heard => (Speaking::No { loud: 0 }, None),
            Speaking::No { loud: count } if loud && count + 1 >= SURE => (Speaking::Yes { quiet: 0 }, Some(true)),
            Speaking::No { loud: count } if loud => (Speaking::No { loud: count + 1 }, None),
            Speaking::No { loud: count } => (
                Speaking::No {
                    loud: count.saturating_sub(1),
                },
                None,
            ),
            Speaking::Yes { .. } if !heard => (Speaking::No { loud: 0 }, Some(false)),
            Speaking::Yes { .. } if loud => (Speaking::Yes { quiet: 0 }, None),
            Speaking::Yes { quiet } if quiet + 1 >= OVER => (Speaking::No { loud: 0 }, Some(false)),
            Speaking::Yes { quiet } => (Speaking::Yes { quiet: quiet + 1 }, None),
        };
        *self = next;
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_nobody_and_a_breath_ends_nothing() {
        let mut speaking = Speaking::default();
        let mut told = |pattern: &[(u32, usize)]| -> Vec<bool> {
            let ticks = pattern
                .iter()
                .flat_map(|(level, count)| std::iter::repeat_n(*level, *count));
            ticks.filter_map(|level| speaking.tick(Some(level), true)).collect()
        };
        assert_eq!(told(&[(5_000, 4), (0, 10), (LOUD - 1, 100)]), [false; 0]);
        assert_eq!(told(&[(LOUD, 3), (0, 2), (LOUD, 4)]), [true]);
        assert_eq!(told(&[(0, 49), (LOUD, 1), (0, 49)]), [false; 0]);
        assert_eq!(told(&[(0, 1), (0, 100)]), [false]);
        assert_eq!(told(&[(LOUD, 100)]), [true]);
        assert_eq!(speaking.tick(Some(9_000), false), Some(false));
        assert_eq!(speaking.tick(None, false), None);
    }
}
