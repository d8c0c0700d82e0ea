//! Validates every JSON document of the endpoint by the schemas in `health-core/schema`, and compares the schemas with
//! the code.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use health_core::{Endpoint, HeaderValue, Kind, Lifecycle, Reason, Status, Visibility};
use health_tests::{
    json_schema::{AnswerSchemas, file},
    support::ask,
    wire_contract::{STATES, endpoints, enter, frozen},
};
use proc_macro2::{TokenStream, TokenTree};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;

mod refusals;
mod services;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns every JSON document of an endpoint, in both formats.
fn documents(endpoint: &Endpoint, names: &[String]) -> Vec<Value> {
    let mut documents = Vec::new();
    for pattern in endpoint.patterns() {
        let names = if pattern.contains("{name}") { names } else { &names[..1] };
        for target in names.iter().map(|name| pattern.replace("{name}", name)) {
            for format in ["json", "health"] {
                let response = ask(endpoint, "GET", &format!("{target}?format={format}"));
                let has_type = |expected: &[u8]| {
                    let is_it = |(name, value): (&str, &HeaderValue)| {
                        name == "content-type" && value.as_bytes().starts_with(expected)
                    };
                    response.headers.iter().any(is_it)
                };
                if has_type(b"application/") {
                    let document: Value = serde_json::from_slice(&response.body).unwrap();
                    // The status chooses the schema, so it must be of the format that the header names.
                    let is_draft = ["pass", "warn", "fail"].iter().any(|word| document["status"] == *word);
                    assert_eq!(is_draft, has_type(b"application/health+json"), "{target} {format}: {document}");
                    documents.push(document);
                }
            }
        }
    }
    documents
}

/// Returns the names that a path can contain in the states of the wire contract.
fn names() -> Vec<String> {
    ["database", "cache", "worker", "reports", "billing", "sql", "fast"].map(str::to_owned).to_vec()
}

#[test]
fn every_document_of_the_wire_contract_is_valid() {
    let schemas = AnswerSchemas::read();
    let frozen = frozen(true);
    let mut count = 0;
    for state in STATES {
        enter(&frozen, state);
        for (name, endpoint) in endpoints(&frozen.health()) {
            for document in documents(&endpoint, &names()) {
                let fault = schemas.fault(&document);
                assert!(fault.is_none(), "{state:?} {name}: {}\n{document}", fault.unwrap_or_default());
                count += 1;
            }
        }
    }
    assert!(count > 300, "{count} documents");
}

#[test]
fn every_answer_is_valid_and_every_word_of_the_schemas_occurs() {
    let schemas = AnswerSchemas::read();
    let said = RefCell::new(BTreeSet::new());
    let test = |service: services::Service| {
        let frozen = service.frozen();
        let names: Vec<String> = service.names().into_iter().chain(services::TAGS.map(str::to_owned)).collect();
        for visibility in Visibility::ALL {
            let endpoint = Endpoint::new(frozen.health()).kubernetes_paths(false).visibility(*visibility);
            for document in documents(&endpoint, &names) {
                let fault = schemas.fault(&document);
                prop_assert!(fault.is_none(), "{visibility}: {}\n{document}", fault.unwrap_or_default());
                note_words(&document, &mut said.borrow_mut());
            }
        }
        Ok(())
    };
    let config = Config { failure_persistence: None, ..Config::with_cases(256) };
    if let Err(error) = TestRunner::new(config).run(&services::services(), test) {
        panic!("{error}");
    }
    let said = said.into_inner();
    for schema in ["report", "health-json"] {
        let mut vocabulary = BTreeSet::new();
        note_vocabulary(&file(schema), &mut vocabulary);
        let unsaid: Vec<_> = vocabulary.difference(&said).collect();
        assert!(unsaid.is_empty(), "{schema}: no answer contains {unsaid:?}");
    }
}

/// Adds the names of all members in a document, and all texts.
fn note_words(document: &Value, words: &mut BTreeSet<String>) {
    match document {
        Value::Object(members) => {
            for (name, value) in members {
                words.insert(name.clone());
                note_words(value, words);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| note_words(value, words)),
        Value::String(text) => {
            words.insert(text.clone());
        }
        _ => {}
    }
}

/// Adds the names of all members that a schema knows, and the words of its enums.
fn note_vocabulary(schema: &Value, words: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("properties", Value::Object(properties)) => words.extend(properties.keys().cloned()),
                    ("enum", Value::Array(values)) => {
                        words.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => {}
                }
                note_vocabulary(value, words);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| note_vocabulary(value, words)),
        _ => {}
    }
}

/// Returns the texts in Rust source: each literal, and the joined literals of a `concat!`.
fn texts(source: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = source.into_iter().collect();
    let mut found = Vec::new();
    for (position, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Literal(literal) => {
                if let syn::Lit::Str(text) = syn::Lit::new(literal.clone()) {
                    found.push(text.value());
                }
            }
            TokenTree::Group(group) => {
                let inside = texts(group.stream());
                let before = position.checked_sub(2).and_then(|position| tokens.get(position));
                let is_concat = matches!(before, Some(TokenTree::Ident(name)) if name == "concat");
                if is_concat { found.push(inside.concat()) } else { found.extend(inside) }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    found
}

#[test]
fn the_golden_answers_are_valid() {
    let schemas = AnswerSchemas::read();
    for (path, at_least) in [
        ("health-core/src/render/json.rs", 4),
        ("health-core/src/render/health_json.rs", 2),
        ("tests/suite/virtual/contract/conformance.rs", 3),
    ] {
        let source = fs::read_to_string(root().join(path)).unwrap();
        let documents = texts(source.parse().unwrap()).into_iter().filter_map(|text| serde_json::from_str(&text).ok());
        let answers: Vec<Value> = documents.filter(|document: &Value| document["status"].is_string()).collect();
        assert!(answers.len() >= at_least, "{path}: {} answers", answers.len());
        for answer in answers {
            assert_eq!(schemas.fault(&answer), None, "{path}: {answer}");
        }
    }
}

#[test]
fn the_answers_in_the_documentation_are_valid() {
    let schemas = AnswerSchemas::read();
    for (path, at_least) in
        [("README.md", 1), ("docs/src/endpoint.md", 3), ("docs/src/getting-started.md", 1), ("docs/src/tenants.md", 1)]
    {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let blocks = text.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
        let documents = blocks.map(|block| {
            serde_json::from_str::<Value>(block).unwrap_or_else(|error| panic!("{path}: {error}: {block}"))
        });
        let answers: Vec<Value> = documents.filter(|document| document["status"].is_string()).collect();
        assert!(answers.len() >= at_least, "{path}: {} answers", answers.len());
        for answer in answers {
            assert_eq!(schemas.fault(&answer), None, "{path}: {answer}");
        }
    }
}

/// Returns the words of an enum among the definitions of a schema.
fn words(schema: &Value, definition: &str) -> BTreeSet<String> {
    let words = schema["$defs"][definition]["enum"].as_array().unwrap_or_else(|| panic!("no enum {definition}"));
    words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_words_of_the_schemas_are_those_of_the_code() {
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<String>>();
    let report = file("report");
    let all = |words: Vec<&'static str>| set(&words);
    assert_eq!(words(&report, "Status"), all(Status::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(words(&report, "Kind"), all(Kind::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(words(&report, "Lifecycle"), all(Lifecycle::ALL.iter().map(|it| it.as_str()).collect()));
    assert_eq!(words(&file("health-json"), "Status"), set(&["pass", "warn", "fail"]));

    let reasons = all(Reason::ALL.iter().map(|it| it.as_str()).collect());
    let of_a_lifecycle = Lifecycle::ALL.iter().filter_map(|lifecycle| lifecycle.reason()).map(Reason::as_str);
    let of_a_report = all(of_a_lifecycle.chain([Reason::Stale.as_str()]).collect());
    for schema in [report, file("health-json")] {
        let (check, report) = (words(&schema, "CheckReason"), words(&schema, "ReportReason"));
        assert_eq!(report, of_a_report);
        assert_eq!(check.union(&report).cloned().collect::<BTreeSet<_>>(), reasons);
        assert_eq!(reasons.difference(&check).cloned().collect::<BTreeSet<_>>(), set(&["draining", "stopped"]));
    }
}
