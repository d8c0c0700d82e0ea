//! Secrets that are recognized without a key: by the prefix of their issuer, by their encoding, or by the word before
//! them.

use super::{
    prose,
    span::{Span, first, is_word, skip, word_end},
};

/// The characters that may follow the prefix of a token.
#[derive(Clone, Copy)]
enum Letters {
    /// Letters and digits.
    Alphanumeric,
    /// Letters, digits, `_` and `-`.
    Word,
    /// Letters, digits, `_`, `-` and `.`.
    Dotted,
}

/// Prefixes of tokens, the minimum number of characters after each prefix, and the kind of these characters.
const PREFIXES: [(&str, usize, Letters); 33] = [
    // GitHub, GitLab.
    ("ghp_", 16, Letters::Alphanumeric),
    ("gho_", 16, Letters::Alphanumeric),
    ("ghu_", 16, Letters::Alphanumeric),
    ("ghs_", 16, Letters::Dotted),
    ("ghr_", 16, Letters::Alphanumeric),
    ("github_pat_", 16, Letters::Word),
    ("glpat-", 16, Letters::Dotted),
    // Slack.
    ("xoxa-", 10, Letters::Word),
    ("xoxb-", 10, Letters::Word),
    ("xoxc-", 10, Letters::Word),
    ("xoxd-", 10, Letters::Word),
    ("xoxe-", 10, Letters::Word),
    ("xoxe.", 10, Letters::Dotted),
    ("xoxo-", 10, Letters::Word),
    ("xoxp-", 10, Letters::Word),
    ("xoxr-", 10, Letters::Word),
    ("xoxs-", 10, Letters::Word),
    ("xapp-", 10, Letters::Word),
    // Google.
    ("AIza", 30, Letters::Word),
    ("ya29.", 16, Letters::Dotted),
    ("GOCSPX-", 16, Letters::Word),
    // Stripe.
    ("sk_live_", 10, Letters::Alphanumeric),
    ("sk_test_", 10, Letters::Alphanumeric),
    ("rk_live_", 10, Letters::Alphanumeric),
    ("rk_test_", 10, Letters::Alphanumeric),
    ("whsec_", 16, Letters::Alphanumeric),
    // Registries, HashiCorp Vault, SendGrid, DigitalOcean and others.
    ("npm_", 30, Letters::Alphanumeric),
    ("pypi-", 40, Letters::Word),
    ("hvs.", 20, Letters::Word),
    ("SG.", 20, Letters::Dotted),
    ("dop_v1_", 30, Letters::Alphanumeric),
    ("sk-ant-", 20, Letters::Word),
    ("sk-proj-", 20, Letters::Word),
];

/// The first four characters of AWS access key ids, which are 20 characters long.
const AWS: [&str; 4] = ["ABIA", "ACCA", "AKIA", "ASIA"];

/// Returns the token that begins here, or the credentials after the scheme that begins here.
pub(super) fn token(text: &str, at: usize) -> Option<Span> {
    known(text, at).map(|to| Span { from: at, to }).or_else(|| credentials(text, at)).or_else(|| webhook(text, at))
}

fn known(text: &str, at: usize) -> Option<usize> {
    let end = word_end(text, at);
    let word = &text[at..end];
    if word.len() == 20 && AWS.iter().any(|prefix| word.starts_with(prefix)) {
        return word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).then_some(end);
    }
    if word.starts_with("eyJ") && word.len() > 10 && text[end..].starts_with('.') {
        return Some(skip(text, at, |c| is_word(c) || c == '.'));
    }
    let rest = &text[at..];
    PREFIXES.iter().find_map(|(prefix, least, letters)| {
        let behind = at + rest.starts_with(prefix).then_some(prefix.len())?;
        let to = skip(text, behind, |c| match letters {
            Letters::Alphanumeric => c.is_ascii_alphanumeric(),
            Letters::Word => c.is_ascii_alphanumeric() || matches!(c, '_' | '-'),
            Letters::Dotted => c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'),
        });
        (to - behind >= *least).then_some(to)
    })
}

/// Returns the credentials of `Bearer …` and `Basic …`, unless the word is part of a sentence.
fn credentials(text: &str, at: usize) -> Option<Span> {
    let end = word_end(text, at);
    let is_basic = text[at..end].eq_ignore_ascii_case("basic");
    if !is_basic && !text[at..end].eq_ignore_ascii_case("bearer") {
        return None;
    }
    let from = if text[end..].starts_with("%20") { end + 3 } else { skip(text, end, |c| matches!(c, ' ' | '\t')) };
    let to = token68(text, from);
    let token = &text[from..to];
    // `Basic realm="…"` is a challenge of a server.
    let is_challenge = token.ends_with('=') && text[to..].starts_with('"');
    (from > end && !is_challenge && looks_like_credentials(token, is_basic)).then_some(Span { from, to })
}

/// Returns the end of the credentials that begin here.
pub(super) fn token68(text: &str, at: usize) -> usize {
    skip(text, at, |c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '`' | ',' | '<' | '>'))
}

fn looks_like_credentials(token: &str, is_basic: bool) -> bool {
    let word = token.trim_end_matches(['.', ':', ';', '!', '?', ')', ']', '}']);
    let is_short = word.len() < 5 && !word.contains(|c: char| c.is_ascii_digit());
    if word.is_empty() || is_short || prose::is_harmless(word) || prose::is_of_a_scheme(word) {
        return false;
    }
    let has_capital_within = word.chars().skip(1).any(char::is_uppercase) && word.chars().any(char::is_lowercase);
    if word.contains(|c: char| !c.is_alphabetic()) {
        // A name of lowercase letters and hyphens, such as `basic-auth`, is no credential.
        return word.contains(|c: char| !c.is_ascii_lowercase() && c != '-');
    }
    has_capital_within || !is_basic && word.len() >= 8
}

/// Returns the path of a Slack incoming webhook, which is a secret.
fn webhook(text: &str, at: usize) -> Option<Span> {
    const PLACE: &str = "hooks.slack.com/services/";
    let from = at + text[at..].starts_with(PLACE).then_some(PLACE.len())?;
    let to = skip(text, from, |c| is_word(c) || c == '/');
    (to > from).then_some(Span { from, to })
}

/// Returns the PEM block that begins here, up to its end or the end of the text.
pub(super) fn pem(text: &str, at: usize) -> Option<Span> {
    const BEGIN: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    if first(text, at) != Some('-') || !text[at..].starts_with(BEGIN) {
        return None;
    }
    let to = text[at..].find(END).map_or(text.len(), |start| {
        let after = at + start + END.len();
        text[after..].find("-----").map_or(text.len(), |close| after + close + "-----".len())
    });
    Some(Span { from: at, to })
}
