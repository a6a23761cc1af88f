//! `[store]`: what outlives the process, and how sure that is before a message leaves.

use super::fields::Fields;
use super::report::Problems;

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// Where.
    pub place: StorePlace,
    /// `durability = "confirmed"`: messages wait until the disk has what led to them. Else they wait for the kernel only.
    pub confirmed: bool,
}

/// Where what outlives the process is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In this file; its journal stands beside it.
    File(String),
    /// In Redis or Valkey.
    Redis {
        /// `redis://[user:password@]host[:port][/database]`.
        url: String,
        /// In front of every key.
        prefix: String,
    },
}

impl std::fmt::Debug for StorePlace {
    /// A URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for StorePlace {
    /// For people; a password is left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StorePlace::File(path) => f.write_str(path),
            StorePlace::Redis { url, prefix } => {
                let server = url.rsplit('@').next().unwrap_or_default();
                let server = server.trim_start_matches("redis://");
                write!(f, "redis://{server} ({prefix}*)")
            }
        }
    }
}

pub(super) fn store(file: &mut Fields<'_>, problems: &mut Problems) -> Option<StoreFile> {
    let mut fields = file.table("store", "[store]", problems)?;
    let place = match fields.has("url") {
        true => redis(&mut fields, problems),
        false => path(&mut fields, problems),
    };
    let words = [("relaxed", Ok(false)), ("confirmed", Ok(true))];
    let confirmed = fields.choice("durability", &words, problems).unwrap_or(false);
    fields.finish(problems);
    place.map(|place| StoreFile { place, confirmed })
}

fn path(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<StorePlace> {
    let path = fields.required("path", "\"warmline.db\"", problems)?;
    if path.value.is_empty() || path.value.ends_with('/') || path.value.contains('\0') {
        problems.add(path.span, "`path` names no file", "write path = \"warmline.db\"");
    }
    Some(StorePlace::File(path.value.to_owned()))
}

fn redis(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<StorePlace> {
    let why = "`path` beside `url`: what is kept is kept in one place";
    fields.refuse("path", why, "remove one of the two", problems);
    let url = fields.text("url", problems)?;
    if !url.value.starts_with("redis://") || url.value.len() <= "redis://".len() {
        let hint = "write url = \"redis://10.0.0.9:6379\"; TLS is not spoken: let a tunnel carry it";
        problems.add(url.span, "`url` names no Redis server", hint);
    }
    let prefix = fields
        .text("prefix", problems)
        .map_or("warmline:", |prefix| prefix.value);
    Some(StorePlace::Redis {
        url: url.value.to_owned(),
        prefix: prefix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::StorePlace;
    use crate::config::Config;

    const EDGE: &str =
        "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n[store]\n";

    #[test]
    fn durability_is_relaxed_unless_it_is_said() {
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}path = \"x.db\"\n{text}"));
        let confirmed = |text: &str| read(text).map(|config| config.store.is_some_and(|store| store.confirmed));
        assert_eq!(confirmed("").ok(), Some(false));
        assert_eq!(confirmed("durability = \"relaxed\"\n").ok(), Some(false));
        assert_eq!(confirmed("durability = \"confirmed\"\n").ok(), Some(true));
        assert!(read("durability = \"sure\"\n").is_err());
    }

    #[test]
    fn it_is_a_file_or_a_server_and_never_both() {
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}{text}"));
        let place = |text: &str| read(text).ok().and_then(|config| config.store).map(|store| store.place);
        let redis = |url: &str, prefix: &str| StorePlace::Redis {
            url: url.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(place("path = \"x.db\"\n"), Some(StorePlace::File("x.db".to_owned())));
        let server = place("url = \"redis://me:word@10.0.0.9\"\n").unwrap();
        assert_eq!(server, redis("redis://me:word@10.0.0.9", "warmline:"));
        assert!(!format!("{server:?}").contains("word"), "no password in logs");
        assert_eq!(
            place("url = \"redis://10.0.0.9\"\nprefix = \"site:\"\n"),
            Some(redis("redis://10.0.0.9", "site:"))
        );
        for wrong in [
            "",
            "url = \"rediss://10.0.0.9\"\n",
            "url = \"redis://h\"\npath = \"x.db\"\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
