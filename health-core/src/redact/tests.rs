//! Tests of redaction over one corpus of secrets.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Texts with secrets in URLs, connection strings, headers and keys, each with the redacted text. Drivers spell secrets
/// differently; add new spellings here.
const CORPUS: &[(&str, &str)] = &[
    // URLs with credentials.
    ("connect postgres://app:hunter2@db:5432/orders failed", "connect postgres://***@db:5432/orders failed"),
    (
        "postgresql://app:hunter2@db1:5432,db2:5432/orders?sslmode=require",
        "postgresql://***@db1:5432,db2:5432/orders?sslmode=require",
    ),
    (
        "postgres://db/orders?user=app&password=hunter2&sslmode=disable",
        "postgres://db/orders?user=app&password=***&sslmode=disable",
    ),
    ("postgres://u:it's@db/x", "postgres://***@db/x"),
    ("mysql://app:hunter2@db:3306/orders", "mysql://***@db:3306/orders"),
    ("mariadb://app:hun%40ter2@db/orders", "mariadb://***@db/orders"),
    ("sqlite:///var/lib/app.db", "sqlite:///var/lib/app.db"),
    ("sqlserver://app:hunter2@db:1433;database=orders", "sqlserver://***@db:1433;database=orders"),
    ("redis://:hunter2@cache", "redis://***@cache"),
    ("rediss://app:hunter2@cache:6380/0", "rediss://***@cache:6380/0"),
    ("redis+unix:///run/redis.sock?db=1&pass=hunter2&user=app", "redis+unix:///run/redis.sock?db=1&pass=***&user=app"),
    ("redis-sentinel://:hunter2@s1:26379,s2:26379/main", "redis-sentinel://***@s1:26379,s2:26379/main"),
    ("amqp://u:p@ss/w?rd@mq/vhost", "amqp://***@mq/vhost"),
    ("amqps://app:hunter2@mq:5671/%2f", "amqps://***@mq:5671/%2f"),
    ("nats://hunter2token@bus:4222", "nats://***@bus:4222"),
    ("tls://app:hunter2@bus:4222", "tls://***@bus:4222"),
    ("mongodb+srv://app:hunter2@cluster.example/orders", "mongodb+srv://***@cluster.example/orders"),
    ("https://app:hunter2@api.example/v1?api_key=hunter2", "https://***@api.example/v1?api_key=***"),
    ("https://hooks.example/x?access_token=hunter2", "https://hooks.example/x?access_token=***"),
    (
        "https://bucket.s3.example/k?X-Amz-Signature=0123abcd&X-Amz-Credential=AKIAABCDEFGHIJKLMNOP/x",
        "https://bucket.s3.example/k?X-Amz-Signature=***&X-Amz-Credential=***",
    ),
    ("git+ssh://git:hunter2@host/repo", "git+ssh://***@host/repo"),
    // key=value connection strings.
    ("host=db user=app password=hunter2 dbname=x", "host=db user=app password=*** dbname=x"),
    ("password='hunter 2' dbname=x", "password='***' dbname=x"),
    ("password='hun\\'ter 2' dbname=x", "password='***' dbname=x"),
    ("Server=db;User Id=app;Password=hunter2;Encrypt=true", "Server=db;User Id=app;Password=***;Encrypt=true"),
    ("Server=db;Uid=app;Pwd=hunter2;", "Server=db;Uid=app;Pwd=***;"),
    ("jdbc:postgresql://db/orders?user=app&password=hunter2", "jdbc:postgresql://db/orders?user=app&password=***"),
    (
        "bootstrap.servers=k:9092 sasl.username=app sasl.password=hunter2",
        "bootstrap.servers=k:9092 sasl.username=app sasl.password=***",
    ),
    (
        "ScramLoginModule required username=\"app\" password=\"hunter2\";",
        "ScramLoginModule required username=\"app\" password=\"***\";",
    ),
    ("ssl.key.password = hunter2", "ssl.key.password = ***"),
    ("PGPASSWORD: hunter2", "PGPASSWORD: ***"),
    ("MYSQL_PWD=hunter2 mysql", "MYSQL_PWD=*** mysql"),
    ("cache:6379,password=hunter2,ssl=true", "cache:6379,password=***,ssl=true"),
    ("AUTH_TOKEN=hunter2", "AUTH_TOKEN=***"),
    ("client_secret=hunter2&grant_type=x", "client_secret=***&grant_type=x"),
    ("a?api_key=hunter2&b=1", "a?api_key=***&b=1"),
    ("private_key = hunter2", "private_key = ***"),
    // Debug output and JSON.
    (r#"{"token":"hunter2","a":1}"#, r#"{"token":"***","a":1}"#),
    (
        r#"Config { user: Some("app"), password: Some("hunter2"), dbname: None }"#,
        r#"Config { user: Some("app"), password: Some("***"), dbname: None }"#,
    ),
    (r#"password: Some("hunter2"), x"#, r#"password: Some("***"), x"#),
    (r#""{\"password\":\"hunter2\",\"a\":1}""#, r#""{\"password\":\"***\",\"a\":1}""#),
    // Headers.
    ("Authorization: Bearer hunter2hunter2, next", "Authorization: Bearer ***, next"),
    ("authorization: Basic YXBwOmh1bnRlcjI=", "authorization: Basic ***"),
    ("Proxy-Authorization: Basic YXBwOmh1bnRlcjI=", "Proxy-Authorization: Basic ***"),
    ("authorization: hunter2", "authorization: ***"),
    ("sent Basic aHVudGVyMjpo to it", "sent Basic *** to it"),
    ("X-Api-Key: hunter2", "X-Api-Key: ***"),
    ("x-auth-token: hunter2", "x-auth-token: ***"),
    // Keys and tokens.
    ("key AKIAABCDEFGHIJKLMNOP used", "key *** used"),
    ("session ASIAABCDEFGHIJKLMNOP", "session ***"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
    ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2Vj", "AWS_SESSION_TOKEN=***"),
    ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl end", "jwt *** end"),
    ("-----BEGIN KEY-----\nhunter2\n-----END KEY----- after", "*** after"),
    ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----", "***"),
    ("-----BEGIN KEY-----\nhunter2", "***"),
    // A value is more than a literal.
    (r#"{"token": String("k7q")}"#, r#"{"token": String("***")}"#),
    (r#"password: Pw("k7q"), x"#, r#"password: Pw("***"), x"#),
    (r#"Secret("k7q") x"#, r#"Secret("***") x"#),
    (r#"password: Some(Secret("k7q"))"#, r#"password: Some(Secret("***"))"#),
    ("password: b'k7q' x", "password: b'***' x"),
    (r#"password: b"k7q" x"#, r#"password: b"***" x"#),
    (r##"password: r#"k7q"p9z"# x"##, r##"password: r#"***"# x"##),
    (r#"{"x-api-key":["k7q"]}"#, r#"{"x-api-key":["***"]}"#),
    (r#"{"x-api-key":["k7q","p9z"]}"#, r#"{"x-api-key":[***]}"#),
    (r#"{:password=>"k7q", :user=>"app"}"#, r#"{:password=>"***", :user=>"app"}"#),
    (r#"{"password" => "k7q"}"#, r#"{"password" => "***"}"#),
    (r#"password: Secret { value: "k7q" }, x"#, r#"password: Secret { value: "***" }, x"#),
    (r#"password: Secret { inner: k7q, n: 2 }, x"#, r#"password: Secret { *** }, x"#),
    ("password: [107, 55, 113], x", "password: [***], x"),
    ("secret_key: SecretKey([107, 55, 113])", "secret_key: SecretKey([***])"),
    (r#"token: Ok(Some("k7q"))"#, r#"token: Ok(Some("***"))"#),
    (r#"token: serde_json::Value::String("k7q")"#, r#"token: serde_json::Value::String("***")"#),
    (r#"params["password"] = "k7q""#, r#"params["password"] = "***""#),
    ("<password>k7q</password><user>a</user>", "<password>***</password><user>a</user>"),
    (
        r#"[("host", "a"), ("password", "k7q"), ("cookie", "sid=k7q")]"#,
        r#"[("host", "a"), ("password", "***"), ("cookie", "***")]"#,
    ),
    (r#"encryptionKey: Key { id: 1, bytes: "k7q" }"#, "encryptionKey: Key { *** }"),
    ("authorization=Token k7q", "authorization=***"),
    ("%22password%22%3A%22k7q%22", "%22password%22%3A***"),
    ("GRANT ALL TO app IDENTIFIED BY \"k7q\"", "GRANT ALL TO app IDENTIFIED BY \"***\""),
    ("SET PASSWORD FOR 'app'@'%' = 'k7q'", "SET PASSWORD FOR 'app'@'%' = '***'"),
    ("password: |\n  k7q\nuser: a", "password: |\n  ***\nuser: a"),
    ("token: Token { expires_in: Some(12), access: \"k7q\" }", "token: Token { *** }"),
    ("api_key: Key { inner: \"k7q\" }", "api_key: Key { inner: \"***\" }"),
    (r#"{"name":"DB_PASSWORD","value":"k7q"}"#, r#"{"name":"DB_PASSWORD","value":"***"}"#),
    (r#"<add key="password" value="k7q"/>"#, r#"<add key="password" value="***"/>"#),
    (r#"<password type="x">k7q</password>"#, r#"<password type="x">***</password>"#),
    ("<Password><![CDATA[k7q]]></Password>", "<Password><![CDATA[***]]></Password>"),
    ("X-Api-Key: Key k7q", "X-Api-Key: ***"),
    ("token=Bearer k7q", "token=***"),
    ("authorization: Bearer \"k7q\"", "authorization: Bearer \"***\""),
    ("-H \"Cookie: a=k7q; b=\\\"p9z\\\"; c=r4r\" x", "-H \"Cookie: ***\" x"),
    (r"a\npassword: k7q\nuser: a", r"a\npassword: ***\nuser: a"),
    (r"postgres:\\/\\/u:k7q@h", r"postgres:\\/\\/***@h"),
    ("password = \"\"\"k7q\"\"\" x", "password = \"\"\"***\"\"\" x"),
    ("Server=h;Password=k7q p9z;", "Server=h;Password=***;"),
    ("api.key=k7q", "api.key=***"),
    // White space between key and value.
    ("password: Some(\n    \"k7q\",\n),\nuser: None", "password: Some(\n    \"***\",\n),\nuser: None"),
    ("password:\tk7q", "password:\t***"),
    ("password:\n  k7q\nuser: a", "password:\n  ***\nuser: a"),
    ("password\t=\tk7q x", "password\t=\t*** x"),
    ("{\n  \"token\":\n    \"k7q\"\n}", "{\n  \"token\":\n    \"***\"\n}"),
    ("secrets: [\n    \"k7q\",\n]", "secrets: [\n    \"***\",\n]"),
    // Every scheme of Authorization.
    ("Authorization: Token k7q", "Authorization: ***"),
    ("Authorization: ApiKey k7q\nHost: a", "Authorization: ***\nHost: a"),
    ("authorization: Digest username=\"u\", response=\"k7q\"", "authorization: ***"),
    ("-H 'Authorization: Token k7q p9z' http://h/x", "-H 'Authorization: ***' http://h/x"),
    (r#"{"authorization": "Token k7q"}"#, r#"{"authorization": "***"}"#),
    ("Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=k7q", "Authorization: ***"),
    ("Cookie: sid=k7q; theme=p9z\r\nHost: a", "Cookie: ***\r\nHost: a"),
    ("Set-Cookie: sid=k7q; Path=/", "Set-Cookie: ***"),
    // Userinfo within the authority only.
    ("url (http://h/x?token=k7q@p9z)", "url (http://h/x?token=***)"),
    ("http://h.internal/u?mail=me@b.example", "http://h.internal/u?mail=me@b.example"),
    ("http://u:k7q@h.internal/u?mail=me@b.example", "http://***@h.internal/u?mail=me@b.example"),
    ("postgres://u:k7q@h/d?application_name=me@x", "postgres://***@h/d?application_name=me@x"),
    ("https://h:8443/users/me@b.example", "https://h:8443/users/me@b.example"),
    ("https://registry.example/@types/node", "https://registry.example/@types/node"),
    ("postgres://u:1/k7q@h/d", "postgres://***@h/d"),
    ("redis://:k7/q@h:6379", "redis://***@h:6379"),
    ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
    // The end of a value.
    ("http://h/x?token=k7q,p9z", "http://h/x?token=***"),
    ("http://h/x?token=k7q;p9z&a=1", "http://h/x?token=***&a=1"),
    ("http://h/x?token=k7q{}p9z#top", "http://h/x?token=***#top"),
    ("host=h password=k7q,p9z dbname=x", "host=h password=*** dbname=x"),
    ("host=h password=k7q;p9z dbname=x", "host=h password=*** dbname=x"),
    ("host=h password=k7q&p9z dbname=x", "host=h password=*** dbname=x"),
    ("host=h password=k7q}p9z dbname=x", "host=h password=*** dbname=x"),
    ("host=h password=k7q\"p9z dbname=x", "host=h password=*** dbname=x"),
    ("host=h password=k7q'p9z dbname=x", "host=h password=*** dbname=x"),
    ("host=h password=k7q\\ p9z dbname=x", "host=h password=*** dbname=x"),
    ("Pwd={k7q;p9z};Encrypt=yes", "Pwd={***};Encrypt=yes"),
    ("Pwd={k7q}}p9z};Encrypt=yes", "Pwd={***};Encrypt=yes"),
    ("Server=h;Password='k7q''p9z';Encrypt=yes", "Server=h;Password='***';Encrypt=yes"),
    ("Server=h;Password=\"k7q\"\"p9z\";Encrypt=yes", "Server=h;Password=\"***\";Encrypt=yes"),
    ("Server=h;Password=k7q p9z;Encrypt=yes", "Server=h;Password=***;Encrypt=yes"),
    ("{user=app, password=k7q} failed", "{user=app, password=***} failed"),
    ("{\"dsn\":\"host=h password=k7q\",\"a\":1}", "{\"dsn\":\"host=h password=***\",\"a\":1}"),
    (r#"\"dsn\":\"host=h password=k7q\",\"a\":1"#, r#"\"dsn\":\"host=h password=***\",\"a\":1"#),
    ("DB_PASS='k7q'p9z psql", "DB_PASS=*** psql"),
    // Keys.
    ("AccountName=a;AccountKey=k7q==;EndpointSuffix=x", "AccountName=a;AccountKey=***;EndpointSuffix=x"),
    (
        "Endpoint=sb://h/;SharedAccessKeyName=RootManage;SharedAccessKey=k7q=",
        "Endpoint=sb://h/;SharedAccessKeyName=RootManage;SharedAccessKey=***",
    ),
    ("accessKey=k7q", "accessKey=***"),
    ("privateKey: k7q", "privateKey: ***"),
    ("DB_PASS=k7q", "DB_PASS=***"),
    ("https://h/x?sv=1&sig=k7q%3D&se=2", "https://h/x?sv=1&sig=***&se=2"),
    ("encryption_key=k7q", "encryption_key=***"),
    ("Account Key=k7q", "Account Key=***"),
    ("API key: k7q", "API key: ***"),
    ("redirect=%2Fx%3Ftoken%3Dk7q", "redirect=%2Fx%3Ftoken%3D***"),
    // Userinfo with a blank or a quote, and with JSON's escapes.
    ("postgres://u:k7q\"p9z@h/d", "postgres://***@h/d"),
    ("postgres://u:k7q p9z@h/d", "postgres://***@h/d"),
    (r"postgres:\/\/u:k7q@h\/d", r"postgres:\/\/***@h\/d"),
    ("app:k7q@tcp(db:3306)/orders", "app:***@tcp(db:3306)/orders"),
    // Tokens by their prefix, and commands.
    ("push with ghp_0123456789abcdefABCDEF0123456789abcd failed", "push with *** failed"),
    ("github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdef", "***"),
    ("xoxb-123456789012-abcdefghijkl is revoked", "*** is revoked"),
    ("key=AIzaSyA-0123456789abcdefghijklmnopqrstu", "key=***"),
    ("sk_live_0123456789abcdef", "***"),
    ("https://hooks.slack.com/services/T000/B000/k7q", "https://hooks.slack.com/services/***"),
    ("ALTER ROLE app PASSWORD 'k7q'", "ALTER ROLE app PASSWORD '***'"),
    ("CREATE USER app IDENTIFIED BY 'k7q'", "CREATE USER app IDENTIFIED BY '***'"),
    ("mysql --password k7q -h db", "mysql --password *** -h db"),
    ("mysql --password=k7q -h db", "mysql --password=*** -h db"),
    // Error messages without a secret stay readable.
    ("invalid token: expected `,` or `}` at line 1", "invalid token: expected `,` or `}` at line 1"),
    ("Basic authentication failed", "Basic authentication failed"),
    ("Bearer authentication is required", "Bearer authentication is required"),
    ("max_tokens=4096", "max_tokens=4096"),
    ("password: None", "password: None"),
    (r#"{"authorization": Sensitive, "a": "b"}"#, r#"{"authorization": Sensitive, "a": "b"}"#),
    ("token: Secret([REDACTED alloc::string::String])", "token: Secret([REDACTED alloc::string::String])"),
    ("token: connection refused", "token: connection refused"),
    ("vault-token: unhealthy", "vault-token: unhealthy"),
    ("pass=10 fail=2", "pass=10 fail=2"),
    ("url http://host:8080: refused; mail admin@x.example", "url http://host:8080: refused; mail admin@x.example"),
    ("WWW-Authenticate: Basic realm=\"x\"", "WWW-Authenticate: Basic realm=\"x\""),
    ("Basic I/O failed", "Basic I/O failed"),
    ("Config { password: Some(_), dbname: None }", "Config { password: Some(_), dbname: None }"),
    ("SharedAccessKeyName=RootManage", "SharedAccessKeyName=RootManage"),
    // Texts without a secret stay unchanged.
    ("a basic check", "a basic check"),
    ("no such host: db.internal:5432", "no such host: db.internal:5432"),
    ("password authentication failed for user \"app\"", "password authentication failed for user \"app\""),
    ("mailto user@example.org", "mailto user@example.org"),
    ("http://example.org/path", "http://example.org/path"),
    ("a passing test passed", "a passing test passed"),
];

#[test]
fn known_shapes_are_removed_and_the_rest_stays() {
    let wrong: Vec<(String, &str)> = CORPUS
        .iter()
        .map(|(text, expected)| (shapes(text), *expected))
        .filter(|(said, expected)| said != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A text that is cut off right after its secret does not leak the secret.
#[test]
fn a_text_cut_off_after_its_secret_leaks_nothing() {
    for (text, _) in CORPUS.iter().filter(|(text, _)| text.contains("hunter2")) {
        let end = text.find("hunter2").map_or(0, |start| start + "hunter2".len());
        let said = shapes(&text[..end]);
        // Without the `@`, the credentials in a URL cannot be distinguished from a host and port.
        if !text[end..].contains('@') {
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}

/// A masked text does not change when it is redacted again.
#[test]
fn a_second_redaction_changes_nothing() {
    for (_, expected) in CORPUS {
        assert_eq!(shapes(expected), *expected, "{expected}");
    }
}

#[test]
fn registered_secrets_are_removed_in_the_encodings_of_urls_and_json() {
    let secrets = Secrets::from("k7 q/\"p@9");
    for text in [
        "k7 q/\"p@9",
        "k7%20q%2F%22p%409",
        "k7%20q%2f%22p%409",
        "k7+q%2F%22p%409",
        "k7%20q/%22p@9",
        r#"k7 q/\"p@9"#,
        r#"k7 q\/\"p@9"#,
    ] {
        assert_eq!(secrets.redact(&format!("a {text} b")), "a *** b", "{text}");
    }
}

/// The texts are sentences and errors of drivers without a secret.
#[test]
fn texts_without_a_secret_stay_unchanged() {
    let harmless = include_str!("harmless.txt");
    assert!(harmless.lines().count() >= 300);
    let wrong: Vec<String> =
        harmless.lines().map(shapes).zip(harmless.lines()).filter(|(said, text)| said != text).map(|it| it.0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn registered_secrets_are_removed_at_any_place_in_a_text() {
    let mut secrets = Secrets::from("hunter2");
    assert_eq!(secrets.redact("xhunter2x in a://b:hunter2@c"), "x***x in a://***@c");
    secrets.add(String::new());
    secrets.add("hunter2hunter3".to_owned());
    assert_eq!(secrets.redact("a hunter2hunter3 b"), "a *** b");
}

#[test]
fn a_single_line_is_bounded_and_has_no_control_characters() {
    assert_eq!(single_line("a|b\nc", 256), "a/b c");
    assert_eq!(single_line(&"é".repeat(300), 256).chars().count(), 256);
    assert_eq!(single_line("abc", 3), "abc");
    assert_eq!(single_line("abcd", 3), "ab…");
}

/// The time grows linearly with the length of a text, for every repeated part: eight times the length takes about eight
/// times as long, and not 64 times.
#[test]
fn redaction_takes_linear_time() {
    for part in PARTS {
        let text = |length: usize| "password: ".to_owned() + &part.repeat(length / part.len());
        let time = |text: &str| {
            let began = Instant::now();
            assert!(!shapes(text).is_empty());
            began.elapsed()
        };
        let (short, long) = (text(4 << 10), text(32 << 10));
        let mut least = (Duration::MAX, Duration::MAX);
        // The shortest of several measurements counts, because other programs may use the processor in between.
        let is_linear = (0..40).any(|_| {
            least = (least.0.min(time(&short)), least.1.min(time(&long)));
            least.1 < least.0 * 24
        });
        assert!(is_linear, "{part:?}: {least:?}");
    }
}

/// Beginnings of shapes for which the grammar may search far ahead.
const PARTS: &[&str] = &[
    "://",
    "a://b:c ",
    "://u:p\"x",
    ":\\/\\/",
    "password=",
    "password=(",
    "password: [",
    "password: Some(\"",
    "token: \\",
    "\\",
    "\"",
    "'",
    "password='",
    "password: 'a' ",
    "password={",
    "pwd={}}",
    "<password>",
    "<password> ",
    "Authorization: ",
    "cookie: a ",
    "key ",
    "api key ",
    "-----BEGIN ",
    "-----BEGIN A-----",
    "--password ",
    "Bearer ",
    "basic a",
    "password=a;b ",
    ";password=a b;",
    "eyJhbGciOiJI.",
    "a@",
    "a:@tcp(",
    "password: a(b{",
    "password=\\ ",
    "token=a&",
    "?token=a,",
    "xoxb-",
    "ghp_",
    "é",
    "a",
    " ",
    "password:\n",
    "{\"token\":",
    "password: r#\"",
    "password: r#",
    "password: b'",
    "password.",
    "a.b.password=",
    "by '",
    "identified by '",
    "password=a {",
    "password=A {a: ",
    "x x x x x",
    "passwordpassword",
    "-",
    "_",
    "password-",
];

proptest! {
    #[test]
    fn a_password_in_a_url_or_dsn_never_survives(
        before in ".{0,20}",
        password in "[A-Za-z0-9:/?#!$&*+,;=@%._~'-]{6,24}",
        after in ".{0,20}",
    ) {
        let url = format!("{before} pg://user:{password}@host/{after}");
        prop_assert!(!Secrets::from(&*password).redact(&url).contains(&password));
        prop_assert!(!shapes(&url).contains(&password));
        // The generated password must not close the quoted value.
        let dsn = format!("{before} password='{}' {after}", password.replace('\'', "\\'"));
        prop_assert!(!Secrets::from(&*password).redact(&dsn).contains(&password));
    }

    #[test]
    fn no_text_makes_redaction_panic(text in "\\PC{0,200}") {
        let _ = shapes(&text);
        let _ = single_line(&text, 16);
    }
}

#[test]
fn debug_output_shows_the_number_of_secrets_and_no_secret() {
    assert_eq!(format!("{:?}", Secrets::from("opensesame")), "[1 redacted]");
}
