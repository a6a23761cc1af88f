//! Handles: what everybody but the owner holds of a leg, a call or a transfer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// Its place in the table.
            pub slot: u32,
            /// How often the place was taken before.
            pub generation: u32,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{:x}-{:x}"), self.slot, self.generation)
            }
        }

        impl super::Handle for $name {
            fn new(slot: u32, generation: u32) -> Self {
                $name { slot, generation }
            }

            fn parts(self) -> (u32, u32) {
                (self.slot, self.generation)
            }
        }

        impl FromStr for $name {
            type Err = BadHandle;

            fn from_str(text: &str) -> Result<Self, BadHandle> {
                let bad = || BadHandle { wanted: $prefix, text: text.chars().take(40).collect() };
                let rest = text.strip_prefix(concat!($prefix, "-")).ok_or_else(bad)?;
                let (slot, generation) = rest.split_once('-').ok_or_else(bad)?;
                Ok($name {
                    slot: u32::from_str_radix(slot, 16).map_err(|_| bad())?,
                    generation: u32::from_str_radix(generation, 16).map_err(|_| bad())?,
                })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

handle!(
    /// Names a leg; printed as `leg-1f-2`.
    LegHandle,
    "leg"
);
handle!(
    /// Names a call; printed as `call-1f-2`.
    CallHandle,
    "call"
);
handle!(
    /// Names a transfer; printed as `transfer-1f-2`.
    TransferHandle,
    "transfer"
);

/// A text that is no handle of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {wanted} handle; it looks like `{wanted}-1f-2`")]
pub struct BadHandle {
    wanted: &'static str,
    text: String,
}

/// Who interprets what a leg reports. Exactly one owner at any time: that is what keeps the customer alive when the
/// transferor hangs up right after its REFER (LESSONS 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegOwner {
    /// The call it talks in.
    Call(CallHandle),
    /// The transfer that moves it.
    Transfer(TransferHandle),
    /// Nobody any more: it only finishes its release.
    Nobody,
}

/// Who hears a sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceHandle {
    /// One party, in place of all that it hears else.
    Leg(LegHandle),
    /// Everybody in a hub who is not held.
    Hub(CallHandle),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_read_back_from_its_text() {
        let leg = LegHandle {
            slot: 31,
            generation: u32::MAX,
        };
        assert_eq!(leg.to_string().parse(), Ok(leg));
        assert!("call-1-1".parse::<LegHandle>().is_err());
        assert!(
            "leg-zz-1"
                .parse::<LegHandle>()
                .unwrap_err()
                .to_string()
                .contains("leg-zz-1")
        );
    }
}
