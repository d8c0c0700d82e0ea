//! Tests of redaction over one corpus of secrets.

use super::*;
use proptest::prelude::*;

/// Texts with secrets in URLs, connection strings, headers and keys, each with the redacted text. Drivers spell secrets
/// differently; a new spelling belongs here.
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

#[test]
fn registered_secrets_are_removed_at_any_place() {
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
fn debug_shows_the_number_of_secrets_and_none_of_them() {
    assert_eq!(format!("{:?}", Secrets::from("opensesame")), "[1 redacted]");
}
