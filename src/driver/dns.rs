//! Asks the name servers what [`Locate`] wants to know (RFC 3263), within a time that a start may take.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::transport::Transport;
use crate::transport::locate::{Locate, Naptr, Place, Query, Records, Srv, Wanted};

/// For one name with all that it leads to.
const LIMIT: Duration = Duration::from_secs(10);
/// For one question, asked at most twice.
const QUESTION: Duration = Duration::from_secs(2);

/// A resolver; without one (no resolv.conf) the system's own look-up of addresses is left.
pub(super) struct Dns(Option<TokioResolver>);

impl Dns {
    /// As the system is configured.
    pub(super) fn system() -> Dns {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            (options.timeout, options.attempts) = (QUESTION, 1);
            builder.build()
        });
        if let Err(error) = &built {
            tracing::info!(%error, "no name servers: NAPTR and SRV are not asked for");
        }
        Dns(built.ok())
    }

    /// Every place that `wanted` leads to, in the order in which they are to be tried.
    pub(super) async fn locate(&self, wanted: &Wanted, ours: &[Transport], seed: u64) -> Vec<Place> {
        let mut search = Locate::new(wanted, ours, seed);
        let asking = async {
            while let Some(query) = search.query() {
                search.answer(self.ask(&query).await);
            }
        };
        if timeout(LIMIT, asking).await.is_err() {
            tracing::warn!(host = %wanted.host, "name servers are slow: going on with what they said so far");
        }
        if search.places().is_empty() {
            // Name servers that do not answer must not hide what the system knows by itself.
            let transport = wanted.transport.unwrap_or(Transport::Udp);
            let port = wanted.port.unwrap_or(transport.default_port());
            let found = lookup_host((wanted.host.as_str(), port)).await;
            let place = |address| Place { address, transport };
            return found.map(|list| list.map(place).collect()).unwrap_or_default();
        }
        search.places().to_vec()
    }

    /// A question that nobody answers has no records.
    async fn ask(&self, query: &Query) -> Records {
        match query {
            Query::Naptr(name) => {
                let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                let records = self
                    .records(name, RecordType::NAPTR)
                    .await
                    .into_iter()
                    .filter_map(|data| {
                        let RData::NAPTR(record) = data else { return None };
                        Some(Naptr {
                            order: record.order,
                            preference: record.preference,
                            flags: text(&record.flags),
                            services: text(&record.services),
                            replacement: record.replacement.to_ascii(),
                        })
                    });
                Records::Naptr(records.collect())
            }
            Query::Srv(name) => {
                let records = self
                    .records(name, RecordType::SRV)
                    .await
                    .into_iter()
                    .filter_map(|data| {
                        let RData::SRV(record) = data else { return None };
                        Some(Srv {
                            priority: record.priority,
                            weight: record.weight,
                            port: record.port,
                            target: record.target.to_ascii(),
                        })
                    });
                Records::Srv(records.collect())
            }
            Query::Addresses(host) => {
                let found = match &self.0 {
                    Some(resolver) => resolver.lookup_ip(host.as_str()).await.ok(),
                    None => None,
                };
                Records::Addresses(found.map(|found| found.iter().collect()).unwrap_or_default())
            }
        }
    }

    async fn records(&self, name: &str, kind: RecordType) -> Vec<RData> {
        let Some(resolver) = &self.0 else { return Vec::new() };
        // With the dot at its end no search domain is tried.
        let whole = format!("{}.", name.trim_end_matches('.'));
        match resolver.lookup(whole, kind).await {
            Ok(found) => found.answers().iter().map(|record| record.data.clone()).collect(),
            Err(error) => {
                tracing::debug!(name, %kind, %error, "no records");
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
