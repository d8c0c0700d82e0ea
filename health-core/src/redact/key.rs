//! Decides which keys name a secret.

/// Endings of keys that name a secret, in lower case and without separators. `apikey` stands for `api_key`, `api-key`,
/// `apiKey` and `APIKEY`.
const ENDINGS: [&str; 37] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "signature",
    "authorization",
    "apikey",
    "accesskey",
    "accountkey",
    "authkey",
    "clientkey",
    "consumerkey",
    "encryptionkey",
    "functionskey",
    "hmackey",
    "masterkey",
    "privatekey",
    "secretkey",
    "secretkeybase",
    "serverkey",
    "servicekey",
    "sessionkey",
    "sharedkey",
    "signingkey",
    "storagekey",
    "subscriptionkey",
    "symmetrickey",
    "dbpass",
    "userpass",
    "rootpass",
    "mypass",
    "sshpass",
    "storepass",
];

/// Last words of keys that name a secret. They must be whole words, because many harmless keys end with the same
/// letters.
const LAST_WORDS: [&str; 8] = ["cookie", "jwt", "pass", "passwds", "psk", "pw", "sas", "sig"];

/// Words at the end of a key that only describe the form of the value, as in `password_hash`.
const FORMS: [&str; 16] = [
    "b64",
    "base64",
    "binary",
    "bytes",
    "data",
    "digest",
    "encoded",
    "hash",
    "hex",
    "plain",
    "plaintext",
    "raw",
    "str",
    "string",
    "text",
    "value",
];

/// The kind of value that a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A secret.
    Secret,
    /// Several secrets, or the number of them.
    Secrets,
    /// The value of a header, which ends with its line.
    Header,
}

/// Returns the kind of a key, or `None` if its value is harmless.
pub(super) fn kind(key: &str) -> Option<Key> {
    // Longer words are not keys but values, such as tokens in a list.
    if key.is_empty() || key.len() > 80 {
        return None;
    }
    let mut words = words(key);
    while words.len() > 1 && words.last().is_some_and(|word| is_form(word)) {
        words.pop();
    }
    if let Some(last) = words.last_mut() {
        last.truncate(last.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    }
    let squashed = words.concat();
    let last = words.last().map_or("", String::as_str);
    if squashed.ends_with("authorization") || matches!(squashed.as_str(), "cookie" | "setcookie") {
        return Some(Key::Header);
    }
    // `pass` may be the number of passed tests, and `sig` the number of a signal.
    if matches!(squashed.as_str(), "pass" | "sig") {
        return Some(Key::Secrets);
    }
    if LAST_WORDS.contains(&last) || ENDINGS.iter().any(|ending| squashed.ends_with(ending)) {
        return Some(Key::Secret);
    }
    let one = squashed.strip_suffix('s')?;
    ENDINGS.iter().any(|ending| one.ends_with(ending)).then_some(Key::Secrets)
}

fn is_form(word: &str) -> bool {
    FORMS.contains(&word) || word.trim_start_matches('v').bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the words of a key of any case style, in lower case. `dbPass`, `DB_PASS`, `db-pass` and `DBPass` all have
/// the words `db` and `pass`.
fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut letters = key.chars().peekable();
    let (mut was_lower, mut was_upper) = (false, false);
    while let Some(c) = letters.next() {
        if matches!(c, '-' | '_') {
            words.push(String::new());
            (was_lower, was_upper) = (false, false);
            continue;
        }
        let is_upper = c.is_uppercase();
        // An uppercase letter begins a word after a lowercase letter. So does the last of several uppercase letters
        // before a lowercase one.
        let begins = is_upper && (was_lower || was_upper && letters.peek().is_some_and(|next| next.is_lowercase()));
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        (was_lower, was_upper) = (!is_upper, is_upper);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns whether `word key` names a secret, as in `Account Key=…`.
pub(super) fn is_secret_before_key(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    ["access", "account", "api", "encryption", "master", "private", "secret", "shared", "signing"].contains(&&*word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_recognized_in_every_case_style() {
        for key in [
            "password",
            "PASSWORD",
            "Password",
            "PGPASSWORD",
            "MYSQL_PWD",
            "dbPassword",
            "db-password",
            "password1",
            "new_password_2",
            "AccountKey",
            "SharedAccessKey",
            "accessKey",
            "access_key",
            "privateKey",
            "DB_PASS",
            "dbPass",
            "DBPass",
            "encryption_key",
            "encryptionKey",
            "ENCRYPTION_KEY",
            "X-Api-Key",
            "x-auth-token",
            "api_key",
            "APIKey",
            "apikey",
            "clientSecret",
            "client_secret_value",
            "aws_secret_access_key",
            "AWS_SESSION_TOKEN",
            "X-Amz-Signature",
            "passwordHash",
            "SecretString",
            "API_KEY_V2",
            "consumer_key",
            "SSHPASS",
            "--password",
            "SECRET_KEY_BASE",
            "jwt",
            "proxyPw",
            "token_b64",
            "SharedAccessSignature",
            "passPhrase",
        ] {
            assert_eq!(kind(key), Some(Key::Secret), "{key}");
        }
        for key in
            ["tokens", "max_tokens", "secrets", "pass", "sig", "vault-secrets", "credentials", "apiKeys", "passwords"]
        {
            assert_eq!(kind(key), Some(Key::Secrets), "{key}");
        }
        for key in ["Authorization", "proxy-authorization", "cookie", "Set-Cookie"] {
            assert_eq!(kind(key), Some(Key::Header), "{key}");
        }
        for key in [
            "SharedAccessKeyName",
            "tokenStore",
            "token_ttl",
            "tokenType",
            "password_file",
            "passed",
            "compass",
            "bypass",
            "key",
            "monkey",
            "secretary",
            "keys",
            "primary_key",
            "sign",
            "signal",
            "user",
            "",
            "-",
            "passwordless",
            "tokenizer",
            "design",
            "token-service",
            "secretsmanager",
            "config",
            "sigma",
            "credentialsProvider",
            "api_key_id",
            "sort_key",
        ] {
            assert_eq!(kind(key), None, "{key}");
        }
    }
}
