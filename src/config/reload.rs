//! What a running edge makes of a changed file: what it takes over, and what only a restart can change.

use std::fmt;

use super::{Config, Edge};

/// The differences between the running configuration and a new file, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Taken over at once: `users: 1 added, 0 removed, 0 with another password`.
    pub taken: Vec<String>,
    /// Left as they were until the next start: `[[listen]]`.
    pub left: Vec<&'static str>,
}

impl Changes {
    /// Whether the file says what is running.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.left.is_empty()
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing has changed");
        }
        if !self.taken.is_empty() {
            write!(f, "taken over: {}", self.taken.join("; "))?;
        }
        if !self.left.is_empty() {
            let lead = if self.taken.is_empty() { "" } else { ". " };
            write!(f, "{lead}left until the next start: {}", self.left.join(", "))?;
        }
        Ok(())
    }
}

impl Config {
    /// How `new` differs from what is running.
    pub fn changes(&self, new: &Config) -> Changes {
        let mut changes = Changes::default();
        self.note_taken(new, &mut changes.taken);
        let listen = |config: &Config| config.api.as_ref().map(|api| api.listen);
        // A token that was made up at start has nobody to replace it; one that is gone from the file stays good.
        let token = |config: &Config| config.api.as_ref().map(|api| api.token.is_some());
        let same_listeners = self.listeners == new.listeners && self.tls.listeners == new.tls.listeners;
        let tls = |config: &Config| {
            let tls = &config.tls;
            (
                tls.identity.clone(),
                tls.state.clone(),
                tls.ca.clone(),
                tls.clients.clone(),
            )
        };
        let same_timers = format!("{:?} {:?}", self.timers, self.guard) == format!("{:?} {:?}", new.timers, new.guard);
        let pbx = |config: &Config| {
            let pbx = config.pbx.as_ref();
            let pbx = pbx.map(|(target, register)| (target.clone().without_place(), *register));
            (pbx, config.tls.verify_pbx, config.tls.pbx_identity.clone())
        };
        changes.left = [
            ("[[listen]]", same_listeners),
            ("[edge] domain", self.edge.domain == new.edge.domain),
            ("[edge] node", self.edge.node == new.edge.node),
            ("[pbx]", pbx(self) == pbx(new)),
            ("[[peer]] verify", self.tls.unverified == new.tls.unverified),
            ("[tls]", tls(self) == tls(new)),
            ("[timers]", same_timers),
            ("[dns] servers", self.dns.servers == new.dns.servers),
            ("[api] listen", listen(self) == listen(new)),
            ("[api] token", token(self) <= token(new) || listen(self) != listen(new)),
            ("[ladder]", self.ladder == new.ladder),
            ("[records]", self.records == new.records),
            ("[[bot.channel]]", self.bot == new.bot),
            ("[[queue]]", self.queues == new.queues),
            (
                "[media]",
                self.media == new.media && self.media_files == new.media_files,
            ),
            ("[softphone]", self.softphone == new.softphone),
            ("[webhook]", self.webhook == new.webhook),
            ("[ringcentral]", self.ringcentral == new.ringcentral),
            ("[twilio]", self.twilio == new.twilio),
            ("[store]", self.store == new.store),
            ("[cluster]", self.cluster == new.cluster),
            ("[audit]", self.audit == new.audit),
            ("[log] format", self.log.json == new.log.json),
        ]
        .into_iter()
        .filter_map(|(what, same)| (!same).then_some(what))
        .collect();
        changes
    }

    fn note_taken(&self, new: &Config, taken: &mut Vec<String>) {
        let known = |config: &Config, name: &str| config.users.iter().any(|user| user.name == name);
        let added = new.users.iter().filter(|user| !known(self, &user.name)).count();
        let removed = self.users.iter().filter(|user| !known(new, &user.name)).count();
        let same_name = |user: &&crate::engine::User| known(self, &user.name) && !self.users.contains(user);
        let other = new.users.iter().filter(same_name).count();
        if added + removed + other > 0 {
            taken.push(format!(
                "users: {added} added, {removed} removed, {other} with another password"
            ));
        }
        let routes = |config: &Config| {
            let route = |(pattern, target, users): &(regex::Regex, super::Target, Vec<String>)| {
                (
                    pattern.as_str().to_owned(),
                    target.clone().without_place(),
                    users.clone(),
                )
            };
            config.routes.iter().map(route).collect::<Vec<_>>()
        };
        if routes(self) != routes(new) {
            taken.push(format!("routes: {} now", new.routes.len()));
        }
        if self.applications != new.applications {
            taken.push(format!("applications: {} now", new.applications.len()));
        }
        if self.peers != new.peers {
            taken.push(format!("peers: {} now", new.peers.len()));
        }
        let token = |config: &Config| config.api.as_ref().and_then(|api| api.token.clone());
        let registrar = |config: &Config| format!("{:?}", config.registrar);
        let same = [
            ("[edge] transfer", self.edge.transfer == new.edge.transfer),
            ("[transfer]", self.transfer == new.transfer),
            ("[edge] hold", self.edge.hold == new.edge.hold),
            ("[edge] ring_timeout_s", self.edge.ring_timeout == new.edge.ring_timeout),
            ("[registrar]", registrar(self) == registrar(new)),
            ("[edge] reach", self.edge.reach == new.edge.reach),
            ("[limits]", self.limits == new.limits),
            ("[drain]", self.drain == new.drain),
            (
                "[dns]",
                (self.dns.timeout, self.dns.avoid) == (new.dns.timeout, new.dns.avoid),
            ),
            (
                "[api] token",
                self.api.is_none() || token(new).is_none() || token(self) == token(new),
            ),
            ("[log] level", self.log.level == new.log.level),
        ];
        let changed = same.into_iter().filter(|(_, same)| !same);
        taken.extend(changed.map(|(what, _)| what.to_owned()));
    }

    /// What runs after a reload: `new`, with what only a restart changes as it was.
    #[must_use]
    pub fn reloaded(&self, new: Config) -> Config {
        let mut log = new.log;
        log.json = self.log.json;
        let mut api = self.api.clone();
        if let (Some(api), Some(new)) = (&mut api, new.api)
            && new.token.is_some()
        {
            api.token = new.token;
        }
        Config {
            edge: Edge {
                domain: self.edge.domain.clone(),
                node: self.edge.node,
                ..new.edge
            },
            listeners: self.listeners.clone(),
            pbx: self.pbx.clone(),
            peers: new.peers,
            users: new.users,
            routes: new.routes,
            applications: new.applications,
            registrar: new.registrar,
            timers: self.timers,
            guard: self.guard,
            api,
            log,
            transfer: new.transfer,
            ladder: self.ladder,
            records: self.records.clone(),
            bot: self.bot.clone(),
            queues: self.queues.clone(),
            store: self.store.clone(),
            cluster: self.cluster.clone(),
            audit: self.audit.clone(),
            drain: new.drain,
            webhook: self.webhook.clone(),
            ringcentral: self.ringcentral.clone(),
            twilio: self.twilio.clone(),
            softphone: self.softphone.clone(),
            tls: self.tls.clone(),
            media: self.media.clone(),
            media_files: self.media_files.clone(),
            dns: super::Dns {
                servers: self.dns.servers.clone(),
                ..new.dns
            },
            limits: new.limits,
        }
    }
}

impl super::Target {
    /// The same place, wherever in the file it stands.
    fn without_place(self) -> Self {
        super::Target {
            place: String::new(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str =
        "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[[user]]\nname = \"a\"\npassword = \"1\"\n";

    fn config(more: &str) -> Config {
        Config::read("x.toml", &format!("{BASE}{more}")).unwrap()
    }

    #[test]
    fn what_changes_is_told_and_what_cannot_change_is_told_apart() {
        let old = config("[api]\ntoken = \"one\"\n");
        assert!(old.changes(&old).is_empty());
        let text = "[[user]]\nname = \"b\"\npassword = \"2\"\n[[route]]\nmatch = \"1\"\nto = \"sip:127.0.0.1:9\"\n\
            [edge]\ndomain = \"other.test\"\nhold = \"inactive\"\n[api]\ntoken = \"two\"\n[store]\npath = \"x.db\"\n[log]\nlevel = \"debug\"\n";
        let new = config(text);
        let changes = old.changes(&new);
        let expect = [
            "users: 1 added, 0 removed, 0 with another password",
            "routes: 1 now",
            "[edge] hold",
            "[api] token",
            "[log] level",
        ];
        assert_eq!(changes.taken, expect);
        assert_eq!(changes.left, ["[edge] domain", "[store]"]);
        // The next reload is measured against what runs, not against what was asked for.
        let running = old.reloaded(new.clone());
        assert!(running.changes(&new).taken.is_empty());
        assert_eq!(running.changes(&new).left, ["[edge] domain", "[store]"]);
    }

    #[test]
    fn certificates_origins_and_trust_wait_for_a_restart() {
        let listen = "[[listen]]\ntransport = \"wss\"\naddress = \"127.0.0.1:8443\"\n";
        let peer = "[[peer]]\nname = \"p\"\nmatch = [\"192.0.2.1\"]\n";
        let pbx = "[pbx]\nuri = \"sip:127.0.0.1:5061;transport=udp\"\n";
        let old = config(&format!("{listen}{peer}{pbx}"));
        let new = config(&format!(
            "{listen}origins = [\"https://a.test\"]\n{peer}verify = false\n{pbx}verify = false\n[tls]\nca = \"ca.pem\"\n"
        ));
        let left = ["[[listen]]", "[pbx]", "[[peer]] verify", "[tls]"];
        assert_eq!(old.changes(&new).left, left);
        assert!(old.changes(&new).taken.is_empty());
        assert_eq!(old.reloaded(new.clone()).changes(&new).left, left);
    }

    #[test]
    fn moving_a_line_is_no_change() {
        let route = "[[route]]\nmatch = \"1\"\nto = \"sip:127.0.0.1:9\"\n";
        let (old, new) = (config(route), config(&format!("\n\n{route}")));
        assert_eq!(old.changes(&new).to_string(), "nothing has changed");
    }
}
