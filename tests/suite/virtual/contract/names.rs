//! The feature, the module, its file and the test of a check or a publisher have the same name.

use std::path::{Path, PathBuf};

use health_tests::{module_graph::Crate, program::cargo, tools::guide_pages};
use serde_json::Value;

/// The features that have no check or publisher of the same name.
const OTHERS: &[&str] =
    &["anyhow", "default", "eyre", "html", "serde", "settings_file", "signal", "testing", "tokio_postgres", "utoipa"];

/// The checks that are closures of the application. The tests of the scheduler cover them.
const CLOSURES: [&str; 2] = ["blocking", "closure"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns the features of the core, each with the features and dependencies that it enables.
fn features() -> serde_json::Map<String, Value> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let core = packages.iter().find(|package| package["name"] == "health-core").unwrap();
    core["features"].as_object().unwrap().clone()
}

/// Returns whether a virtual or real test has this name.
fn has_test(group: &str, name: &str) -> bool {
    ["virtual", "real"].iter().any(|kind| root().join(format!("tests/suite/{kind}/{group}/{name}.rs")).exists())
}

#[test]
fn feature_module_file_and_test_have_the_same_name() {
    let sources = Crate::read(&root().join("health-core/src/lib.rs")).unwrap();
    let module =
        |path: &[&str]| sources.modules().find(|(other, _)| **other == path).map(|(_, module)| module).unwrap();
    let implements = |path: [&str; 2], contract: &str| {
        let inside = sources.modules().filter(|(other, _)| other.starts_with(&path.map(str::to_owned)));
        inside.map(|(_, module)| module).any(|module| module.implements.contains(contract))
    };
    let mut named = Vec::new();
    for (room, contract, group) in [("checks", "Check", "checks"), ("publish", "Publisher", "consumers")] {
        let mut count = 0;
        for (name, feature) in &module(&[room]).children {
            if !implements([room, name], contract) || CLOSURES.contains(&name.as_str()) {
                continue;
            }
            count += 1;
            assert!(has_test(group, name), "{room}::{name} has no test {group}/{name}.rs");
            if room == "checks" {
                let source = std::fs::read_to_string(root().join(format!("health-core/src/checks/{name}.rs"))).unwrap();
                assert!(source.contains("fn proves("), "{name} does not say what green proves");
            }
            if let Some(feature) = feature {
                assert_eq!(feature, name, "the module {room}::{name} has another feature");
                named.push(feature.clone());
            }
        }
        assert!(count >= 5, "{count} in {room}");
    }
    let features = features();
    for (feature, turns_on) in &features {
        assert!(OTHERS.contains(&feature.as_str()) || named.contains(feature), "no module for the feature {feature}");
        let weak = turns_on.as_array().unwrap().iter().any(|other| other.as_str().unwrap().contains("?/"));
        assert!(!weak, "the feature {feature} enables a feature of a driver that another feature brings");
    }
    assert_eq!(features["default"], Value::Array(Vec::new()), "default features add no driver");
}

/// A fault whose text has changed in its file would no longer be planted.
#[test]
fn the_text_of_every_planted_fault_occurs_once_in_its_file() {
    let list = std::fs::read_to_string(root().join("tests/mutants/list.json")).unwrap();
    let faults: Vec<Value> = serde_json::from_str(&list).unwrap();
    assert!(faults.len() > 50, "{} faults", faults.len());
    for fault in &faults {
        let text = |key: &str| fault[key].as_str().unwrap_or_else(|| panic!("{fault}: no {key}"));
        let source = std::fs::read_to_string(root().join(text("file"))).unwrap_or_default();
        assert_eq!(source.matches(text("old")).count(), 1, "{}", text("name"));
    }
}

/// The guide names tests as the runner does: `virtual::contract::cost`, or with the function.
#[test]
fn every_test_that_the_guide_names_exists() {
    let mut found = 0;
    for path in guide_pages() {
        let text = std::fs::read_to_string(&path).unwrap();
        let names = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| ["virtual::", "real::", "measured::"].iter().any(|kind| name.starts_with(kind)));
        for name in names {
            let parts: Vec<&str> = name.split("::").collect();
            let [kind, group, module, function @ ..] = &parts[..] else { panic!("{}: {name}", path.display()) };
            let folder = root().join(format!("tests/suite/{kind}/{group}"));
            let files = [folder.join(format!("{module}.rs")), folder.join(module).join("mod.rs")];
            let file = files.iter().find(|file| file.exists()).unwrap_or(&files[0]);
            let source = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{name}: {error}"));
            if let [function] = function {
                let is_defined = ["(", "<"].iter().any(|after| source.contains(&format!("fn {function}{after}")));
                assert!(is_defined, "{}: no test {name}", path.display());
            }
            found += 1;
        }
    }
    assert!(found > 50, "the guide names only {found} tests");
}
