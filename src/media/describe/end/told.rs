//! What the packet half is told of our end: whole each time, and only what differs from the last.

use std::collections::VecDeque;

use super::super::Kind;
use super::super::codecs;
use super::super::read::Protected;
use super::{OFFERED, OurEnd};
use crate::media::{Endpoint, IceCredentials, MediaCommand, Security};
use crate::sdp::{Direction, answer_direction};

impl OurEnd {
    /// Tells the packet half what has changed.
    pub fn tell(&mut self, commands: &mut VecDeque<MediaCommand>) {
        let endpoint = self.endpoint();
        if self.told.as_deref() != Some(&endpoint) {
            self.told = Some(Box::new(endpoint.clone()));
            commands.push_back(MediaCommand::Endpoint {
                leg: self.leg,
                endpoint: Box::new(endpoint),
            });
        }
        if let Some(hear) = &self.said.hear
            && self.heard.as_ref() != Some(hear)
        {
            self.heard = Some(hear.clone());
            commands.push_back(MediaCommand::Hear {
                leg: self.leg,
                what: hear.clone(),
            });
        }
    }

    fn endpoint(&self) -> Endpoint {
        let theirs = self.theirs.as_ref();
        let mut receive = self.said.payloads.clone();
        for payload in self.offered.iter().flat_map(|offered| &offered.payloads) {
            if !receive.iter().any(|known| known.number == payload.number) {
                receive.push(payload.clone());
            }
        }
        let said = match &self.offered {
            Some(offered) if self.said.text.is_empty() => offered,
            Some(_) | None => &self.said,
        };
        let direction = match theirs {
            _ if !said.live => Direction::Inactive,
            Some(theirs) if !theirs.live => Direction::Inactive,
            Some(theirs) if !self.said.text.is_empty() => answer_direction(theirs.direction, said.direction),
            Some(_) | None => said.direction,
        };
        let remote = theirs.and_then(|theirs| theirs.address);
        let rtcp = theirs.and_then(|theirs| theirs.rtcp);
        Endpoint {
            local: self.local,
            remote,
            remote_rtcp: if self.multiplexes() { remote } else { rtcp },
            latch: self.kind != Kind::Browser,
            source: self.source,
            security: self.security(),
            send: theirs.map_or_else(Vec::new, |theirs| {
                codecs::agreed(&theirs.payloads, &self.said.payloads, self.we_answered)
            }),
            receive,
            direction,
            ssrc: self.ssrc,
            cname: self.cname.clone(),
            adopted: self.adopted,
            packet_ms: theirs.map_or(20, |theirs| theirs.packet_ms),
        }
    }

    fn security(&self) -> Security {
        match self.kind {
            Kind::Plain => Security::None,
            Kind::Keys => {
                let profile = self.chosen.as_ref().map(|chosen| chosen.key.profile);
                let [(_, first), ..] = OFFERED;
                Security::Sdes {
                    ours: self.key(profile.unwrap_or(first)),
                    theirs: self.chosen.as_ref().map(|chosen| chosen.key.clone()),
                }
            }
            Kind::Dtls | Kind::Browser => {
                let theirs = self.theirs.as_ref().map(|theirs| &theirs.protected);
                let (fingerprint, ice) = match theirs {
                    Some(Protected::Dtls { fingerprint, ice, .. }) => (Some(*fingerprint), ice.clone()),
                    Some(Protected::No | Protected::Keys(_)) | None => (None, None),
                };
                let (remote_ufrag, remote_password) = ice.unwrap_or_default();
                let (local_ufrag, local_password) = self.credentials();
                let ice = IceCredentials {
                    local_ufrag,
                    local_password,
                    remote_ufrag,
                    remote_password,
                };
                Security::Dtls {
                    ice: (self.kind == Kind::Browser).then_some(ice),
                    role: self.role,
                    fingerprint,
                }
            }
        }
    }
}
