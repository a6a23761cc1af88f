//! Subscription-State (RFC 6665 §8.2.3).

use super::chars::{decimal_u32, is_token, trim_text};
use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::message::Message;
use super::params;
use compact_str::CompactString;
use std::fmt;

/// Where a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Substate {
    /// Accepted and authorised.
    Active,
    /// Not authorised yet.
    Pending,
    /// Over.
    Terminated,
    /// An extension state; treated as active (RFC 6665 §4.1.3).
    Extension(CompactString),
}

/// A Subscription-State value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionState {
    /// The state.
    pub state: Substate,
    /// Why it ended: `noresource`, `deactivated`, `timeout`, …
    pub reason: Option<CompactString>,
    /// Seconds that remain.
    pub expires: Option<u32>,
    /// Seconds to wait before subscribing again.
    pub retry_after: Option<u32>,
}

const BAD: ParseError = ParseError::at(ParseErrorKind::Value, HeaderName::SubscriptionState);

impl SubscriptionState {
    /// `active;expires=…`
    pub fn active(expires: u32) -> SubscriptionState {
        SubscriptionState {
            state: Substate::Active,
            reason: None,
            expires: Some(expires),
            retry_after: None,
        }
    }

    /// `pending;expires=…`
    pub fn pending(expires: u32) -> SubscriptionState {
        SubscriptionState {
            state: Substate::Pending,
            reason: None,
            expires: Some(expires),
            retry_after: None,
        }
    }

    /// `terminated;reason=…`
    pub fn terminated(reason: &str) -> SubscriptionState {
        SubscriptionState {
            state: Substate::Terminated,
            reason: Some(reason.into()),
            expires: None,
            retry_after: None,
        }
    }

    /// Whether the subscription is over.
    pub fn is_terminated(&self) -> bool {
        self.state == Substate::Terminated
    }

    /// Reads a header value.
    pub fn parse(value: &str) -> Result<SubscriptionState, ParseError> {
        let (name, list) = value.split_at(value.find(';').unwrap_or(value.len()));
        let name = trim_text(name);
        if !is_token(name.as_bytes()) {
            return Err(BAD);
        }
        let state = if name.eq_ignore_ascii_case("active") {
            Substate::Active
        } else if name.eq_ignore_ascii_case("pending") {
            Substate::Pending
        } else if name.eq_ignore_ascii_case("terminated") {
            Substate::Terminated
        } else {
            Substate::Extension(name.into())
        };
        let number = |name| {
            params::find(list, name)
                .flatten()
                .and_then(|v| decimal_u32(v.as_bytes()))
        };
        let reason = params::find(list, "reason").flatten().map(params::unquote);
        Ok(SubscriptionState {
            state,
            reason,
            expires: number("expires"),
            retry_after: number("retry-after"),
        })
    }

    /// The Subscription-State of a NOTIFY; a missing one is an error (RFC 6665 §8.2.3 makes it mandatory).
    pub fn of(message: &Message) -> Result<SubscriptionState, ParseError> {
        let missing = ParseError::at(ParseErrorKind::Missing, HeaderName::SubscriptionState);
        SubscriptionState::parse(message.text(HeaderName::SubscriptionState).ok_or(missing)?)
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            Substate::Active => "active",
            Substate::Pending => "pending",
            Substate::Terminated => "terminated",
            Substate::Extension(name) => name,
        })?;
        if let Some(reason) = &self.reason {
            write!(f, ";reason={reason}")?;
        }
        if let Some(expires) = self.expires {
            write!(f, ";expires={expires}")?;
        }
        if let Some(seconds) = self.retry_after {
            write!(f, ";retry-after={seconds}")?;
        }
        Ok(())
    }
}
