//! Request methods.

use super::chars::is_token;
use super::error::{ParseError, ParseErrorKind};
use compact_str::CompactString;
use std::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),* $(,)?) => {
        /// A request method. Names are case-sensitive (RFC 3261 §7.1): `invite` is an [`Method::Extension`].
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
            /// Any other token.
            Extension(CompactString),
        }

        impl Method {
            /// The name as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Extension(name) => name,
                }
            }

            /// The method that these octets name, if this page knows it.
            fn known(name: &[u8]) -> Option<Method> {
                $(if name == $text.as_bytes() { return Some(Method::$variant); })*
                None
            }
        }
    };
}

methods! {
    /// RFC 3261
    Invite = "INVITE",
    /// RFC 3261
    Ack = "ACK",
    /// RFC 3261
    Bye = "BYE",
    /// RFC 3261
    Cancel = "CANCEL",
    /// RFC 3261
    Register = "REGISTER",
    /// RFC 3261
    Options = "OPTIONS",
    /// RFC 3262
    Prack = "PRACK",
    /// RFC 3311
    Update = "UPDATE",
    /// RFC 6665
    Subscribe = "SUBSCRIBE",
    /// RFC 6665
    Notify = "NOTIFY",
    /// RFC 3515
    Refer = "REFER",
    /// RFC 6086
    Info = "INFO",
    /// RFC 3428
    Message = "MESSAGE",
    /// RFC 3903
    Publish = "PUBLISH",
}

impl Method {
    /// Reads a method name, case-sensitively. An unknown token is an extension, anything else an error.
    pub fn parse(name: &[u8]) -> Result<Method, ParseError> {
        if let Some(method) = Method::known(name) {
            return Ok(method);
        }
        let text = std::str::from_utf8(name).ok().filter(|_| is_token(name));
        match text {
            Some(text) => Ok(Method::Extension(CompactString::from(text))),
            None => Err(ParseError::new(ParseErrorKind::StartLine)),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Method {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Method, ParseError> {
        Method::parse(name.as_bytes())
    }
}
