//! Session descriptions, as far as a call that is anchored here needs them.
//!
//! **Owns** the octets of a description and the few things that hold, resume and joining change in it: the direction of
//! every live m-line and the origin. Owns the arithmetic of directions ([`answer_direction`]).
//!
//! **Refuses** to understand codecs, keys and candidates: every line that it does not change stays byte for byte, also
//! one that is not UTF-8, so that an attribute nobody here knows reaches the other side. Refuses a description beyond
//! the limits, and one whose lines or m-lines are none.
//!
//! RFC 8866 §5 (lines), §6.7 (directions) · RFC 3264 §5.1, §6.1 (never outside the mirror), §8 (versions), §8.4 (hold,
//! and `c=0.0.0.0`) · RFC 6337 §5 · RFC 9143 §6 (bundle-only lines with port 0 are live).
//!
//! | offer | widest answer |
//! |---|---|
//! | sendrecv | sendrecv |
//! | sendonly | recvonly |
//! | recvonly | sendonly |
//! | inactive | inactive |
//!
//! ```
//! use warmline::sdp::{Description, Direction, answer_direction};
//!
//! let offer = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
//! let offer = Description::parse(offer.into())?;
//! let held = offer.with_direction(Direction::SendOnly).with_origin(7, 2);
//! assert_eq!(held.direction(), Direction::SendOnly);
//! assert!(held.same_media(&offer));
//! assert_eq!(answer_direction(held.direction(), Direction::SendRecv), Direction::RecvOnly);
//! # Ok::<(), warmline::sdp::SdpError>(())
//! ```

mod description;
mod direction;
mod lines;

pub use description::{Description, Protection, SdpError};
pub use direction::{Direction, answer_direction};
