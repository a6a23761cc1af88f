//! Who may use the API: the application's secret, its users' logins, the tokens that were given out, and how often each
//! may ask.
//!
//! Secrets and tokens are kept as digests only, and compared without telling how much of them was right.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::fault::Fault;
use super::grants::Grants;
use crate::api::Notes;
use crate::config::RingCentral;

/// A secret as we keep it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Digest(pub(super) [u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Digest {
    pub(super) fn of(secret: &str) -> Digest {
        Digest(Sha256::digest(secret).into())
    }

    pub(super) fn is(&self, given: &str) -> bool {
        Digest::of(given).0.ct_eq(&self.0).into()
    }
}

/// A random word that nobody can guess.
pub(super) fn random_word() -> Result<String, Fault> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).map_err(|_| Fault::unavailable())?;
    Ok(URL_SAFE_NO_PAD.encode(octets))
}

/// So many random hexadecimal digits.
pub(super) fn random_hex(digits: usize) -> Result<String, Fault> {
    let mut octets = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut octets).map_err(|_| Fault::unavailable())?;
    let text: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(text.chars().take(digits).collect())
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Requests.
    Access,
    /// A further pair of tokens.
    Refresh,
    /// One WebSocket.
    Socket,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) extension: usize,
    pub(super) good_for: Use,
    pub(super) until: SystemTime,
    /// Tokens of one login end together.
    pub(super) login: u64,
}

/// What a login brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) extension: usize,
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) expires: Duration,
    pub(super) refresh_expires: Duration,
    pub(super) login: u64,
}

#[derive(Debug)]
struct Login {
    user: String,
    number: String,
    password: Option<Digest>,
    jwt: Option<Digest>,
}

/// Requests of one extension in the running minute.
#[derive(Clone, Copy, Debug)]
struct Minute {
    since: SystemTime,
    asked: u32,
}

/// Everything that lets somebody in.
#[derive(Debug)]
pub(super) struct Access {
    client_id: String,
    client_secret: Digest,
    logins: Vec<Login>,
    grants: Grants,
    next_login: u64,
    most: u32,
    minutes: BTreeMap<usize, Minute>,
    /// Wrong secrets of the application.
    strangers: Minute,
    /// Wrong passwords of each extension.
    failures: BTreeMap<usize, Minute>,
}

const ACCESS_LIFE: Duration = Duration::from_secs(3_600);
const REFRESH_LIFE: Duration = Duration::from_secs(604_800);
pub(super) const SOCKET_LIFE: Duration = Duration::from_secs(30);
/// Tokens that may be out at once; the oldest login gives way.
const MOST_GRANTS: usize = 20_000;
/// Wrong passwords of one extension that are looked at in one minute: whoever guesses needs more.
const MOST_FAILURES: u32 = 10;
/// Wrong secrets of the application in one minute; more than this is a guesser, and a client that knows it waits too.
const MOST_STRANGERS: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);

impl Access {
    /// Logins of a process before this one are good until their time, if their extension is still there.
    pub(super) fn new(config: &RingCentral, notes: &Notes) -> Access {
        let known = config.extensions.iter().map(|extension| extension.id.clone());
        let grants = Grants::found(notes.clone(), known.collect());
        let login = |extension: &crate::config::RingCentralExtension| Login {
            user: extension.user.clone(),
            number: extension.number.clone(),
            password: extension.password.as_ref().map(|secret| Digest::of(&secret.0)),
            jwt: extension.jwt.as_ref().map(|secret| Digest::of(&secret.0)),
        };
        Access {
            client_id: config.client_id.clone(),
            client_secret: Digest::of(&config.client_secret.0),
            logins: config.extensions.iter().map(login).collect(),
            next_login: grants.next_login(),
            grants,
            most: config.requests_per_minute,
            minutes: BTreeMap::new(),
            strangers: Minute {
                since: SystemTime::UNIX_EPOCH,
                asked: 0,
            },
            failures: BTreeMap::new(),
        }
    }

    /// Whether this is the application; wrong ones are counted.
    pub(super) fn client(&mut self, now: SystemTime, id: &str, secret: &str) -> Result<bool, Fault> {
        self.strangers.allows(now, MOST_STRANGERS)?;
        let right = self.client_secret.is(secret) & (id == self.client_id);
        self.strangers.asked += u32::from(!right);
        Ok(right)
    }

    /// The extension whose assertion this is.
    pub(super) fn by_jwt(&self, assertion: &str) -> Option<usize> {
        let mut found = None;
        for (place, login) in self.logins.iter().enumerate() {
            // All are looked at, so that time does not tell which one it was.
            if login.jwt.is_some_and(|jwt| jwt.is(assertion)) {
                found = Some(place);
            }
        }
        found
    }

    /// The extension with this user name and password. Clients write `main-number*extension`, or the extension beside it.
    pub(super) fn by_password(
        &mut self,
        now: SystemTime,
        username: &str,
        extension: Option<&str>,
        password: &str,
    ) -> Result<Option<usize>, Fault> {
        let (name, inner) = match username.split_once('*') {
            Some((name, inner)) => (name, Some(inner)),
            None => (username, extension),
        };
        let inner = inner.filter(|inner| !inner.is_empty()).unwrap_or(name);
        let place = self
            .logins
            .iter()
            .position(|login| login.number == inner || login.user == inner);
        let Some(place) = place else { return Ok(None) };
        let minute = self.failures.entry(place).or_insert(Minute { since: now, asked: 0 });
        minute.allows(now, MOST_FAILURES)?;
        let kept = self.logins.get(place).and_then(|login| login.password);
        let right = kept.is_some_and(|kept| kept.is(password));
        minute.asked += u32::from(!right);
        Ok(right.then_some(place))
    }

    /// A new login's tokens; `lives` are what the client asked for, in seconds.
    pub(super) fn log_in(
        &mut self,
        now: SystemTime,
        extension: usize,
        lives: (Option<u64>, Option<u64>),
    ) -> Result<Pair, Fault> {
        let login = self.next_login;
        self.next_login += 1;
        let life = |asked: Option<u64>, most: Duration| {
            asked.map_or(most, |asked| Duration::from_secs(asked.max(60)).min(most))
        };
        let (expires, refresh_expires) = (life(lives.0, ACCESS_LIFE), life(lives.1, REFRESH_LIFE));
        let access = self.give(now, extension, Use::Access, expires, login)?;
        let refresh = self.give(now, extension, Use::Refresh, refresh_expires, login)?;
        Ok(Pair {
            extension,
            access,
            refresh,
            expires,
            refresh_expires,
            login,
        })
    }

    /// RFC 6749 §6: the refresh token brings new tokens, and it and its access token are good no more.
    pub(super) fn refresh(
        &mut self,
        now: SystemTime,
        token: &str,
        lives: (Option<u64>, Option<u64>),
    ) -> Result<Option<Pair>, Fault> {
        let grant = self
            .grants
            .get(&Digest::of(token))
            .filter(|grant| grant.good_for == Use::Refresh && grant.until > now);
        let Some((extension, login)) = grant.map(|grant| (grant.extension, grant.login)) else {
            return Ok(None);
        };
        self.grants.retain(|grant| grant.login != login);
        self.log_in(now, extension, lives).map(Some)
    }

    /// A token for one WebSocket of whoever has logged in.
    pub(super) fn for_socket(&mut self, now: SystemTime, extension: usize, login: u64) -> Result<String, Fault> {
        self.give(now, extension, Use::Socket, SOCKET_LIFE, login)
    }

    /// Takes a WebSocket's token, which is good once.
    pub(super) fn take_socket(&mut self, now: SystemTime, token: &str) -> Option<usize> {
        let key = Digest::of(token);
        let good = self.grants.get(&key).is_some_and(|grant| grant.good_for == Use::Socket);
        let grant = if good { self.grants.remove(&key)? } else { return None };
        (grant.until > now).then_some(grant.extension)
    }

    fn give(
        &mut self,
        now: SystemTime,
        extension: usize,
        good_for: Use,
        life: Duration,
        login: u64,
    ) -> Result<String, Fault> {
        if self.grants.len() >= MOST_GRANTS {
            self.grants.retain(|grant| grant.until > now);
        }
        if self.grants.len() >= MOST_GRANTS
            && let Some(oldest) = self.grants.oldest()
        {
            self.grants.retain(|grant| grant.login != oldest);
        }
        let token = random_word()?;
        let grant = Grant {
            extension,
            good_for,
            until: now + life,
            login,
        };
        self.grants.insert(Digest::of(&token), grant);
        Ok(token)
    }

    /// Ends the login to which a token belongs. RFC 7009 §2.2: one that is unknown is no error.
    pub(super) fn revoke(&mut self, token: &str) {
        if let Some(login) = self.grants.get(&Digest::of(token)).map(|grant| grant.login) {
            self.grants.retain(|grant| grant.login != login);
        }
    }

    /// Whose request this is, by its Authorization header.
    pub(super) fn admit(&mut self, now: SystemTime, authorization: Option<&str>) -> Result<(usize, u64), Fault> {
        let given = authorization.ok_or_else(|| Fault::token("OAU-123", "Authorization header is not specified"))?;
        let (scheme, token) = given.split_once(' ').unwrap_or((given, ""));
        // RFC 9110 §11.1: the scheme is compared without regard to case, and clients send both.
        if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
            return Err(Fault::token("OAU-149", "Unparsable access token"));
        }
        let grant = self.grants.get(&Digest::of(token.trim()));
        let grant = grant.filter(|grant| grant.good_for == Use::Access);
        let grant = grant.ok_or_else(|| Fault::token("OAU-128", "Access token corrupted"))?;
        if grant.until <= now {
            return Err(Fault::token("OAU-129", "Access token expired"));
        }
        let who = (grant.extension, grant.login);
        self.count(now, who.0)?;
        Ok(who)
    }

    fn count(&mut self, now: SystemTime, extension: usize) -> Result<(), Fault> {
        let most = self.most;
        let minute = self.minutes.entry(extension).or_insert(Minute { since: now, asked: 0 });
        minute.allows(now, most)?;
        minute.asked += 1;
        Ok(())
    }
}

impl Minute {
    fn roll(&mut self, now: SystemTime) {
        if now.duration_since(self.since).map_or(true, |past| past >= MINUTE) {
            *self = Minute { since: now, asked: 0 };
        }
    }

    fn allows(&mut self, now: SystemTime, most: u32) -> Result<(), Fault> {
        self.roll(now);
        if self.asked >= most {
            return Err(Fault::too_many(self.left(now)));
        }
        Ok(())
    }

    fn left(&self, now: SystemTime) -> u64 {
        let past = now.duration_since(self.since).unwrap_or_default();
        MINUTE.saturating_sub(past).as_secs().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{RingCentralExtension, Secret};

    fn access() -> Access {
        Access::new(&config(), &Notes::default())
    }

    fn config() -> RingCentral {
        let extension = |user: &str, number: &str| RingCentralExtension {
            user: user.to_owned(),
            id: format!("1{number}"),
            number: number.to_owned(),
            name: user.to_owned(),
            admin: false,
            flip: Vec::new(),
            password: Some(Secret(format!("password of {user}"))),
            jwt: Some(Secret(format!("assertion of {user}"))),
        };
        RingCentral {
            client_id: "app".to_owned(),
            client_secret: Secret("secret".to_owned()),
            account: "4".to_owned(),
            url: None,
            requests_per_minute: 5,
            extensions: vec![extension("agent1", "101"), extension("agent2", "102")],
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn bearer(token: &str) -> String {
        format!("Bearer {token}")
    }

    #[test]
    fn each_login_has_its_forms() {
        let mut access = access();
        assert_eq!(access.client(at(0), "app", "secret"), Ok(true));
        assert_eq!(access.client(at(0), "app", "Secret"), Ok(false));
        assert_eq!(access.client(at(0), "other", "secret"), Ok(false));
        assert_eq!(access.by_jwt("assertion of agent2"), Some(1));
        assert_eq!(access.by_jwt("assertion"), None);
        let right = "password of agent1";
        for (username, extension) in [
            ("+155*101", None),
            ("+155", Some("101")),
            ("101", None),
            ("agent1", Some("")),
        ] {
            assert_eq!(
                access.by_password(at(0), username, extension, right),
                Ok(Some(0)),
                "{username}"
            );
        }
        assert_eq!(access.by_password(at(0), "102", None, right), Ok(None));
    }

    #[test]
    fn a_token_is_good_for_its_time_and_its_use() {
        let mut access = access();
        let pair = access.log_in(at(0), 1, (Some(120), None)).unwrap();
        assert_eq!(access.admit(at(1), Some(&bearer(&pair.access))).map(|who| who.0), Ok(1));
        assert!(access.admit(at(1), Some(&format!("bearer {}", pair.access))).is_ok());
        for (given, code) in [
            (None, "OAU-123"),
            (Some("Basic abc".to_owned()), "OAU-149"),
            (Some(bearer("x")), "OAU-128"),
            (Some(bearer(&pair.refresh)), "OAU-128"),
        ] {
            let fault = access.admit(at(2), given.as_deref()).unwrap_err();
            assert_eq!((fault.status(), fault.json()["errorCode"].as_str()), (401, Some(code)));
        }
        let late = access.admit(at(121), Some(&bearer(&pair.access))).unwrap_err();
        assert_eq!(late.json()["errorCode"], "OAU-129");
        assert_eq!(access.refresh(at(121), &pair.access, (None, None)), Ok(None));
        let next = access.refresh(at(121), &pair.refresh, (None, None)).unwrap().unwrap();
        assert_eq!(
            access.refresh(at(122), &pair.refresh, (None, None)),
            Ok(None),
            "a refresh token is good once"
        );
        access.revoke(&next.access);
        assert!(access.admit(at(123), Some(&bearer(&next.access))).is_err());
        assert_eq!(
            access.refresh(at(123), &next.refresh, (None, None)),
            Ok(None),
            "revoked with its login"
        );
    }

    #[test]
    fn a_sockets_token_is_good_once_and_not_for_long() {
        let mut access = access();
        let token = access.for_socket(at(0), 0, 1).unwrap();
        assert_eq!(access.take_socket(at(1), "x"), None);
        assert_eq!(access.take_socket(at(1), &token), Some(0));
        assert_eq!(access.take_socket(at(1), &token), None);
        let token = access.for_socket(at(0), 0, 1).unwrap();
        assert_eq!(access.take_socket(at(31), &token), None);
        let pair = access.log_in(at(0), 0, (None, None)).unwrap();
        assert_eq!(access.take_socket(at(1), &pair.access), None);
        assert!(access.admit(at(1), Some(&bearer(&pair.access))).is_ok());
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_back() {
        let mut access = access();
        let pair = access.log_in(at(0), 0, (None, None)).unwrap();
        for _ in 0..5 {
            access.admit(at(10), Some(&bearer(&pair.access))).unwrap();
        }
        assert_eq!(
            access.admit(at(40), Some(&bearer(&pair.access))),
            Err(Fault::too_many(30))
        );
        assert!(access.admit(at(70), Some(&bearer(&pair.access))).is_ok());
        for _ in 0..MOST_FAILURES {
            assert_eq!(access.by_password(at(80), "101", None, "guess"), Ok(None));
        }
        let right = "password of agent1";
        assert!(
            access.by_password(at(81), "101", None, right).is_err(),
            "guessing is stopped"
        );
        assert_eq!(access.by_password(at(140), "101", None, right), Ok(Some(0)));
    }

    #[test]
    fn a_login_outlives_the_process_and_a_revoked_one_does_not() {
        let (notes, mut changes) = Notes::new(BTreeMap::new());
        let mut access = Access::new(&config(), &notes);
        let pair = access.log_in(at(0), 1, (None, None)).unwrap();
        let ended = access.log_in(at(0), 0, (None, None)).unwrap();
        access.for_socket(at(0), 0, ended.login).unwrap();
        access.revoke(&ended.access);
        let mut kept = BTreeMap::new();
        while let Ok((key, text)) = changes.try_recv() {
            match text {
                Some(text) => drop(kept.insert(key, text)),
                None => drop(kept.remove(&key)),
            }
        }
        assert_eq!(kept.len(), 2, "access and refresh token of the one login: {kept:?}");
        assert!(!format!("{kept:?}").contains(&pair.access), "a digest, no token");
        let (notes, _changes) = Notes::new(kept);
        let mut access = Access::new(&config(), &notes);
        assert_eq!(access.admit(at(1), Some(&bearer(&pair.access))), Ok((1, pair.login)));
        assert!(access.admit(at(1), Some(&bearer(&ended.access))).is_err());
        let next = access.refresh(at(2), &pair.refresh, (None, None)).unwrap().unwrap();
        assert_eq!(next.extension, 1);
        assert!(next.login > pair.login, "no login has another one's number");
        let mut other = config();
        other.extensions.pop();
        let mut access = Access::new(&other, &notes);
        assert!(
            access.admit(at(1), Some(&bearer(&pair.access))).is_err(),
            "the extension is gone"
        );
    }

    #[test]
    fn nothing_that_is_printed_is_a_secret() {
        let mut access = access();
        let pair = access.log_in(at(0), 0, (None, None)).unwrap();
        let printed = format!("{access:?}");
        for secret in ["secret\"", "password of", "assertion of", &pair.access, &pair.refresh] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
    }
}
