//! What may change while the API serves: its token, and how it holds when a client does not say.

use std::sync::{Arc, PoisonError, RwLock};

use super::auth::Token;
use crate::engine::HoldDirection;

struct Now {
    token: Token,
    hold: HoldDirection,
}

/// Who may use the API. Copies are the same thing: keep one to change it while it serves.
#[derive(Clone)]
pub struct Access(Arc<RwLock<Now>>);

impl std::fmt::Debug for Access {
    /// The token stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(..)")
    }
}

impl Access {
    /// Whoever has this token; a party is held like this when the client does not say.
    pub fn new(token: &str, hold: HoldDirection) -> Access {
        Access(Arc::new(RwLock::new(Now {
            token: Token::of(token),
            hold,
        })))
    }

    /// Another token from the next request on. Event streams that are open stay open.
    pub fn set_token(&self, token: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).token = Token::of(token);
    }

    /// Another way to hold.
    pub fn set_hold(&self, hold: HoldDirection) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).hold = hold;
    }

    pub(super) fn admits(&self, token: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).token.is(token)
    }

    pub(super) fn hold(&self) -> HoldDirection {
        self.0.read().unwrap_or_else(PoisonError::into_inner).hold
    }
}
