//! What outlives a process of an INVITE without a final answer: enough that nobody hangs.
//!
//! | who | the next process |
//! |---|---|
//! | a caller over UDP | takes its INVITE as if it came now, under the same branch: its retransmissions and its CANCEL find it |
//! | a caller over a connection | nothing: its connection is gone, and with it its transaction (RFC 3261 §8.1.3.1, §18.4) |
//! | a phone over UDP that rings | CANCEL, under the branch of the INVITE (§9.1) |
//! | a phone over a connection that rings | the same when it has registered again; until then it cannot be told |
//!
//! A phone that has answered meanwhile is acknowledged and released ([`Legs::end_stray`]). The caller sees an early dialog
//! with another tag, as with any fork (§13.2.2.4).

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::stored::octets;
use super::{StoredCancel, StoredFlow, WallClock};
use crate::leg::{LegHandle, Legs, Setup, State};

/// An INVITE without a final answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoredRinging {
    /// Somebody calls.
    Caller {
        /// Where it is.
        flow: StoredFlow,
        /// Who it proved to be.
        user: Option<CompactString>,
        /// The whole INVITE.
        #[serde(with = "octets")]
        request: Bytes,
        /// Nobody waits for it any more then: Unix time in milliseconds.
        until: u64,
    },
    /// Somebody is called.
    Called(StoredCancel),
}

impl Legs {
    /// Changes with the INVITE that has no final answer; `None`: there is none. What a transfer calls is kept by the transfer.
    pub fn ringing_stamp(&self, handle: LegHandle) -> Option<u64> {
        let mut stamp = siphasher::sip::SipHasher13::new();
        match &self.get(handle)?.state {
            State::Calling(Setup::Client(client)) | State::Early(Setup::Client(client)) => {
                client.invite?.hash(&mut stamp);
            }
            State::Calling(Setup::Server(_)) | State::Early(Setup::Server(_)) => {}
            State::Confirmed | State::Releasing(_) | State::Ended => return None,
        }
        Some(stamp.finish())
    }

    /// What outlives the process of an INVITE that has no final answer.
    pub fn ringing(&self, handle: LegHandle, clock: &WallClock) -> Option<StoredRinging> {
        let leg = self.get(handle)?;
        match &leg.state {
            State::Calling(Setup::Client(_)) | State::Early(Setup::Client(_)) => {
                self.cancel_of(handle).map(StoredRinging::Called)
            }
            State::Calling(Setup::Server(server)) | State::Early(Setup::Server(server)) => {
                Some(StoredRinging::Caller {
                    flow: StoredFlow::of(&leg.dialog.flow),
                    user: leg.user.clone(),
                    request: server.request.bytes().clone(),
                    until: clock.unix_ms(clock.now + self.identity.ring_timeout),
                })
            }
            State::Confirmed | State::Releasing(_) | State::Ended => None,
        }
    }
}
