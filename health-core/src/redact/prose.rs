//! Recognizes values that are part of a sentence, or that show the absence of a secret.

/// Words that continue a sentence after `token:` or `password:`.
const CONTINUES: &str = " a about access after an and are as at authentication authorization bad be because but by \
    can cannot changed check connection contains could data degraded denied did does doesn't duplicate empty end \
    ensure eof error expected expires expired expiring failed failure for found from get got had has have healthy if \
    illegal in incorrect insufficient invalid is isn't it its key least length line longer mail malformed may \
    mechanism minimum mismatch missing must need needs neither no none nonce not null of on one only or permission \
    pending please position quota rate refresh rejected required requires same received returned revoked saturated \
    see server should signature since some syntax that the there this to token too try type timeout unable unexpected \
    unhealthy unreachable unknown unsupported use used user value verification was while with without would wrong you \
    your ";

/// The words of [`CONTINUES`] that may also begin a sentence, with an uppercase letter.
const BEGINS: &str = " a an cannot could did expected failed illegal incorrect invalid missing must no not received \
    the this unable unexpected unknown unsupported ";

/// Words after `Bearer` and `Basic` that are not credentials.
const SCHEMES: &str = " authentication authorization certificate certificates challenge challenges connectivity \
    constraints credential credentials information operations properties requests resources response security \
    settings validation ";

/// Values that show that there is no secret or that it is already masked.
const HARMLESS: &str = " null none nil undefined true false yes no redacted [redacted] <redacted> hidden [hidden] \
    <hidden> masked <none> <null> [filtered] filtered sensitive _ ";

/// Returns whether a word after `token: ` continues a sentence.
pub(super) fn continues(word: &str) -> bool {
    // A word with an uppercase letter, such as `Token`, is the name of a type, unless it may begin a sentence.
    let is_name = word.starts_with(char::is_uppercase) && word.chars().nth(1).is_some_and(char::is_lowercase);
    has(CONTINUES, word) && (!is_name || has(BEGINS, word))
}

/// Returns whether a word after `Bearer ` or `Basic ` is part of a sentence.
pub(super) fn is_of_a_scheme(word: &str) -> bool {
    has(SCHEMES, word) || has(CONTINUES, word)
}

/// Returns whether a value shows that there is no secret or that it is already masked.
pub(super) fn is_harmless(value: &str) -> bool {
    // The crate secrecy writes `[REDACTED alloc::string::String]`.
    if value.trim_start_matches('[').starts_with("REDACTED") {
        return true;
    }
    value.chars().all(|c| !c.is_alphanumeric()) && value.len() < 4
        || value.chars().all(|c| c == '*')
        || has(HARMLESS, value)
}

/// Returns whether a list of words separated by spaces contains a word. Ignores case.
fn has(list: &str, word: &str) -> bool {
    if word.is_empty() || word.len() > 16 || word.contains(' ') {
        return false;
    }
    list.contains(&format!(" {} ", word.to_ascii_lowercase()))
}
