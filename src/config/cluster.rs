//! `[cluster]`: this process and others share a store, and take over from each other.

use std::net::SocketAddr;
use std::time::Duration;

use super::fields::Fields;
use super::report::Problems;
use super::store::{StoreFile, StorePlace};
use crate::engine::Listener;

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Where the other nodes connect to; a network of one's own: what passes is authenticated and not encrypted.
    pub link: SocketAddr,
    /// After so long without a sign of life a node may be taken over from.
    pub lease: Duration,
}

pub(super) fn cluster(
    file: &mut Fields<'_>,
    store: Option<&StoreFile>,
    listeners: &[Listener],
    problems: &mut Problems,
) -> Option<Cluster> {
    let section = file.key_span("cluster");
    let mut fields = file.table("cluster", "[cluster]", problems)?;
    let link = fields.required("link", "\"10.0.0.1:7060\"", problems);
    let lease = fields.number("lease_ms", 400..=60_000, problems).unwrap_or(1_500);
    fields.finish(problems);
    let shared = store.is_some_and(|store| matches!(store.place, StorePlace::Redis { .. }));
    if !shared {
        let hint = "add [store] with url = \"redis://…\"";
        problems.add(section.clone(), "nodes of a cluster share a store", hint);
    }
    if let Some(listener) = listeners.iter().find(|listener| listener.address.ip().is_unspecified()) {
        let what = format!("a node of a cluster cannot listen on {}", listener.address);
        let hint = "write the address itself: by it the others know whose socket a phone is at";
        problems.add(section.clone(), what, hint);
    }
    let link = link?;
    match link.value.parse::<SocketAddr>() {
        Ok(link) if !link.ip().is_unspecified() && link.port() != 0 => Some(Cluster {
            link,
            lease: Duration::from_millis(lease),
        }),
        Ok(_) | Err(_) => {
            let hint = "the others must reach it: an address of this machine and a port";
            problems.add(link.span, "`link` names no place to connect to", hint);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_cluster_has_a_link_and_a_shared_store() {
        const EDGE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}{text}"));
        let store = "[store]\nurl = \"redis://127.0.0.1\"\n";
        let cluster = read(&format!(
            "{store}[cluster]\nlink = \"127.0.0.1:7060\"\nlease_ms = 1000\n"
        ));
        let cluster = cluster.ok().and_then(|config| config.cluster).unwrap();
        assert_eq!((cluster.link.port(), cluster.lease.as_millis()), (7060, 1_000));
        let everywhere = EDGE.replace("127.0.0.1", "0.0.0.0").replace("open = true", "");
        let everywhere = format!(
            "{everywhere}[[user]]\nname = \"a\"\npassword = \"b\"\n{store}[cluster]\nlink = \"127.0.0.1:7060\"\n"
        );
        assert!(
            Config::read("edge.toml", &everywhere).is_err(),
            "whose address is 0.0.0.0?"
        );
        for wrong in [
            "[cluster]\nlink = \"127.0.0.1:7060\"\n".to_owned(),
            "[store]\npath = \"x.db\"\n[cluster]\nlink = \"127.0.0.1:7060\"\n".to_owned(),
            format!("{store}[cluster]\nlink = \"0.0.0.0:7060\"\n"),
            format!("{store}[cluster]\n"),
            format!("{store}[cluster]\nlink = \"127.0.0.1:7060\"\nlease_ms = 1\n"),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
