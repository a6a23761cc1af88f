//! `[store]`: what outlives the process, and how sure that is before a message leaves.

use super::fields::Fields;
use super::report::Problems;

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// The file; its journal stands beside it.
    pub path: String,
    /// `durability = "confirmed"`: messages wait until the disk has what led to them. Else they wait for the kernel only.
    pub confirmed: bool,
}

pub(super) fn store(file: &mut Fields<'_>, problems: &mut Problems) -> Option<StoreFile> {
    let mut fields = file.table("store", "[store]", problems)?;
    let path = fields.required("path", "\"warmline.db\"", problems);
    if let Some(path) = &path
        && (path.value.is_empty() || path.value.ends_with('/') || path.value.contains('\0'))
    {
        problems.add(
            path.span.clone(),
            "`path` names no file",
            "write path = \"warmline.db\"",
        );
    }
    let words = [("relaxed", Ok(false)), ("confirmed", Ok(true))];
    let confirmed = fields.choice("durability", &words, problems).unwrap_or(false);
    fields.finish(problems);
    path.map(|path| StoreFile {
        path: path.value.to_owned(),
        confirmed,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn durability_is_relaxed_unless_it_is_said() {
        const EDGE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n[store]\npath = \"x.db\"\n";
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}{text}"));
        let confirmed = |text: &str| read(text).map(|config| config.store.is_some_and(|store| store.confirmed));
        assert_eq!(confirmed("").ok(), Some(false));
        assert_eq!(confirmed("durability = \"relaxed\"\n").ok(), Some(false));
        assert_eq!(confirmed("durability = \"confirmed\"\n").ok(), Some(true));
        assert!(read("durability = \"sure\"\n").is_err());
    }
}
