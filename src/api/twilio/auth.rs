//! Who may use the account: `AC:token`, or an API key `SK:secret` (RFC 7617), compared without telling how much was right.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::App;
use super::error::Fault;
use crate::config::Twilio;

/// Lets nobody pass without a password of the account that the path names.
pub(super) async fn check(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()).and_then(basic);
    let admitted = given.is_some_and(|(user, password)| admits(&app.account, &user, &password));
    if !admitted {
        return Fault::unauthorized().into_response();
    }
    let path = request.uri().path();
    let account = path.strip_prefix("/2010-04-01/Accounts/");
    let account = account.map(|rest| rest.split(['/', '.']).next().unwrap_or_default());
    if account.is_some_and(|account| account != app.account.account_sid) {
        return Fault::not_found(path).into_response();
    }
    next.run(request).await
}

/// User and password of an Authorization header.
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, secret) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(secret.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Every password is compared, whoever the user is: a clock tells nothing.
fn admits(account: &Twilio, user: &str, password: &str) -> bool {
    let given = Sha256::digest(password);
    let own = (account.account_sid.as_str(), account.auth_token.as_str());
    let keys = account.keys.iter().map(|(sid, secret)| (sid.as_str(), secret.as_str()));
    keys.chain([own]).fold(false, |admitted, (name, secret)| {
        let same: bool = Sha256::digest(secret).ct_eq(&given).into();
        admitted | (same & (name == user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_and_its_keys_are_let_in_each_with_its_own_password() {
        let account = Twilio {
            account_sid: "AC1".into(),
            auth_token: "token".into(),
            keys: vec![("SK1".into(), "secret".into())],
            base_url: None,
            numbers: Vec::new(),
        };
        for (user, password, good) in [
            ("AC1", "token", true),
            ("SK1", "secret", true),
            ("AC1", "secret", false),
            ("SK1", "token", false),
            ("AC2", "token", false),
            ("", "", false),
        ] {
            assert_eq!(admits(&account, user, password), good, "{user}:{password}");
        }
        assert_eq!(basic("basic QUMxOnQ6MQ=="), Some(("AC1".into(), "t:1".into())));
        for bad in ["Bearer QUMxOnQ=", "Basic", "Basic !", "Basic QUMx"] {
            assert_eq!(basic(bad), None, "{bad}");
        }
    }
}
