//! What shows that a text is a diagnosis and no secret.

/// Words with which a sentence continues after `token:` or `password:`.
const CONTINUES: &str = " a after an and are as at authentication authorization bad be because but by can cannot changed check contains \
    could data denied did does doesn't duplicate empty end ensure eof error expected expires expired failed failure for found from get got had has \
    have if illegal in incorrect insufficient invalid is isn't it its key least length line longer mail malformed may mechanism \
    minimum mismatch missing must need needs neither no none nonce not null of on one only or permission please position rejected \
    required requires same received returned revoked see server should signature since some syntax that the there this to token too try type \
    unable unexpected unknown unsupported use used user value verification was while with without would wrong you your ";

/// Words behind `Bearer` and `Basic` that are no credentials.
const SCHEMES: &str = " authentication authorization certificate certificates challenge challenges connectivity constraints \
    credential credentials information operations properties requests resources response security settings validation ";

/// Values that say that there is no secret, or that somebody has removed it.
const HARMLESS: &str = " null none nil undefined true false yes no redacted [redacted] <redacted> hidden [hidden] <hidden> masked \
    <none> <null> [filtered] filtered _ ";

/// Returns whether a word, after `token: `, continues a sentence.
pub(super) fn continues(word: &str) -> bool {
    has(CONTINUES, word)
}

/// Returns whether a word, after `Bearer ` or `Basic `, is part of a sentence.
pub(super) fn is_of_a_scheme(word: &str) -> bool {
    has(SCHEMES, word) || has(CONTINUES, word)
}

/// Returns whether a value is no secret: none is set, or it is masked.
pub(super) fn is_harmless(value: &str) -> bool {
    value.chars().all(|c| !c.is_alphanumeric()) && value.len() < 4
        || value.chars().all(|c| c == '*')
        || has(HARMLESS, value)
}

fn has(list: &str, word: &str) -> bool {
    if word.is_empty() || word.len() > 16 || word.contains(' ') {
        return false;
    }
    list.contains(&format!(" {} ", word.to_ascii_lowercase()))
}
