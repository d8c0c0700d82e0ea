//! The allowed imports (doors) between the top-level modules (rooms) of the core, checked against the parsed sources.

use std::path::{Path, PathBuf};

use health_tests::module_graph::{Crate, Import, ModulePath};

/// The rooms in order, each with its doors: the earlier rooms that it imports from. A door may lead to a single module.
const ROOMS: [(&str, &[&str]); 15] = [
    ("time", &[]),
    ("redact", &[]),
    ("model", &["time"]),
    ("check", &["time", "redact", "model"]),
    ("checks", &["time", "model", "check"]),
    ("config", &["time", "model", "check"]),
    ("settings_file", &["config"]),
    ("engine", &["time", "redact", "model", "check", "config"]),
    ("health", &["time", "redact", "model", "check", "config", "engine"]),
    ("render", &["time", "model"]),
    ("endpoint", &["model", "engine", "health", "render"]),
    ("publish", &["time", "model", "checks::http", "health", "render"]),
    ("grpc", &["model", "engine", "health"]),
    ("dedicated_server", &[]),
    ("testing", &["time", "redact", "model", "check", "checks::upstream", "config", "engine", "health"]),
];

/// The pure modules. They await nothing, lock nothing and reach nothing outside of the process.
const PURE: [&str; 19] = [
    "redact",
    "model",
    "config",
    "check::registration",
    "endpoint::accept",
    "endpoint::negotiate",
    "engine::gaps",
    "engine::policy",
    "engine::sanitize",
    "engine::snapshot",
    "engine::store::ranks",
    "engine::store::state",
    "engine::store::tracked_check",
    "engine::tally",
    "render",
    "endpoint",
    "publish::summary",
    "publish::webhook::change_tracker",
    "publish::webhook::queue",
];

/// The only exception among the pure modules: a subscription awaits its next change.
const WAITS: &str = "model::change";

/// The largest number of files in a folder. The folder `checks` is exempt.
const FILES: usize = 14;

fn root(name: &str) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name).join("src");
    sources.join(if sources.join("lib.rs").exists() { "lib.rs" } else { "main.rs" })
}

fn parsed(name: &str) -> Crate {
    Crate::read(&root(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn is_inside(module: &ModulePath, room: &str) -> bool {
    let room: Vec<&str> = room.split("::").collect();
    module.len() >= room.len() && module.iter().zip(room).all(|(a, b)| a == b)
}

/// Returns the fault of an import, or `None` if the import is allowed.
fn fault(import: &Import) -> Option<String> {
    if !import.is_direct {
        return Some(format!("{import}: import it from the module that defines it"));
    }
    let (from, to) = (import.from.first()?, import.module.first()?);
    let Some((_, doors)) = ROOMS.iter().find(|(room, _)| room == from) else {
        return Some(format!("{import}: the room {from} is not in ROOMS"));
    };
    let is_allowed = from == to || doors.iter().any(|door| is_inside(&import.module, door));
    (!is_allowed).then(|| format!("{import}: ROOMS has no door from {from} to {to}"))
}

fn faults(sources: &Crate) -> Vec<String> {
    sources.imports().iter().filter_map(fault).collect()
}

#[test]
fn every_import_is_allowed_by_the_table_of_rooms() {
    let faults = faults(&parsed("health-core"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_of_rooms_matches_the_modules() {
    let sources = parsed("health-core");
    for (position, (room, doors)) in ROOMS.iter().enumerate() {
        assert!(sources.modules().any(|(path, _)| is_inside(path, room)), "there is no room {room}");
        for door in *doors {
            assert!(sources.modules().any(|(path, _)| is_inside(path, door)), "there is no module {door}");
            let below = ROOMS[..position].iter().any(|(room, _)| door.split("::").next() == Some(room));
            assert!(below, "the door from {room} to {door} does not lead to an earlier room");
            let is_used =
                sources.imports().iter().any(|import| is_inside(&import.from, room) && is_inside(&import.module, door));
            assert!(is_used, "no import uses the door from {room} to {door}");
        }
    }
    for module in PURE {
        assert!(sources.modules().any(|(path, _)| is_inside(path, module)), "there is no module {module}");
    }
}

#[test]
fn no_file_is_in_an_import_cycle_or_imports_the_crate_root() {
    for name in [
        "health-core",
        "health-actix",
        "health-axum",
        "health-warp",
        "health-hyper",
        "health-tonic",
        "health-documents",
        "health-probe",
    ] {
        let sources = parsed(name);
        let circles = sources.circles();
        assert!(circles.is_empty(), "{name}: {circles:?}");
        let indirect: Vec<String> =
            sources.imports().iter().filter(|import| !import.is_direct).map(ToString::to_string).collect();
        assert!(indirect.is_empty(), "{name}: {}", indirect.join("\n"));
    }
}

#[test]
fn no_folder_has_too_many_files() {
    for (folder, files) in parsed("health-core").folders() {
        assert!(files <= FILES || folder == Path::new("checks"), "{} has {files} files", folder.display());
    }
}

#[test]
fn pure_modules_do_not_await_lock_or_do_io() {
    let sources = parsed("health-core");
    for (path, module) in sources.modules().filter(|(path, _)| PURE.iter().any(|pure| is_inside(path, pure))) {
        let is_allowed =
            |effect: &str| is_inside(path, WAITS) && ["async", "await", "tokio::sync::broadcast"].contains(&effect);
        for (effect, line) in module.effects() {
            assert!(is_allowed(effect), "{}, line {line}: {effect}", module.file.display());
        }
    }
}

#[test]
fn only_the_store_publishes_snapshots() {
    let sources = parsed("health-core");
    let calls = sources.modules().flat_map(|(path, module)| {
        let writes =
            |[field, method]: &[String; 2]| field == "published" && ["store", "swap", "rcu"].contains(&method.as_str());
        module.calls.iter().filter(move |(call, _)| writes(call)).map(move |_| path.join("::"))
    });
    assert_eq!(calls.collect::<Vec<_>>(), ["engine::store"]);
}

/// A check reports through its outcome, which the engine redacts and logs.
#[test]
fn no_check_writes_to_the_log() {
    for (path, module) in parsed("health-core").modules().filter(|(path, _)| is_inside(path, "checks")) {
        let logs = module.named.iter().find(|(name, _)| name.starts_with("tracing::") || name.starts_with("log::"));
        assert!(logs.is_none(), "{path:?}: {logs:?}");
    }
}

/// The core decides codes, paths and content types. The server of `health-hyper` is exempt, because its limits are
/// numbers.
#[test]
fn adapters_have_no_code_path_or_content_type() {
    let is_a_server = |name: &str, path: &ModulePath| {
        name == "health-hyper" && ["connection", "server"].iter().any(|module| is_inside(path, module))
    };
    for name in ["health-actix", "health-axum", "health-warp", "health-hyper"] {
        for (path, module) in parsed(name).modules().filter(|(path, _)| !is_a_server(name, path)) {
            for (literal, line) in &module.literals {
                let is_code = literal.parse().is_ok_and(|number: u32| number >= 100);
                assert!(!is_code && !literal.contains('/'), "{name} {path:?}, line {line}: {literal:?}");
            }
        }
    }
}

/// Returns a crate of three rooms whose room `render` has this source.
fn planted(source: &str) -> Crate {
    let files = [
        ("lib.rs", "mod engine; mod model; mod render; pub use crate::engine::store::Store;"),
        ("engine/mod.rs", "pub(crate) mod store;"),
        ("engine/store.rs", "pub(crate) struct Store; pub(crate) fn open() -> Store { Store }"),
        ("model/mod.rs", "pub(crate) mod report;"),
        ("model/report.rs", "pub(crate) use crate::engine::store::Store; pub(crate) struct Report;"),
        ("render.rs", source),
    ];
    let read = |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned());
    Crate::parse(Path::new("lib.rs"), &read).unwrap()
}

#[test]
fn a_forbidden_import_is_found_in_every_notation() {
    for source in [
        "use crate::{model::report::Report, engine::store};",
        "use crate::{model, engine::{store::Store}};",
        "use super::engine::store::Store as Other;",
        "fn f() { let _ = crate::engine::store::open(); }",
        "fn f() -> crate::engine::store::Store { todo!() }",
        "use crate::model; fn f() { let _ = model::report::Store; }",
        "use crate::model::report::Store;",
        "use crate::model::report::*;",
        "use crate::Store;",
        "fn f() { println!(\"{}\", crate::engine::store::open()); }",
        "macro_rules! m { () => { $crate::engine::store::open() } }",
        "mod inside { use crate::engine::store::Store; }",
    ] {
        let faults = faults(&planted(source));
        assert!(faults.iter().any(|fault| fault.starts_with("render")), "{source}: {faults:?}");
    }
    for source in [
        "use crate::model::report::Report;",
        "#[cfg(test)] mod tests { use crate::engine::store::Store; }",
        "/// [`crate::engine::store::Store`]\nfn f() {}",
        "use other::engine::store;",
    ] {
        let faults = faults(&planted(source));
        assert!(!faults.iter().any(|fault| fault.starts_with("render")), "{source}: {faults:?}");
    }
}

#[test]
fn an_import_cycle_and_an_effect_are_found() {
    let sources = planted("use crate::model::report::Report;");
    assert!(sources.circles().is_empty());
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub(crate) struct A; async fn f() { std::fs::read(\"x\"); B.await }"),
        ("b.rs", "pub(crate) struct B(crate::a::A);"),
    ];
    let read = |path: &Path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned());
    let sources = Crate::parse(Path::new("lib.rs"), &read).unwrap();
    assert_eq!(sources.circles(), [["a.rs", "b.rs"].map(PathBuf::from).into()]);
    let (_, a) = sources.modules().find(|(path, _)| *path == &["a"]).unwrap();
    let effects: Vec<&str> = a.effects().map(|(effect, _)| effect.as_str()).collect();
    assert_eq!(effects, ["async", "std::fs::read", "await"]);
}
