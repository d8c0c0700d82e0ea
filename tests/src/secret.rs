//! A password with characters that are hard to redact, and a search for it.

/// The password.
pub const PASSWORD: &str = "s3cr3t/p@ss%21";
/// The password, percent-encoded as in a URL.
pub const ENCODED: &str = "s3cr3t%2Fp%40ss%2521";

/// Asserts that a text contains neither the password nor its encoded form, nor the larger part of either.
///
/// # Panics
///
/// Panics if the text contains some of it.
pub fn is_clean(text: &str, place: &str) {
    for secret in [PASSWORD, ENCODED, "s3cr3t", "ss%21", "ss%2521"] {
        assert!(!text.contains(secret), "{place} shows {secret}: {text}");
    }
}
