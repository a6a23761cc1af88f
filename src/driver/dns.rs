//! Asks the name servers what [`Locate`] wants to know (RFC 3263), within a time that a caller may take. The resolver keeps
//! every record for as long as it lives.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::clock;
use crate::transport::Transport;
use crate::transport::locate::{Found, Locate, LookupFailed, Naptr, Place, Query, Records, Srv, Wanted};

/// Where no record says how long it lives: addresses of the system's own look-up.
const LONGEST: Duration = Duration::from_secs(300);

/// A resolver; without one (no resolv.conf) the system's own look-up of addresses is left.
pub(super) struct Dns {
    resolver: Option<TokioResolver>,
    /// For one name with all that it leads to.
    limit: Duration,
}

/// What the questions of one search came to, beside the places.
struct Search {
    /// The shortest life of what was found.
    life: Duration,
    /// A question that no server answered.
    silent: bool,
}

impl Dns {
    /// As configured, or as the system is. `limit`: for one name; a question is asked at most twice, within a fifth of it.
    pub(super) fn new(servers: &[SocketAddr], limit: Duration) -> Dns {
        let mut builder = match servers {
            [] => match TokioResolver::builder_tokio() {
                Ok(builder) => builder,
                Err(error) => {
                    tracing::info!(%error, "no name servers: NAPTR and SRV are not asked for");
                    let resolver = None;
                    return Dns { resolver, limit };
                }
            },
            servers => {
                let servers = servers.iter().map(|address| {
                    let mut server = NameServerConfig::udp_and_tcp(address.ip());
                    for connection in &mut server.connections {
                        connection.port = address.port();
                    }
                    server
                });
                let config = ResolverConfig::from_name_servers(servers.collect());
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts) = (limit / 10, 1);
        let resolver = builder.build();
        if let Err(error) = &resolver {
            tracing::warn!(%error, "the resolver cannot be set up: NAPTR and SRV are not asked for");
        }
        Dns {
            resolver: resolver.ok(),
            limit,
        }
    }

    /// Every place that `wanted` leads to, in the order in which they are to be tried.
    pub(super) async fn locate(&self, wanted: &Wanted, ours: &[Transport], seed: u64) -> Result<Found, LookupFailed> {
        let mut search = Locate::new(wanted, ours, seed);
        let mut seen = Search {
            life: LONGEST,
            silent: false,
        };
        let asking = async {
            while let Some(query) = search.query() {
                search.answer(self.ask(&query, &mut seen).await);
            }
        };
        if timeout(self.limit, asking).await.is_err() {
            seen.silent = true;
            tracing::warn!(host = %wanted.host, "name servers are slow: going on with what they said so far");
        }
        let places = match search.places() {
            // Name servers that do not answer must not hide what the system knows by itself.
            [] if seen.silent || self.resolver.is_none() => self.by_system(wanted).await,
            places => places.to_vec(),
        };
        match (places.is_empty(), seen.silent) {
            (false, _) => Ok(Found {
                places,
                life: seen.life,
            }),
            (true, true) => Err(LookupFailed::NoAnswer),
            (true, false) => Err(LookupFailed::NoSuchHost),
        }
    }

    async fn by_system(&self, wanted: &Wanted) -> Vec<Place> {
        let transport = wanted.assumed();
        let port = wanted.port.unwrap_or(transport.default_port());
        let asked = timeout(self.limit / 10, lookup_host((wanted.host.as_str(), port)));
        let place = |address| Place { address, transport };
        match asked.await {
            Ok(Ok(found)) => found.map(place).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// A question that nobody answers has no records.
    async fn ask(&self, query: &Query, seen: &mut Search) -> Records {
        match query {
            Query::Naptr(name) => {
                let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                let records = self
                    .records(name, RecordType::NAPTR, seen)
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
                    .records(name, RecordType::SRV, seen)
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
                let Some(resolver) = &self.resolver else {
                    return Records::Addresses(Vec::new());
                };
                let whole = format!("{}.", host.trim_end_matches('.'));
                match resolver.lookup_ip(whole).await {
                    Ok(found) => {
                        seen.valid_until(found.valid_until());
                        Records::Addresses(found.iter().collect())
                    }
                    Err(error) => {
                        seen.failed(host, RecordType::A, &error);
                        Records::Addresses(Vec::new())
                    }
                }
            }
        }
    }

    async fn records(&self, name: &str, kind: RecordType, seen: &mut Search) -> Vec<RData> {
        let Some(resolver) = &self.resolver else {
            return Vec::new();
        };
        // With the dot at its end no search domain is tried.
        let whole = format!("{}.", name.trim_end_matches('.'));
        match resolver.lookup(whole, kind).await {
            Ok(found) => {
                seen.valid_until(found.valid_until());
                found.answers().iter().map(|record| record.data.clone()).collect()
            }
            Err(error) => {
                seen.failed(name, kind, &error);
                Vec::new()
            }
        }
    }
}

impl Search {
    fn valid_until(&mut self, until: std::time::Instant) {
        self.life = self.life.min(until.saturating_duration_since(clock::now()));
    }

    fn failed(&mut self, name: &str, kind: RecordType, error: &NetError) {
        // "There is none" is an answer; SERVFAIL, silence and refused packets are not.
        self.silent |= !(error.is_no_records_found() || error.is_nx_domain());
        tracing::debug!(name, %kind, %error, "no records");
    }
}

#[cfg(test)]
#[path = "dns_tests.rs"]
mod tests;
