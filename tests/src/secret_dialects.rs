//! Texts with secrets in every syntax and wrapper in which a driver, a header or the `Debug` output of a program may
//! show them.

use std::{collections::BTreeMap, fmt::Write as _};

/// A generator of pseudo-random numbers that are the same in each run.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Creates a generator from a seed, which must not be 0.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end`. The generator is xorshift.
    ///
    /// # Panics
    ///
    /// Never panics: a number of 48 bits fits.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("a number of 48 bits") % end
    }

    /// Returns one of the choices.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Returns a secret of letters, digits and some of these symbols. A symbol is never at either end.
    pub fn secret(&mut self, symbols: &[u8]) -> String {
        let length = 8 + self.below(17);
        let mut secret: String = (0..length)
            .map(|place| {
                let is_symbol = !symbols.is_empty() && place > 2 && place + 3 < length && self.below(6) == 0;
                char::from(if is_symbol { self.of(symbols) } else { self.of(LETTERS) })
            })
            .collect();
        // The digit ensures that the secret is no word of any language.
        secret.insert(2, char::from(self.of(b"0123456789")));
        secret
    }
}

const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789";
const ALPHANUMERIC: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ0123456789abcdefghijkmnopqrstuvwxyz";

/// Names of secrets in every style.
const KEYS: [&str; 30] = [
    "password",
    "Password",
    "PASSWORD",
    "PGPASSWORD",
    "MYSQL_PWD",
    "pwd",
    "passwd",
    "passphrase",
    "dbPassword",
    "db_password",
    "db-password",
    "sasl.password",
    "DB_PASS",
    "dbPass",
    "secret",
    "clientSecret",
    "client_secret",
    "token",
    "accessToken",
    "AUTH_TOKEN",
    "refresh-token",
    "apiKey",
    "api_key",
    "x-api-key",
    "AccountKey",
    "SharedAccessKey",
    "accessKey",
    "privateKey",
    "encryption_key",
    "signature",
];

/// A secret in a newtype.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "only its Debug output is read")]
struct Pw(String);

/// A secret in a field.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "only its Debug output is read")]
struct Wrapped {
    value: String,
}

/// The configuration of a driver.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "only its Debug output is read")]
struct Config {
    user: Option<String>,
    password: Option<String>,
    secret_key: Pw,
    api_key: Option<Pw>,
    token: Wrapped,
    credentials: Vec<String>,
    dbname: Option<String>,
}

/// Returns a text that contains a secret, and the secret.
#[must_use]
pub fn sample(numbers: &mut Numbers) -> (String, String) {
    let key = numbers.of(&KEYS);
    let plain = numbers.secret(b"");
    match numbers.below(37) {
        0 => with(numbers, b"!$&*+,;=%._~'-:", |secret| {
            format!("cannot reach postgres://app:{secret}@db:5432/orders: refused")
        }),
        1 => with(numbers, b"/?#:!$&*+,;=%._~'-", |secret| format!("amqp://app:{secret}@mq/vhost")),
        // The letter in front is needed: digits before a space would be a port.
        2 => with(numbers, b" \"", |secret| format!("redis://app:p{secret}@cache:6379/0 does not answer")),
        3 => with(numbers, b"!$*+._~", |secret| format!(r#"{{"url":"mysql:\/\/app:{secret}@db\/orders"}}"#)),
        4 => with(numbers, b",;{}()[]@:/+*!$'._~%-", |secret| {
            format!("url (https://api.example/v1?user=a&token={secret}&page=2)")
        }),
        5 => with(numbers, b",;{}()[]@:/+*!$._~%-", |secret| format!("GET /v1?{key}={secret} failed")),
        6 => with(numbers, b",;{}()&@:/+*!$._~%?-", |secret| format!("host=db user=app {key}={secret} dbname=orders")),
        7 => with(numbers, b",;&@:/+", |secret| format!(r"host=db {key}={}\ {secret} dbname=orders", &secret[..3])),
        8 => {
            with(numbers, b"\\ ,;=", |secret| format!("host=db {key}='{}' dbname=orders", secret.replace('\\', r"\\")))
        }
        9 => with(numbers, b";,= {", |secret| format!("Driver={{X}};Server=db;Pwd={{{secret}}};Encrypt=yes")),
        10 => with(numbers, b";, =", |secret| format!("Server=db;Password='{secret}';Encrypt=yes")),
        11 => with(numbers, b" ,+/", |secret| format!("Server=db;User Id=app;Password={secret};Encrypt=yes")),
        12 => (format!("Server=db;{key}={plain};Application Name=orders"), plain),
        13 => with(numbers, b" ,;={}[]()'&/", |secret| {
            serde_json::json!({"user": "app", key: secret, "n": 1}).to_string()
        }),
        14 => with(numbers, b" ,;={}[]()'&/", |secret| {
            let inner = serde_json::json!({"user": "app", key: secret, "n": 1}).to_string();
            serde_json::json!({ "body": inner }).to_string()
        }),
        15 => with(numbers, b" ,;={}[]()'&/\"", |secret| format!("{:?}", serde_json::json!({key: secret, "n": 1}))),
        16 => with(numbers, b" ,;={}[]()'&/\"", |secret| format!("{:#?}", config(secret))),
        17 => with(numbers, b" ,;={}[]()'&/\"", |secret| format!("{:?}", config(secret))),
        18 => with(numbers, b" ,;={}", |secret| {
            format!("{:?}", BTreeMap::from([(key, vec![secret.to_owned(), secret.to_owned()])]))
        }),
        19 => with(numbers, b" ,;={}", |secret| format!("{key}: {:?}", Some(Pw(secret.to_owned())))),
        20 => with(numbers, b" ,;={}", |secret| format!("{key}: {:#?}", Some(Wrapped { value: secret.to_owned() }))),
        21 => with(numbers, b" ,;={}", |secret| format!("{key}: b\"{secret}\"")),
        22 => with(numbers, b" ,;={}", |secret| {
            format!("{{:{}=>\"{secret}\", :user=>\"app\"}}", key.replace(['-', '.'], "_"))
        }),
        23 => (
            format!("Authorization: {} {plain}", numbers.of(&["Bearer", "Token", "ApiKey", "Negotiate", "Basic"])),
            plain,
        ),
        24 => (format!("Authorization: Digest username=\"app\", realm=\"x\", response=\"{plain}\"\r\nHost: a"), plain),
        25 => (
            format!(
                "{}: {plain}\r\nHost: a",
                numbers.of(&["X-Api-Key", "x-auth-token", "Private-Token", "X-Vault-Token"])
            ),
            plain,
        ),
        26 => (format!("Cookie: theme=dark; sid={plain}; n=1"), plain),
        27 => (format!("{key}:\t{plain}\nuser:\tapp"), plain),
        28 => with(numbers, b",;:/+@%", |secret| format!("{}={secret} orders --port 80", key.replace(['-', '.'], "_"))),
        29 => with(numbers, b"-_/+", |secret| format!("orders --{key} {secret} --port 80")),
        30 => with(numbers, b" ,;", |secret| format!("ALTER ROLE app PASSWORD '{secret}' VALID UNTIL 'infinity'")),
        31 => with(numbers, b"!$*+._~", |secret| format!("app:{secret}@tcp(db:3306)/orders: refused")),
        32 => (format!("<user>app</user><{key}>{plain}</{key}>"), plain),
        33 => issued(numbers),
        34 => (format!("-----BEGIN PRIVATE KEY-----\n{plain}\n-----END PRIVATE KEY-----\n"), plain),
        35 => with(numbers, b"\"'", |secret| format!("host=db {key}={secret} dbname=orders")),
        _ => (format!("sent Bearer {plain} to it, and {key} := \"{plain}\""), plain),
    }
}

/// Returns a text around a secret with these symbols, and the secret.
fn with(numbers: &mut Numbers, symbols: &[u8], text: impl Fn(&str) -> String) -> (String, String) {
    let secret = numbers.secret(symbols);
    (text(&secret), secret)
}

fn config(secret: &str) -> Config {
    Config {
        user: Some("app".to_owned()),
        password: Some(secret.to_owned()),
        secret_key: Pw(secret.to_owned()),
        api_key: Some(Pw(secret.to_owned())),
        token: Wrapped { value: secret.to_owned() },
        credentials: vec![secret.to_owned(), secret.to_owned()],
        dbname: Some("orders".to_owned()),
    }
}

/// Returns a text around a token that its issuer's prefix identifies, and the token without the prefix.
fn issued(numbers: &mut Numbers) -> (String, String) {
    let (prefix, length, alphabet) = numbers.of(&[
        ("ghp_", 36, ALPHANUMERIC),
        ("gho_", 36, ALPHANUMERIC),
        ("github_pat_", 60, ALPHANUMERIC),
        ("glpat-", 20, ALPHANUMERIC),
        ("xoxb-", 40, ALPHANUMERIC),
        ("xapp-1-", 40, ALPHANUMERIC),
        ("AKIA", 16, &ALPHANUMERIC[..34]),
        ("ASIA", 16, &ALPHANUMERIC[..34]),
        ("AIza", 35, ALPHANUMERIC),
        ("sk_live_", 24, ALPHANUMERIC),
        ("rk_test_", 24, ALPHANUMERIC),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.", 40, ALPHANUMERIC),
    ]);
    let mut secret = String::new();
    for _ in 0..length {
        let _ = secret.write_char(char::from(numbers.of(alphabet)));
    }
    (format!("the request with {prefix}{secret} was refused"), secret)
}
