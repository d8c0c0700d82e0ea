//! Compares the OpenAPI document of an endpoint with the answers of the endpoint.

use std::collections::{BTreeMap, BTreeSet};

use health_core::{Endpoint, Rendered, Request, Status, Visibility};
use health_tests::{
    json_schema::{JsonSchema, file},
    wire_contract::{STATES, TOKEN, enter, frozen},
};
use serde_json::Value;
use utoipa::openapi::{HttpMethod, Info, OpenApi, PathItem, Paths, PathsBuilder, path::OperationBuilder};

/// The content type of the application's own renderer.
const OWN: &str = "application/vnd.example+json";

/// Answers, each as the pattern of its path, its code and its media type.
type Seen = BTreeSet<(String, u16, String)>;

/// Returns the document of a small application, merged with that of the endpoint.
fn merged(endpoint: &Endpoint) -> Value {
    let own = OperationBuilder::new().operation_id(Some("orders"));
    let paths = PathsBuilder::new().path("/orders", PathItem::new(HttpMethod::Get, own)).build();
    let mut document = OpenApi::new(Info::new("orders", "1.4.2"), paths);
    document.merge(endpoint.openapi());
    serde_json::from_str(&document.to_json().unwrap()).unwrap()
}

/// Returns the endpoint of this name among [`ENDPOINTS`], with its options set.
fn endpoint(name: &str, default: Endpoint) -> Endpoint {
    match name {
        "default" => default,
        "codes" => default.unhealthy_code(599).degraded_code(429).draining_code(404),
        "elsewhere" => default.base_path("/a/b.c").kubernetes_paths(false).full_for_bearer(TOKEN),
        "a custom code" => default.unhealthy_code(400),
        "own renderer" => default.render_with(|report, _| match report.status() {
            Status::Degraded => panic!("as asked"),
            status => Rendered::new(OWN, format!("\"{status}\"")),
        }),
        _ => default.visibility(Visibility::Full),
    }
}

/// Endpoints with options of each kind.
const ENDPOINTS: [&str; 6] = ["default", "codes", "elsewhere", "a custom code", "own renderer", "full"];

/// Returns the paths of a pattern: with each name of the states, and with an unknown name.
fn targets(pattern: &str) -> Vec<String> {
    let names = ["database", "cache", "worker", "reports", "sql", "fast", "nothing"];
    if pattern.contains("{name}") {
        names.iter().map(|name| pattern.replace("{name}", name)).collect()
    } else {
        vec![pattern.to_owned()]
    }
}

/// Returns the queries and headers that change an answer.
fn requests() -> Vec<(Option<&'static str>, Option<&'static str>)> {
    let queries = ["format=json", "format=health", "format=text", "format=html&refresh=5", "format=svg", "format=xml"];
    let more = ["verbose", "exclude=database&verbose"];
    let accepts = ["application/openmetrics-text", "text/html", "application/health+json"];
    let queries = queries.into_iter().chain(more).map(|query| (Some(query), None));
    [(None, None)].into_iter().chain(queries).chain(accepts.into_iter().map(|accept| (None, Some(accept)))).collect()
}

/// Returns what a documented answer has for a media type, or `None` if it does not name the media type.
fn content<'d>(answer: &'d Value, media: &str) -> Option<&'d Value> {
    let contents = answer["content"].as_object()?;
    contents.get(media).or_else(|| contents.get("*/*"))
}

/// Asserts that the document names every answer to GET, and that JSON is valid by the named schema. Returns the
/// answers and the document.
fn answers_are_documented(name: &str) -> (Seen, Value) {
    let frozen = frozen(false);
    let endpoint = endpoint(name, Endpoint::new(frozen.health()));
    let document = merged(&endpoint);
    let mut schemas: BTreeMap<String, JsonSchema> = BTreeMap::new();
    let mut seen = Seen::new();
    for state in STATES {
        enter(&frozen, state);
        for pattern in endpoint.patterns() {
            let answers = &document["paths"][&pattern]["get"]["responses"];
            for (target, (query, accept)) in
                targets(&pattern).iter().flat_map(|target| requests().into_iter().map(move |request| (target, request)))
            {
                let lines = |name: &str, line: usize| accept.filter(|_| name == "accept" && line == 0);
                let request = Request::new("GET", target, query, None, &lines);
                let response =
                    endpoint.respond(&request).unwrap_or_else(|| panic!("{target} does not belong to the endpoint"));
                let content_type = response.headers.iter().find(|(name, _)| *name == "content-type").unwrap().1;
                let content_type = std::str::from_utf8(content_type.as_bytes()).unwrap();
                let media = content_type.split(';').next().unwrap();
                let what = format!("{name}, {state:?}, {target} {query:?} {accept:?}: {} {media}", response.status);
                let content = content(&answers[response.status.to_string()], media);
                let content = content.unwrap_or_else(|| panic!("not in the document: {what}"));
                if let Some(place) = content["schema"]["$ref"].as_str() {
                    let compile = || JsonSchema::new(document.clone(), place.trim_start_matches('#'));
                    let schema = schemas.entry(place.to_owned()).or_insert_with(compile);
                    let body: Value = serde_json::from_slice(&response.body).unwrap();
                    assert_eq!(schema.fault(&body), None, "{what}");
                }
                seen.insert((pattern.clone(), response.status, media.to_owned()));
            }
        }
    }
    (seen, document)
}

/// Returns every answer that a document names for the patterns of an endpoint.
fn named(document: &Value, patterns: &[String]) -> Seen {
    let mut named = Seen::new();
    for pattern in patterns {
        for (code, answer) in document["paths"][pattern]["get"]["responses"].as_object().unwrap() {
            for media in answer["content"].as_object().unwrap().keys() {
                named.insert((pattern.clone(), code.parse().unwrap(), media.clone()));
            }
        }
    }
    named
}

#[test]
fn every_answer_is_in_the_document_and_the_document_names_no_other() {
    for name in ENDPOINTS {
        let (seen, document) = answers_are_documented(name);
        let frozen = frozen(false);
        let endpoint = endpoint(name, Endpoint::new(frozen.health()));
        let named = named(&document, &endpoint.patterns());
        if name != "own renderer" {
            let unseen: Vec<_> = named.difference(&seen).collect();
            assert!(unseen.is_empty(), "{name}: the document names answers that no state gives: {unseen:?}");
        }
    }
}

#[test]
fn the_paths_are_those_of_the_endpoint() {
    for name in ENDPOINTS {
        let frozen = frozen(false);
        let endpoint = endpoint(name, Endpoint::new(frozen.health()));
        let document = merged(&endpoint);
        let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let patterns = endpoint.patterns();
        let expected: BTreeSet<&str> = patterns.iter().map(String::as_str).chain(["/orders"]).collect();
        assert_eq!(paths, expected, "{name}");
    }
}

/// Returns every value of a member of this name, at any depth.
fn values<'d>(document: &'d Value, name: &str) -> Vec<&'d Value> {
    match document {
        Value::Object(members) => {
            let own = members.get(name).into_iter();
            own.chain(members.values().flat_map(|value| values(value, name))).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(|value| values(value, name)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_reference_has_a_target_and_every_operation_id_is_unique() {
    for name in ENDPOINTS {
        let frozen = frozen(false);
        let endpoint = endpoint(name, Endpoint::new(frozen.health()));
        let document = merged(&endpoint);
        let references = values(&document, "$ref");
        assert!(references.len() > 20, "{} references", references.len());
        for reference in references {
            let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{name}: {reference} has no target");
        }
        let ids: Vec<&str> = values(&document, "operationId").into_iter().filter_map(Value::as_str).collect();
        assert_eq!(ids.len(), endpoint.patterns().len() + 1);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: {ids:?}");
        for pattern in endpoint.patterns() {
            let operation = &document["paths"][&pattern]["get"];
            let parameters = operation["parameters"].as_array().unwrap();
            let in_path: Vec<&Value> = parameters.iter().filter(|parameter| parameter["in"] == "path").collect();
            assert_eq!(in_path.len(), usize::from(pattern.contains("{name}")), "{name}: {pattern}");
            assert!(in_path.iter().all(|parameter| parameter["name"] == "name" && parameter["required"] == true));
            let names: BTreeSet<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
            assert_eq!(names.len(), parameters.len(), "{name}: {pattern} has a parameter twice");
            // The security requirements of the application do not apply here, and a token is always optional.
            let security = operation["security"].as_array().unwrap();
            assert!(security.iter().any(|scheme| scheme.as_object().unwrap().is_empty()), "{name}: {pattern}");
            for scheme in security.iter().flat_map(|scheme| scheme.as_object().unwrap().keys()) {
                assert!(document["components"]["securitySchemes"][scheme].is_object(), "{name}: {scheme}");
            }
        }
    }
}

#[test]
fn the_parameters_are_those_of_the_contract() {
    let frozen = frozen(false);
    let document = merged(&Endpoint::new(frozen.health()));
    let names = |pattern: &str| -> Vec<String> {
        let parameters = document["paths"][pattern]["get"]["parameters"].as_array().unwrap();
        parameters.iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/health"), ["format", "refresh"]);
    assert_eq!(names("/health/checks/{name}"), ["name", "format", "refresh"]);
    assert_eq!(names("/readyz"), ["verbose", "exclude"]);
    assert_eq!(names("/readyz/{name}"), ["name"]);
    assert!(names("/health/metrics").is_empty());
    let formats = &document["paths"]["/health"]["get"]["parameters"][0]["schema"]["enum"];
    assert_eq!(*formats, serde_json::json!(["json", "health", "text", "html", "svg"]));
}

/// The schema types of utoipa do not have every keyword. A keyword that they drop would be missing in the document.
#[test]
fn the_schemas_of_the_document_are_those_of_the_files() {
    let frozen = frozen(false);
    let document = merged(&Endpoint::new(frozen.health()));
    let components = document["components"]["schemas"].as_object().unwrap();
    let mut expected = BTreeMap::new();
    for (name, prefix) in [("report", "Health."), ("health-json", "HealthJson.")] {
        let text = file(name).to_string().replace("#/$defs/", &format!("#/components/schemas/{prefix}"));
        let schema: Value = serde_json::from_str(&text).unwrap();
        for (definition, schema) in schema["$defs"].as_object().unwrap() {
            expected.insert(format!("{prefix}{definition}"), schema.clone());
        }
    }
    for (name, schema) in &expected {
        assert_eq!(components.get(name), Some(schema), "{name}");
    }
    assert_eq!(components.len(), expected.len());
}

#[test]
fn two_endpoints_fit_into_one_document() {
    let frozen = frozen(false);
    let inside = Endpoint::new(frozen.health()).base_path("/internal/health").kubernetes_paths(false);
    let mut document = OpenApi::new(Info::new("orders", "1.4.2"), Paths::new());
    document.merge(Endpoint::new(frozen.health()).openapi());
    document.merge(inside.openapi());
    let nested = OpenApi::new(Info::new("orders", "1.4.2"), Paths::new()).nest("/api", inside.openapi());
    assert!(nested.paths.get_path_item("/api/internal/health/live").is_some());
    let document: Value = serde_json::from_str(&document.to_json().unwrap()).unwrap();
    let ids: Vec<&str> = values(&document, "operationId").into_iter().filter_map(Value::as_str).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    assert_eq!(document["tags"].as_array().unwrap().len(), 1);
}
