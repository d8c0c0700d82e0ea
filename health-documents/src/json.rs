//! Health documents in JSON.

use serde_json::{Map, Value};

use crate::{
    document::{Component, Components, Document, Status, message, reason},
    number, word,
};

type Object = Map<String, Value>;

/// The largest depth of nested components that is read.
const DEEP: usize = 8;

/// The members that can contain the components, in the order of the search.
const PARTS: [&str; 5] = ["checks", "components", "entries", "results", "details"];
/// The members that can contain the status.
const STATES: [&str; 3] = ["status", "outcome", "state"];
/// The members that can contain the name of a component in a list.
const NAMES: [&str; 6] = ["name", "component", "componentName", "id", "key", "service"];

/// Reads a document; `None` if the text is not a health document in JSON.
pub(crate) fn read(text: &str) -> Option<Document> {
    let value: Value =
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&number::without_infinite(text))).ok()?;
    if let Value::String(said) = &value {
        let document = |status| Document { status, reason: None, components: Vec::new(), root_causes: Vec::new() };
        return word::known(said).map(document);
    }
    let document = value.as_object()?;
    let is_of_aspnet = ["entries", "results", "totalDuration"].iter().any(|name| member(document, name).is_some());
    let (status, unknown) = state(document, is_of_aspnet)?;
    let composed =
        PARTS.iter().filter_map(|name| member(document, name)).map(|parts| components_of(parts, is_of_aspnet));
    let components = composed.into_iter().find(|components| !components.is_empty()).unwrap_or_else(|| {
        // Spring Boot 1 has its components next to its status.
        let mut components = Components::default();
        for (name, part) in document.iter().filter(|(_, part)| has_status(part)) {
            parse(&mut components, name, part, is_of_aspnet, DEEP);
        }
        components
    });
    let roots =
        member(document, "root_causes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let root_causes = roots.filter_map(reason).collect();
    let said = text_of(document, "reason").and_then(reason);
    Some(Document { status, reason: said.or(unknown), components: components.sorted(), root_causes })
}

/// Reads the components of a member that can contain them.
fn components_of(parts: &Value, is_of_aspnet: bool) -> Components {
    let mut components = Components::default();
    match parts {
        Value::Array(list) => {
            for (position, part) in list.iter().enumerate() {
                let name = part.as_object().and_then(|part| NAMES.iter().find_map(|name| member(part, name)?.as_str()));
                let position = format!("#{}", position + 1);
                let name = name.filter(|name| !name.is_empty()).unwrap_or(&position);
                parse(&mut components, name, part, is_of_aspnet, DEEP);
            }
        }
        Value::Object(parts) => {
            for (position, (name, part)) in parts.iter().enumerate() {
                let position = format!("#{}", position + 1);
                parse(&mut components, if name.is_empty() { &position } else { name }, part, is_of_aspnet, DEEP);
            }
        }
        _ => {}
    }
    components
}

fn has_status(part: &Value) -> bool {
    part.get("status").is_some_and(Value::is_string)
}

/// Reads one entry of a component, and the components nested in it.
fn parse(components: &mut Components, name: &str, part: &Value, is_of_aspnet: bool, deep: usize) {
    match part {
        // `application/health+json`: a list of measurements, each `component:measurement`.
        Value::Array(measurements) => {
            let (component, measurement) = name.split_once(':').unwrap_or((name, ""));
            let component = if component.is_empty() { measurement } else { component };
            for entry in measurements.iter().filter_map(Value::as_object) {
                if let Some(read) = entry_of(component, entry, is_of_aspnet) {
                    components.add(Component { observed: observed(entry, measurement), ..read });
                }
            }
        }
        Value::Object(entry) => {
            let within = ["components", "details"].iter().find_map(|name| entry.get(*name)?.as_object());
            let within = within.filter(|within| deep > 0 && within.values().any(has_status));
            let mut inner = Components::default();
            for (inner_name, part) in within.into_iter().flatten() {
                parse(&mut inner, &format!("{name}/{inner_name}"), part, is_of_aspnet, deep - 1);
            }
            let inner = inner.sorted();
            let worst = inner.iter().map(|component| component.status).max();
            let own = entry_of(name, entry, is_of_aspnet);
            // A composite is listed only if it is worse than all components in it.
            if let Some(own) = own.filter(|own| worst.is_none_or(|worst| own.status > worst)) {
                components.add(own);
            }
            inner.into_iter().for_each(|component| components.add(component));
        }
        // A list of words: `"checks": {"redis": "error"}`.
        Value::String(said) => {
            if let Some(status) = word::known(said) {
                components.add(Component::new(name, status));
            } else if word::is_code(said) {
                components.add(Component { reason: reason(said), ..Component::new(name, Status::Degraded) });
            }
        }
        Value::Bool(passes) => {
            components.add(Component::new(name, if *passes { Status::Healthy } else { Status::Unhealthy }));
        }
        Value::Null | Value::Number(_) => {}
    }
}

fn entry_of(name: &str, entry: &Object, is_of_aspnet: bool) -> Option<Component> {
    let (status, unknown) = state(entry, is_of_aspnet).or_else(|| named(entry))?;
    let said = ["message", "output"].iter().find_map(|name| text_of(entry, name)).and_then(message);
    let millis = member(entry, "duration_ms").and_then(Value::as_f64);
    Some(Component {
        reason: text_of(entry, "reason").and_then(reason).or(unknown),
        message: said,
        seconds: millis.map(|millis| (millis * 100.0).round() / 1e5),
        observed: numbers(entry),
        ..Component::new(name, status)
    })
}

/// Returns the status of a component whose word no dialect defines: Degraded, with the word as the reason. Used only
/// for components, because the document is already recognized.
fn named(entry: &Object) -> Option<(Status, Option<String>)> {
    let said = member(entry, "status")?.as_str()?;
    reason(said).map(|said| (Status::Degraded, Some(said)))
}

/// Returns the status of an object, and the word itself if no dialect defines it; `None` if the object has no status.
fn state(object: &Object, is_of_aspnet: bool) -> Option<(Status, Option<String>)> {
    match STATES.iter().find_map(|name| member(object, name))? {
        Value::String(said) => match word::known(said) {
            Some(status) => Some((status, reason(said).filter(|said| word::is_code(said) && !word::is_defined(said)))),
            None if word::is_code(said) => Some((Status::Degraded, reason(said))),
            None => None,
        },
        // A `HealthStatus` of .NET, written as a number.
        Value::Number(number) if is_of_aspnet => {
            let status = [Status::Unhealthy, Status::Degraded, Status::Healthy];
            status.get(usize::try_from(number.as_u64()?).ok()?).map(|status| (*status, None))
        }
        _ => None,
    }
}

/// Returns the observed numbers in a document of health-core.
fn numbers(entry: &Object) -> Vec<(String, f64, String)> {
    let observed = entry.get("observed").and_then(Value::as_object).into_iter().flatten();
    let number = |(name, it): (&String, &Value)| {
        let value = it.get("value")?.as_f64()?;
        Some((reason(name)?, value, it.get("unit").and_then(Value::as_str).and_then(reason).unwrap_or_default()))
    };
    observed.filter_map(number).collect()
}

/// Returns the observed number of a measurement of `application/health+json`.
fn observed(entry: &Object, measurement: &str) -> Vec<(String, f64, String)> {
    let unit = text_of(entry, "observedUnit").and_then(reason).unwrap_or_default();
    let value = entry.get("observedValue").and_then(Value::as_f64);
    value.and_then(|value| Some((reason(measurement)?, value, unit))).into_iter().collect()
}

/// Returns a member by its name in camel case, or in Pascal case, which .NET writes.
fn member<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| {
        let (first, rest) = name.split_at(1);
        object.get(&(first.to_ascii_uppercase() + rest))
    })
}

fn text_of<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    member(object, name)?.as_str()
}
