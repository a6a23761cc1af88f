//! Media directions and their arithmetic (RFC 3264 §5.1, §6.1).

use std::fmt;

/// Who sends, seen from the side that wrote the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// Sends, does not receive.
    SendOnly,
    /// Receives, does not send.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// The attribute's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The direction that an attribute's name means.
    pub fn from_attribute(name: &[u8]) -> Option<Direction> {
        match name {
            b"sendrecv" => Some(Direction::SendRecv),
            b"sendonly" => Some(Direction::SendOnly),
            b"recvonly" => Some(Direction::RecvOnly),
            b"inactive" => Some(Direction::Inactive),
            _ => None,
        }
    }

    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        match self {
            Direction::SendRecv | Direction::SendOnly => true,
            Direction::RecvOnly | Direction::Inactive => false,
        }
    }

    /// Whether the writer receives.
    pub fn receives(self) -> bool {
        match self {
            Direction::SendRecv | Direction::RecvOnly => true,
            Direction::SendOnly | Direction::Inactive => false,
        }
    }

    /// The direction with these two halves.
    pub fn of(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// The same stream seen from the other side.
    pub fn mirror(self) -> Direction {
        Direction::of(self.receives(), self.sends())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The answer to an offer's direction that comes nearest to what the answerer wishes. RFC 3264 §6.1: never outside
/// the offer's mirror.
pub fn answer_direction(offer: Direction, wish: Direction) -> Direction {
    let most = offer.mirror();
    Direction::of(most.sends() && wish.sends(), most.receives() && wish.receives())
}

#[cfg(test)]
mod tests {
    use super::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};
    use super::answer_direction;

    #[test]
    fn an_answer_never_leaves_the_mirror_of_its_offer() {
        let all = [SendRecv, SendOnly, RecvOnly, Inactive];
        for offer in all {
            for wish in all {
                let answer = answer_direction(offer, wish);
                assert!(!answer.sends() || offer.receives());
                assert!(!answer.receives() || offer.sends());
                assert_eq!(answer_direction(offer, SendRecv), offer.mirror());
                assert_eq!(answer_direction(SendRecv, wish), wish);
            }
            assert_eq!(offer.mirror().mirror(), offer);
            assert_eq!(Direction::from_attribute(offer.as_str().as_bytes()), Some(offer));
        }
        assert_eq!(answer_direction(SendOnly, SendRecv), RecvOnly);
        assert_eq!(answer_direction(SendOnly, SendOnly), Inactive);
    }
}
