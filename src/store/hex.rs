//! The sealing key as text.

pub(super) fn hex(key: &[u8; 16]) -> String {
    key.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(number.to_be_bytes())
}
