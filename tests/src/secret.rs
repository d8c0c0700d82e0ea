//! A password that is hard to hide, and the search for it.

/// The password.
pub const PASSWORD: &str = "s3cr3t/p@ss%21";
/// The same in a URL.
pub const ENCODED: &str = "s3cr3t%2Fp%40ss%2521";

/// Asserts that a text has neither the password nor its spelling in a URL, nor the larger part of either.
///
/// # Panics
///
/// Some of it is there.
pub fn is_clean(text: &str, place: &str) {
    for secret in [PASSWORD, ENCODED, "s3cr3t", "ss%21", "ss%2521"] {
        assert!(!text.contains(secret), "{place} has {secret}: {text}");
    }
}
