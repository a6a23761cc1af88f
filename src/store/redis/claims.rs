//! The questions of [`crate::cluster`], asked of Redis.

use serde::de::DeserializeOwned;

use super::{Redis, scripts};
use crate::cluster::{Card, Claim, Held, Seen, StoreAnswer, StoreOrder};
use crate::store::StoreError;

/// node, token, card, listeners, beat, whether refused.
type Line = (u16, String, String, String, u64, String);

impl Redis {
    /// Does what the membership asks.
    ///
    /// # Errors
    /// When the server does not do it, or nobody knows whether it did.
    pub fn perform(&mut self, order: &StoreOrder) -> Result<StoreAnswer, StoreError> {
        match order {
            StoreOrder::Renew { held, watch } => self.renew(held, watch),
            StoreOrder::Look => {
                let lines: Vec<Line> = self.run(scripts::LOOK, &self.claim_keys(), &[])?;
                Ok(StoreAnswer::Looked(lines.iter().filter_map(seen).collect()))
            }
            StoreOrder::Claim {
                node,
                expected,
                card,
                listeners,
                above,
            } => {
                let expected = expected.map_or(String::new(), |token| token.to_string());
                let words = [
                    node.to_string(),
                    expected,
                    json(card),
                    json(listeners),
                    above.to_string(),
                ];
                let words = words.map(String::into_bytes);
                let (token, there, card, listeners): (u64, String, String, String) =
                    self.run(scripts::CLAIM, &self.claim_keys(), &words)?;
                Ok(match token {
                    0 => StoreAnswer::Lost {
                        node: *node,
                        by: claim(*node, &there, &card, &listeners),
                    },
                    token => StoreAnswer::Won(Held { node: *node, token }),
                })
            }
            StoreOrder::Release { held, empty } => {
                let flag = if *empty { "1" } else { "0" };
                let words = [held.node.to_string(), held.token.to_string(), flag.to_owned()].map(String::into_bytes);
                self.run::<u64>(scripts::RELEASE, &self.claim_keys(), &words)?;
                Ok(StoreAnswer::Released)
            }
        }
    }

    fn renew(&mut self, held: &[Held], watch: &[u16]) -> Result<StoreAnswer, StoreError> {
        let mut words = vec![held.len().to_string()];
        for held in held {
            words.extend([held.node.to_string(), held.token.to_string()]);
        }
        words.extend(watch.iter().map(u16::to_string));
        let words: Vec<Vec<u8>> = words.into_iter().map(String::into_bytes).collect();
        let lines: Vec<Line> = self.run(scripts::RENEW, &self.claim_keys(), &words)?;
        let mut refused = Vec::new();
        for line in lines.iter().filter(|line| line.5 == "1") {
            if let Some(held) = held.iter().find(|held| held.node == line.0) {
                refused.push((*held, claim(line.0, &line.1, &line.2, &line.3)));
            }
        }
        let shown = lines.iter().filter(|line| line.5 != "1");
        Ok(StoreAnswer::Renewed {
            refused,
            seen: shown.filter_map(seen).collect(),
        })
    }

    fn claim_keys(&self) -> [String; 5] {
        ["tokens", "cards", "listeners", "beats", "token"].map(|name| self.key(name))
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default() // numbers and addresses always have a text
}

fn seen(line: &Line) -> Option<Seen> {
    Some(Seen {
        claim: claim(line.0, &line.1, &line.2, &line.3)?,
        beat: line.4,
    })
}

fn claim(node: u16, token: &str, card: &str, listeners: &str) -> Option<Claim> {
    Some(Claim {
        node,
        token: token.parse().ok()?,
        card: read::<Card>(card),
        listeners: read(listeners).unwrap_or_default(),
    })
}

fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}
