//! Values of headers and the URIs in them: Refer-To, Replaces, Join, Target-Dialog, credentials, our own sealed tags.
//! Whatever can be read must say the same when it is printed and read again.

use warmline::dialog::{Seal, TagParts};
use warmline::sip::{
    Challenge, Credentials, NameAddr, NonceKey, NonceState, ReferTo, Replaces, Scheme, Secret, SubscriptionState,
    TargetDialog, Uri, Via,
};
use warmline::transport::{FlowSeal, base32};

pub(super) fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        let _ = NameAddr::parse_bytes(octets);
        return;
    };
    replaces(text);
    refer_to(text);
    uri(text);
    party(text);
    digest(text);
    sealed(text);
    let _ = (TargetDialog::parse(text), SubscriptionState::parse(text));
    if let Ok(via) = Via::parse(text) {
        let _ = (via.branch(), via.received(), via.rport(), via.params().count());
    }
}

fn replaces(text: &str) {
    let Ok(value) = Replaces::parse(text) else { return };
    assert!(!value.call_id.is_empty());
    let printed = value.to_string();
    assert_eq!(Replaces::parse(&printed).as_ref(), Ok(&value), "{printed:?}");
    // LESSONS 15: in a Refer-To it is the same dialog.
    let wrapped = format!("<sip:c@d?{}>", value.to_uri_header());
    let refer_to = ReferTo::parse(&wrapped).unwrap_or_else(|error| panic!("{wrapped:?}: {error}"));
    assert_eq!(refer_to.replaces, Some(value));
}

fn refer_to(text: &str) {
    let Ok(value) = ReferTo::parse(text) else { return };
    // LESSONS 36: nothing of the URI's headers goes on but Replaces.
    assert_eq!(value.target.uri.headers().count(), 0, "{text:?}");
    let printed = value.target.uri.as_str();
    assert!(
        value.target.uri.scheme() != Scheme::Tel || !printed.contains('?'),
        "{printed:?}"
    );
    let _ = value.method.map(|method| method.as_str().len());
}

fn uri(text: &str) {
    let Ok(uri) = Uri::parse(text) else { return };
    assert_eq!(uri.as_str(), text);
    assert!(uri.same_user(&uri));
    let _ = (
        uri.addr(),
        uri.host_port(),
        uri.user(),
        rsip::Uri::try_from(&uri).is_ok(),
    );
    let bare = uri.without_headers();
    assert_eq!(Uri::parse(bare.as_str()).as_ref(), Ok(&bare));
    let added = bare.clone().with_param("lr", None);
    assert!(Uri::parse(added.as_str()).is_ok(), "{added:?}");
}

fn party(text: &str) {
    let Ok(party) = NameAddr::parse(text) else { return };
    let printed = party.to_string();
    let again = NameAddr::parse(&printed).unwrap_or_else(|error| panic!("{printed:?}: {error}"));
    assert_eq!(again.uri, party.uri, "{printed:?}");
    assert_eq!(again.tag(), party.tag(), "{printed:?}");
    let _ = party.params().count();
}

fn digest(text: &str) {
    if let Ok(credentials) = Credentials::parse(text) {
        // Nobody is let in by what a stranger wrote.
        let method = warmline::sip::Method::Register;
        assert!(!credentials.verify(Secret::Password("a password that no input knows"), &method));
        let key = NonceKey::new([7; 16]);
        let state = key.check(&credentials.nonce, 1_000, "198.51.100.7", 60);
        assert!(!matches!(state, NonceState::Fresh), "a nonce that we never made");
    }
    let _ = Challenge::parse(text);
}

/// A forged tag or token fails its seal; one that opens is the one that we print for what is in it.
fn sealed(text: &str) {
    let seal = Seal::new([9; 16], 3);
    if let Some(parts) = seal.open(text) {
        let TagParts { .. } = parts;
        assert_eq!(seal.print(parts).as_str(), text.to_ascii_lowercase());
    }
    let _ = seal.read(text);
    let flows = FlowSeal::new([8; 16]);
    if let Some(flow) = flows.open(text) {
        assert_eq!(flows.token(&flow), text);
    }
    let mut out = [0_u8; 64];
    let _ = base32::decode(text.as_bytes(), &mut out);
}
