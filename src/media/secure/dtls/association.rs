//! One DTLS association on `rtc-dtls`, kept at arm's length.
//!
//! The library's endpoint tells associations apart by address; ours belongs to a leg whose address may move, so it always sees
//! the same one. What it is fed is screened, counted and bounded, and a panic in it ends the association and not the media thread.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use compact_str::{CompactString, ToCompactString};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::super::super::{DtlsRole, Fingerprint, SrtpKey, SrtpProfile};
use super::super::Certificate;
use super::repeats::Repeats;

/// Stands for the party, wherever it is.
const PARTY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1));
/// Octets that one handshake may take: a handshake with certificates of 4 KiB, each flight sent eight times.
const FED_BEFORE: usize = 64 * 1024;
/// And octets after it: repeats of its last flight, and the closing.
const FED_AFTER: usize = 32 * 1024;

/// A handshake in progress, or an association.
pub(super) struct Association {
    endpoint: Endpoint,
    role: DtlsRole,
    repeats: Repeats,
    fed: usize,
    complete: bool,
    /// Nothing of the library's state can be trusted any more.
    panicked: bool,
}

/// What a handshake left.
pub(in super::super) struct Established {
    /// We send with this one.
    pub(in super::super) ours: SrtpKey,
    /// The party sends with this one.
    pub(in super::super) theirs: SrtpKey,
    /// Of the certificate whose key the party proved to have.
    pub(in super::super) fingerprint: Fingerprint,
}

/// What came of a datagram or a timer.
pub(super) enum Step {
    /// Nothing to tell.
    Nothing,
    /// The handshake is over; the certificate is still to be compared.
    Complete(Box<Established>),
    /// The party closed the association (RFC 5246 §7.2.1), authentically.
    Closed,
    /// The handshake did not like what came; the party's next try may still be good.
    Doubt(CompactString),
    /// This association will not get anywhere: only a new one can.
    Dead(CompactString),
}

impl Association {
    /// One that waits for a ClientHello, or sends one.
    pub(super) fn new(now: Instant, certificate: &Certificate, role: DtlsRole) -> Association {
        let server = match role {
            DtlsRole::Active => None,
            DtlsRole::Passive => Some(Arc::clone(&certificate.server)),
        };
        let mut endpoint = Endpoint::new(PARTY, TransportProtocol::UDP, server);
        match role {
            DtlsRole::Active => {
                // It fails when the system has no randomness; then nothing is sent and the handshake's limit passes.
                let _ = endpoint.connect(now, PARTY, Arc::clone(&certificate.client), None);
            }
            DtlsRole::Passive => {}
        }
        Association {
            endpoint,
            role,
            repeats: Repeats::default(),
            fed: 0,
            complete: false,
            panicked: false,
        }
    }

    pub(super) fn role(&self) -> DtlsRole {
        self.role
    }

    /// Takes screened records; false when this association has had enough.
    pub(super) fn has_room(&self, octets: usize) -> bool {
        let limit = if self.complete {
            FED_BEFORE + FED_AFTER
        } else {
            FED_BEFORE
        };
        self.fed + octets <= limit
    }

    pub(super) fn handle(&mut self, now: Instant, mut records: BytesMut) -> Step {
        self.fed += records.len();
        // Behind the handshake a repetition asks for our last flight.
        if !self.complete {
            records = self.repeats.leave_out(&records);
            if records.is_empty() {
                return Step::Nothing;
            }
        }
        let endpoint = &mut self.endpoint;
        match catch_unwind(AssertUnwindSafe(|| endpoint.read(now, PARTY, None, records))) {
            Err(_) => self.panic(),
            Ok(Err(error)) if self.complete => {
                tracing::debug!(%error, "DTLS record refused after the handshake");
                Step::Nothing
            }
            Ok(Err(error)) => Step::Doubt(error.to_compact_string()),
            Ok(Ok(events)) => self.digest(events),
        }
    }

    fn panic(&mut self) -> Step {
        self.panicked = true;
        tracing::error!("the DTLS library panicked; its association ends");
        Step::Dead("the DTLS library panicked".into())
    }

    #[cfg(test)]
    pub(super) fn panicked(&self) -> bool {
        self.panicked
    }

    fn digest(&mut self, events: Vec<EndpointEvent>) -> Step {
        let mut step = Step::Nothing;
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => {
                    self.complete = true;
                    self.fed = self.fed.max(FED_BEFORE);
                    step = match self.established() {
                        Ok(established) => Step::Complete(Box::new(established)),
                        Err(reason) => Step::Dead(reason.into()),
                    };
                }
                EndpointEvent::PeerClosed => return Step::Closed,
                // Data channels are not offered.
                EndpointEvent::ApplicationData(_) => {}
                // The library's enum is open: none of what it may grow is ours.
                _ => {}
            }
        }
        step
    }

    /// RFC 5764 §4.2: client's key, server's key, client's salt, server's salt.
    fn established(&self) -> Result<Established, &'static str> {
        let state = self.endpoint.get_connection_state(PARTY).ok_or("no association")?;
        let certificate = state
            .peer_certificates
            .first()
            .ok_or("the party showed no certificate")?;
        let fingerprint = Fingerprint(Sha256::digest(certificate).into());
        let (profile, salt) = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => (SrtpProfile::AeadAes128Gcm, 12),
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => (SrtpProfile::AesCm128HmacSha1_80, 14),
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32 => (SrtpProfile::AesCm128HmacSha1_32, 14),
            // Not offered.
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm | SrtpProtectionProfile::Unsupported | _ => {
                return Err("no SRTP profile in common");
            }
        };
        let material = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * (16 + salt))
            .map_err(|_| "no keying material")?;
        let material: &[u8] = material.as_ref();
        let key = |at: usize| -> Option<SrtpKey> {
            let mut octets = material.get(16 * at..16 * at + 16)?.to_vec();
            octets.extend_from_slice(material.get(32 + salt * at..32 + salt * (at + 1))?);
            Some(SrtpKey {
                profile,
                key_and_salt: Bytes::from(octets),
            })
        };
        let (client, server) = (key(0).ok_or("short keys")?, key(1).ok_or("short keys")?);
        let (ours, theirs) = match self.role {
            DtlsRole::Active => (client, server),
            DtlsRole::Passive => (server, client),
        };
        Ok(Established {
            ours,
            theirs,
            fingerprint,
        })
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.endpoint.poll_transmit().map(|transmit| transmit.message.to_vec())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&PARTY)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Step {
        let endpoint = &mut self.endpoint;
        if endpoint.poll_timeout(&PARTY).is_none_or(|at| now < at) {
            return Step::Nothing;
        }
        match catch_unwind(AssertUnwindSafe(|| endpoint.handle_timeout(PARTY, now))) {
            Err(_) => self.panic(),
            Ok(Err(_)) => Step::Dead("no answer".into()),
            Ok(Ok(())) => Step::Nothing,
        }
    }

    /// Queues a close_notify.
    pub(super) fn close(&mut self, now: Instant) {
        if self.panicked {
            return;
        }
        let endpoint = &mut self.endpoint;
        // Whatever it says: the association is over.
        let _ = catch_unwind(AssertUnwindSafe(|| endpoint.stop(now, PARTY).is_some()));
    }
}
