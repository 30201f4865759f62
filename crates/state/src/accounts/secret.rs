//! Random texts that let someone in, and what is kept of them.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A new random text of 256 bits from the system's generator (122 of each half are random; the rest is fixed).
pub(super) fn new(prefix: &str) -> String {
    format!("{prefix}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// A new random text without a prefix.
pub fn new_secret() -> String {
    new("")
}

/// A password that can be typed: five groups of four letters and digits without look-alikes, 100 bits.
pub(super) fn new_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let random = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    // Bytes 6 and 8 of an UUID hold its version and variant.
    let free = random.iter().enumerate().filter(|(at, _)| ![6, 8, 22, 24].contains(at));
    let letters: Vec<char> = free.take(20).map(|(_, byte)| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// What is kept of a secret, and the key under which it is found.
pub fn digest(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_digests_do_not_show_them() {
        let (one, two) = (new("s_"), new("s_"));
        assert_ne!(one, two);
        assert_eq!(digest(&one).len(), 64);
        assert_ne!(digest(&one), digest(&two));
    }

    #[test]
    fn a_password_has_five_groups_without_look_alikes() {
        let password = new_password();
        assert_eq!(password.split('-').map(str::len).collect::<Vec<_>>(), [4; 5]);
        assert!(!password.contains(['l', 'o', '0', '1']), "{password}");
        assert_ne!(password, new_password());
    }
}
