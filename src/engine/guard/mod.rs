//! How much one source or one user may ask for, and who is shut out for a while.
//!
//! **Owns** a bucket of tokens for each source and each user, the failures of each source, and its bans. **Refuses** to
//! look into messages: it is told that a request outside of dialogs came, or that credentials were wrong. What belongs to
//! a dialog is never held up, so that a running call survives whatever else its host does.
//!
//! | who | asks for | beyond that |
//! |---|---|---|
//! | a source (an IPv4 address, an IPv6 /64) | a request outside of dialogs | silence; [`Event::SourceLimited`](crate::engine::Event) once until it is calm again |
//! | a user | a call, a transfer | 503 with Retry-After |
//! | a source with a proven way back | the tenth wrong password in 60 s | silence for 15 minutes; for twice as long each time it comes again, at most a day |
//!
//! The way back is proven by a connection, or by a nonce that was made for this very address: a forged source address can
//! neither be banned nor use up anybody's failures. Peers, the PBX and the networks of `allow` are never asked.
//!
//! Limits of `reference/rfc-map.md`; RFC 3261 §26.3.2.4 (denial of service).

mod bounded;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bounded::Bounded;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::leg::WallClock;
use crate::transport::{LOOPBACK, Network, source_of};

/// Sources and users that are remembered at most.
const MOST: usize = 65_536;
/// Tokens are counted in these, so that slow rates need no fractions.
const PART: u64 = 1_000;

/// So many at once, and so many more in each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Come back in a minute; 0: no limit at all.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

/// What a source and a user may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Requests outside of dialogs, by source.
    pub source: Rate,
    /// Calls, by authenticated user.
    pub calls: Rate,
    /// Transfers, by authenticated user.
    pub transfers: Rate,
    /// Wrong passwords within `window` that ban a source; 0: nobody is banned.
    pub failures: u32,
    /// In which failures are counted.
    pub window: Duration,
    /// The first ban; each later one is twice as long.
    pub ban: Duration,
    /// The longest ban. After as long without one, the next is a first one again.
    pub longest: Duration,
    /// Never limited, never banned.
    pub allow: Vec<Network>,
}

impl Default for RequestLimits {
    fn default() -> RequestLimits {
        RequestLimits {
            source: Rate {
                per_minute: 6_000,
                burst: 1_000,
            },
            calls: Rate {
                per_minute: 60,
                burst: 60,
            },
            transfers: Rate {
                per_minute: 30,
                burst: 30,
            },
            failures: 10,
            window: Duration::from_secs(60),
            ban: Duration::from_secs(900),
            longest: Duration::from_secs(86_400),
            allow: LOOPBACK.to_vec(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket {
            tokens: u64::from(rate.burst) * PART,
            at: now,
        }
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let earned = passed * u128::from(rate.per_minute) * u128::from(PART) / 60_000;
        if earned > 0 {
            let most = u64::from(rate.burst.max(1)) * PART;
            self.tokens = u64::try_from(earned)
                .unwrap_or(most)
                .saturating_add(self.tokens)
                .min(most);
            self.at = now;
        }
        match self.tokens.checked_sub(PART) {
            Some(left) => self.tokens = left,
            None => return false,
        }
        true
    }
}

#[derive(Debug)]
struct Source {
    bucket: Bucket,
    /// Wrong passwords since `counted`.
    failures: u32,
    counted: Instant,
    /// How often it was banned.
    bans: u32,
    banned_until: Option<Instant>,
    /// Observers know that it asks for too much.
    told: bool,
}

/// A ban as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBan {
    /// When it ends: Unix time in milliseconds.
    pub until: u64,
    /// How often the source was banned: each time for twice as long.
    pub times: u32,
}

/// What a source gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// Nothing; and whether observers do not know it yet.
    TooMuch {
        news: bool,
    },
    /// Nothing.
    Banned,
}

/// An address as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin(IpAddr);

impl Origin {
    fn of(address: IpAddr) -> Origin {
        Origin(source_of(address))
    }
}

/// Counts what sources and users ask for.
#[derive(Debug)]
pub(super) struct Guard {
    limits: RequestLimits,
    sources: Bounded<Origin, Source>,
    calls: Bounded<CompactString, Bucket>,
    transfers: Bounded<CompactString, Bucket>,
}

impl Guard {
    pub(super) fn new(limits: RequestLimits) -> Guard {
        Guard {
            limits,
            sources: Bounded::new(MOST),
            calls: Bounded::new(MOST),
            transfers: Bounded::new(MOST),
        }
    }

    /// Other limits from now on; bans and failures stay.
    pub(super) fn reload(&mut self, limits: RequestLimits) {
        self.limits = limits;
    }

    /// A request outside of dialogs, from nobody whom we know by its address.
    pub(super) fn request(&mut self, now: Instant, from: IpAddr) -> Verdict {
        if self.is_allowed(from) {
            return Verdict::Welcome;
        }
        let rate = self.limits.source;
        let Some(source) = self.source(now, from) else {
            return Verdict::Welcome;
        };
        if source.banned_until.is_some_and(|until| now < until) {
            return Verdict::Banned;
        }
        if rate.per_minute == 0 {
            return Verdict::Welcome;
        }
        if source.bucket.take(rate, now) {
            // Calm again only when it has some to spare: else it would be news at every token.
            if source.told && source.bucket.tokens >= u64::from(rate.burst) * PART / 2 {
                source.told = false;
            }
            return Verdict::Welcome;
        }
        Verdict::TooMuch {
            news: !std::mem::replace(&mut source.told, true),
        }
    }

    /// Wrong credentials, by a way back that is proven. `Some`: the source is banned for so long.
    pub(super) fn failed(&mut self, now: Instant, from: IpAddr) -> Option<Duration> {
        if self.limits.failures == 0 || self.is_allowed(from) {
            return None;
        }
        let (most, window, first, longest) = (
            self.limits.failures,
            self.limits.window,
            self.limits.ban,
            self.limits.longest,
        );
        let source = self.source(now, from)?;
        if now.saturating_duration_since(source.counted) > window {
            (source.failures, source.counted) = (0, now);
        }
        source.failures += 1;
        if source.failures < most {
            return None;
        }
        if source
            .banned_until
            .is_some_and(|until| now.saturating_duration_since(until) > longest)
        {
            source.bans = 0;
        }
        let ban = first.saturating_mul(1 << source.bans.min(16)).min(longest);
        source.bans = source.bans.saturating_add(1);
        source.failures = 0;
        source.banned_until = Some(now + ban);
        Some(ban)
    }

    /// What outlives the process of a source that is banned.
    pub(super) fn stored(&mut self, source: IpAddr, clock: &WallClock) -> Option<StoredBan> {
        let source = self.source(clock.now, source)?;
        Some(StoredBan {
            until: clock.unix_ms(source.banned_until?),
            times: source.bans,
        })
    }

    /// A source that a process before this one has banned. `false`: that was so long ago that its next ban is a first one.
    pub(super) fn restore(&mut self, clock: &WallClock, source: IpAddr, ban: &StoredBan) -> bool {
        let since = Duration::from_millis(clock.unix_ms.saturating_sub(ban.until));
        if since > self.limits.longest {
            return false;
        }
        // A moment that is over cannot be had of every clock: one that is over now is remembered as one that ends now.
        let until = clock.now + clock.left(ban.until).min(self.limits.longest);
        if let Some(source) = self.source(clock.now, source) {
            (source.bans, source.banned_until) = (ban.times, Some(until));
        }
        true
    }

    /// Whether a user may begin a call now.
    pub(super) fn may_call(&mut self, now: Instant, user: &CompactString) -> bool {
        spend(&mut self.calls, self.limits.calls, now, user)
    }

    /// Whether a user may begin a transfer now.
    pub(super) fn may_transfer(&mut self, now: Instant, user: &CompactString) -> bool {
        spend(&mut self.transfers, self.limits.transfers, now, user)
    }

    fn is_allowed(&self, from: IpAddr) -> bool {
        self.limits.allow.iter().any(|network| network.contains(from))
    }

    fn source(&mut self, now: Instant, from: IpAddr) -> Option<&mut Source> {
        let rate = self.limits.source;
        let make = || Source {
            bucket: Bucket::full(rate, now),
            failures: 0,
            counted: now,
            bans: 0,
            banned_until: None,
            told: false,
        };
        let banned = |source: &Source| source.banned_until.is_some_and(|until| now < until);
        self.sources.entry(&Origin::of(from), make, banned)
    }
}

fn spend(buckets: &mut Bounded<CompactString, Bucket>, rate: Rate, now: Instant, user: &CompactString) -> bool {
    if rate.per_minute == 0 {
        return true;
    }
    let bucket = buckets.entry(user, || Bucket::full(rate, now), |_| false);
    bucket.is_none_or(|bucket| bucket.take(rate, now))
}

#[cfg(test)]
mod tests;
