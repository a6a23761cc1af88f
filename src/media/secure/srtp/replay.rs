//! The index of a packet from its sequence number, and the window that refuses repeats (RFC 3711 §3.3.1, §3.3.2).

/// RFC 3711 §3.3.2 asks for 64 at least; 128 packets of 20 ms bear 2.5 s of disorder.
const WINDOW: u64 = 128;

/// Indices seen, the highest of them first. Empty until one was accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    highest: Option<u64>,
    /// Bit n: the highest index less n was seen.
    seen: u128,
}

impl Window {
    /// The index that a 16-bit sequence number most probably has; `None` for one from before the stream's beginning.
    pub(super) fn index(&self, sequence: u16) -> Option<u64> {
        let Some(highest) = self.highest else {
            return Some(u64::from(sequence));
        };
        let (roc, last) = (highest >> 16, highest as u16);
        let roc = if last < 0x8000 {
            if i32::from(sequence) - i32::from(last) > 0x8000 {
                roc.checked_sub(1)?
            } else {
                roc
            }
        } else if i32::from(last) - 0x8000 > i32::from(sequence) {
            roc + 1
        } else {
            roc
        };
        Some((roc << 16) | u64::from(sequence))
    }

    /// Whether this index was not seen and is not too old to tell. Nothing is noted: an index counts when its packet is authentic.
    pub(super) fn fresh(&self, index: u64) -> bool {
        let Some(highest) = self.highest else { return true };
        match highest.checked_sub(index) {
            None => true,
            Some(age) => age < WINDOW && self.seen & (1 << age) == 0,
        }
    }

    /// Notes the index of an authentic packet.
    pub(super) fn accept(&mut self, index: u64) {
        match self
            .highest
            .map(|highest| (index.checked_sub(highest), highest.saturating_sub(index)))
        {
            None => {
                self.seen = 1;
                self.highest = Some(index);
            }
            Some((Some(ahead), _)) => {
                self.seen = if ahead < WINDOW { self.seen << ahead } else { 0 } | 1;
                self.highest = Some(index);
            }
            Some((None, age)) => {
                if age < WINDOW {
                    self.seen |= 1 << age;
                }
            }
        }
    }
}
