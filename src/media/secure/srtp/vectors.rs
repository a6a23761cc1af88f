//! Packets and keys of others: RFC 3711 appendix B, RFC 7714 §16 and §17, libsrtp.

use bytes::Bytes;

use super::super::super::{SrtpKey, SrtpProfile};
use super::cipher::{Cipher, Gcm};
use super::key::{Label, derive};
use super::{Receiver, Sender, packet, rtcp_place, rtp_place};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().expect("the length that is said")
}

/// RFC 3711 §B.3.
#[test]
fn session_keys_are_derived_as_in_rfc_3711() {
    let master = array("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    assert_eq!(
        derive::<16>(&master, &salt, Label::RtpEncryption),
        array("C61E7A93744F39EE10734AFE3FF7A087")
    );
    assert_eq!(
        derive::<14>(&master, &salt, Label::RtpSalt),
        array("30CBBC08863D8C85D49DB34A9AE1")
    );
    // The RFC derives 94 octets; HMAC-SHA1 takes the first 20.
    assert_eq!(
        derive::<94>(&master, &salt, Label::RtpAuthentication),
        array(
            "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
             E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
             6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
        )
    );
}

/// RFC 3711 §B.2, by way of a packet: SSRC 0, sequence number 0, a payload of zeroes shows the keystream.
#[test]
fn counter_mode_makes_the_keystream_of_rfc_3711() {
    use super::cipher::CounterMode;
    let mode = CounterMode::with_session_key(
        &array("2B7E151628AED2A6ABF7158809CF4F3C"),
        array("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
    );
    let mut stream = [0; 48];
    mode.apply(0, 0, &mut stream);
    assert_eq!(
        stream,
        array::<48>(
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"
        )
    );
}

fn quid_pro_quo() -> Cipher {
    let key = array("000102030405060708090a0b0c0d0e0f");
    let salt = array("517569642070726f2071756f");
    Cipher::Gcm(Box::new(Gcm::with_session_key(&key, salt).expect("a key")))
}

/// RFC 7714 §16.1: the RFC gives session keys.
#[test]
fn gcm_protects_rtp_as_in_rfc_7714() {
    let clear =
        hex("8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573");
    let sealed = hex(
        "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
         899d7f27beb16a9152cf765ee4390cce",
    );
    let place = rtp_place(packet::rtp(&clear).expect("RTP"), 0xf17b);
    let mut packet = clear.clone();
    assert!(quid_pro_quo().seal(&place, &mut packet));
    assert_eq!(packet, sealed);
    assert!(quid_pro_quo().open(&place, &mut packet));
    assert_eq!(packet, clear);
}

/// RFC 7714 §17.1.
#[test]
fn gcm_protects_rtcp_as_in_rfc_7714() {
    let clear =
        hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
    let sealed = hex(
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b
         c84aa45896cf4d2fc5abf87245d9eade800005d4",
    );
    let place = rtcp_place(0x4d61_7273, 0x5d4);
    let mut packet = clear.clone();
    assert!(quid_pro_quo().seal(&place, &mut packet));
    assert_eq!(packet, sealed);
    assert!(quid_pro_quo().open(&place, &mut packet));
    assert_eq!(packet, clear);
}

/// How the vectors were made stands in their file.
#[test]
fn libsrtp_and_we_make_and_take_the_same_packets() {
    let text = include_str!("../../../../tests/vectors/srtp/libsrtp.txt");
    let mut lines = text
        .lines()
        .filter(|line| !line.starts_with("# SRTP") && !line.is_empty());
    let mut checked = 0;
    let profiles = [
        ("# AEAD_AES_128_GCM", SrtpProfile::AeadAes128Gcm),
        ("# AES_CM_128_HMAC_SHA1_80", SrtpProfile::AesCm128HmacSha1_80),
        ("# AES_CM_128_HMAC_SHA1_32", SrtpProfile::AesCm128HmacSha1_32),
    ];
    for (name, profile) in profiles {
        assert!(lines.any(|line| line == name), "{name} is missing");
        let field = |line: Option<&str>, name: &str| hex(line.and_then(|line| line.strip_prefix(name)).expect(name));
        let key = SrtpKey {
            profile,
            key_and_salt: Bytes::from(field(lines.next(), "key ")),
        };
        let (mut sender, mut receiver) = (Sender::new(&key).expect("key"), Receiver::new(&key).expect("key"));
        for _ in 0..6 {
            let (clear, sealed) = (field(lines.next(), "rtp "), field(lines.next(), "srtp "));
            let mut packet = clear.clone();
            assert!(sender.protect_rtp(&mut packet));
            assert_eq!(packet, sealed, "{name}");
            assert_eq!(receiver.open_rtp(&mut packet), Ok(()));
            assert_eq!(packet, clear);
            checked += 1;
        }
        // Our SRTCP begins with index 0, as RFC 3711 §3.2.1 says, libsrtp's with 1.
        assert!(sender.protect_rtcp(&mut hex("81c800065741524d")));
        for _ in 0..2 {
            let (clear, sealed) = (field(lines.next(), "rtcp "), field(lines.next(), "srtcp "));
            let mut packet = clear.clone();
            assert!(sender.protect_rtcp(&mut packet));
            assert_eq!(packet, sealed, "{name}");
            assert_eq!(receiver.open_rtcp(&mut packet), Ok(()));
            assert_eq!(packet, clear);
            checked += 1;
        }
    }
    assert_eq!(checked, 24);
}
