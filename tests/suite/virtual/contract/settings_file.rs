//! Settings from files and environment variables: their precedence, and the place of every mistake.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use health_core::{
    BuildError, Builder, CheckExt as _, CheckFn, Gauge, Health, Settings, SettingsError, SettingsLoader, check_fn,
    testing::Frozen,
};
use tempfile::TempDir;

use health_tests::support::secs;

/// A directory for the files of one test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Returns the text without the directory, so that a test can compare it as a whole.
    fn plain(&self, text: &str) -> String {
        text.replace(&format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR), "")
    }
}

fn ok() -> CheckFn {
    check_fn(|| async { Ok(()) })
}

fn builder() -> Builder {
    let gauge = Gauge::new(|| 1).warn_above(10).fail_above(20);
    Health::builder().check("database", ok()).check("jobs", gauge)
}

fn load(path: &Path) -> Result<Settings, SettingsError> {
    SettingsLoader::new().file(path).load()
}

fn variables(given: &[(&str, &str)]) -> SettingsLoader {
    SettingsLoader::new().variables("HEALTH", given.iter().map(|(name, value)| (name.into(), value.into())))
}

/// Starts a builder with the settings.
fn start(settings: Settings) -> Result<Health, BuildError> {
    Frozen::new(builder().settings(settings)).map(|frozen| frozen.health())
}

/// Returns the complete error of a file, from the loader or from the builder.
fn mistake(files: &Files, name: &str, text: &str) -> String {
    let told = match load(&files.write(name, text)) {
        Err(error) => error.to_string(),
        Ok(settings) => start(settings).unwrap_err().to_string(),
    };
    files.plain(&told)
}

const TOML: &str = "[defaults]\nevery = \"10s\"\n[checks.database]\ntimeout = \"1s\"\ntags = [\"sql\"]\n\
                    failures = 2\n[checks.jobs]\nwarn_above = 5\nfail_above = 7.5\nno_metrics = true\n";
const YAML: &str = "defaults:\n  every: 10s\nchecks:\n  database:\n    timeout: 1s # of ten\n    tags: [sql]\n    \
                    failures: 2\n  jobs:\n    warn_above: 5\n    fail_above: 7.5\n    no_metrics: true\n";
const JSON: &str = r#"{"defaults": {"every": "10s"}, "checks": {"database": {"timeout": "1s", "tags": ["sql"],
                    "failures": 2}, "jobs": {"warn_above": 5, "fail_above": 7.5, "no_metrics": true}}}"#;

#[test]
fn the_three_formats_give_the_same_settings() {
    let files = Files::new();
    for (name, text) in [("a.toml", TOML), ("a.yaml", YAML), ("a.YML", YAML), ("a.json", JSON)] {
        for text in [text.to_owned(), format!("\u{feff}{text}"), text.replace('\n', "\r\n")] {
            let health = start(load(&files.write(name, text)).unwrap()).unwrap();
            let report = health.report();
            let database = report.check("database").unwrap();
            assert_eq!((database.interval(), database.timeout()), (secs(10), secs(1)), "{name}");
            assert_eq!(database.tags().len(), 1, "{name}");
        }
    }
}

#[test]
fn an_empty_file_sets_nothing() {
    let files = Files::new();
    for (name, text) in [
        ("a.toml", ""),
        ("a.toml", "\n \n"),
        ("a.toml", "# nothing\n"),
        ("a.yaml", "# nothing\n"),
        ("a.yaml", "---\n"),
        ("a.yaml", "checks:\n  database:\n"),
        ("a.json", ""),
        ("a.json", "{}"),
    ] {
        let settings = load(&files.write(name, text)).unwrap_or_else(|error| panic!("{name} {text:?}: {error}"));
        assert!(start(settings).is_ok(), "{name} {text:?}");
    }
}

#[test]
fn a_later_source_overrides_single_options() {
    let files = Files::new();
    let base = files.write("base.toml", "[checks.database]\ntimeout = \"1s\"\nevery = \"20s\"\n");
    let local = files.write("local.yaml", "checks:\n  DATABASE:\n    timeout: 2s\n");
    let loader = || SettingsLoader::new().file(&base).optional_file(&local).optional_file(files.path("none.json"));
    let of = |loader: SettingsLoader| {
        let report = start(loader.load().unwrap()).unwrap().report();
        let database = report.check("database").unwrap();
        (database.timeout(), database.interval())
    };
    assert_eq!(of(loader()), (secs(2), secs(20)));
    let variable = ("HEALTH_CHECKS__DATABASE__TIMEOUT", "3s");
    let others = [("HEALTH_TOKEN", "x"), ("HEALTH_CHECKS_PORT", "tcp://10.0.0.1:80"), ("OTHER_CHECKS__X__Y", "z")];
    let given = others.into_iter().chain([variable]).map(|(name, value)| (name.into(), value.into()));
    assert_eq!(of(loader().variables("HEALTH", given)), (secs(3), secs(20)));
    assert_eq!(of(variables(&[("HEALTH_DEFAULTS__EVERY", "7s")])), (secs(2), secs(7)));
}

/// Mistakes that are possible in every format. The place of a mistake is that of its key.
#[test]
fn every_mistake_in_a_file_is_reported_with_its_place() {
    let all = "enabled, every, recheck, max_age, timeout, stale_after, slow_above, failures, successes, once, \
               readiness, no_metrics, liveness, liveness_despite_dependency, startup, startup_despite_dependency, \
               depends_on, tags, impact, local, report_only";
    let files = Files::new();
    let unit = "use a duration with its unit, such as \"500ms\", \"2s\" or \"1m 30s\"";
    for (toml, yaml, json, says) in [
        (
            ("[cheks.database]\ntimeout = \"1s\"\n", "1:2"),
            ("cheks:\n  database: {timeout: 1s}\n", "1:1"),
            ("{\n  \"cheks\": {\"database\": {\"timeout\": \"1s\"}}}", "2:3"),
            " cheks: there is no such key (did you mean \"checks\"?): use one of defaults, checks, inserted".to_owned(),
        ),
        (
            ("checks = 3\n", "1:1"),
            ("checks: 3\n", "1:1"),
            ("{\"checks\": 3}", "1:2"),
            " checks: expected a table of checks, found a number".to_owned(),
        ),
        (
            ("[checks]\ndatabase = \"1s\"\n", "2:1"),
            ("checks:\n  database: 1s\n", "2:3"),
            ("{\"checks\":\n {\"database\": \"1s\"}}", "2:3"),
            " checks.database: expected a table of options, found a text".to_owned(),
        ),
        (
            ("[checks.database]\ntimeout = { s = 1 }\n", "2:1"),
            ("checks:\n  database:\n    timeout: {s: 1}\n", "3:5"),
            ("{\"checks\": {\"database\":\n {\"timeout\": {\"s\": 1}}}}", "2:3"),
            " checks.database.timeout: expected one value, found a table".to_owned(),
        ),
        (
            ("\n[checks.databse]\n", "2:9"),
            ("checks:\n  databse:\n", "2:3"),
            ("{\"checks\": {\n\n \"databse\": {}}}", "3:2"),
            " the settings name a check \"databse\", which does not exist (did you mean \"database\"?): correct the \
             name, remove it, or move it to \"inserted\" if it is inserted later; existing checks: database, jobs"
                .to_owned(),
        ),
        (
            ("[checks.database]\ntimeot = \"1s\"\n", "2:1"),
            ("checks:\n  database:\n    timeot: 1s\n", "3:5"),
            ("{\"checks\": {\"database\":\n{\"timeot\": \"1s\"}}}", "2:2"),
            format!(
                " the settings of \"database\" have \"timeot\": there is no such option (did you mean \"timeout\"?): \
                 use one of {all}"
            ),
        ),
        (
            ("[checks.jobs]\nwarn_abov = 3\n", "2:1"),
            ("checks:\n  jobs:\n    warn_abov: 3\n", "3:5"),
            ("{\"checks\": {\"jobs\":\n{\"warn_abov\": 3}}}", "2:2"),
            format!(
                " the settings of \"jobs\" have \"warn_abov\": there is no such option (did you mean \"warn_above\"?): \
                 use one of {all}, warn_above, fail_above, warn_below, fail_below"
            ),
        ),
        (
            ("[checks.jobs]\nwarn_above = \"many\"\n", "2:1"),
            ("checks:\n  jobs:\n    warn_above: many\n", "3:5"),
            ("{\"checks\": {\"jobs\":\n{\"warn_above\": \"many\"}}}", "2:2"),
            " the settings of \"jobs\" have \"warn_above\": \"many\" is not usable: use a number, such as 80 or 0.5"
                .to_owned(),
        ),
        (
            ("[checks.database]\ntimeout = 5\n", "2:1"),
            ("checks:\n  database:\n    timeout: 5\n", "3:5"),
            ("{\"checks\": {\"database\":\n{\"timeout\": 5}}}", "2:2"),
            format!(" the settings of \"database\" have \"timeout\": 5 is not usable: {unit}"),
        ),
        (
            ("[checks.database]\nimpact = \"high\"\n", "2:1"),
            ("checks:\n  database:\n    impact: high\n", "3:5"),
            ("{\"checks\": {\"database\":\n{\"impact\": \"high\"}}}", "2:2"),
            " the settings of \"database\" have \"impact\": \"high\" is not usable: use \"critical\" or \"optional\""
                .to_owned(),
        ),
        (
            ("[defaults]\nevry = \"1s\"\n", "2:1"),
            ("defaults:\n  evry: 1s\n", "2:3"),
            ("{\"defaults\":\n{\"evry\": \"1s\"}}", "2:2"),
            " the settings of \"defaults\" have \"evry\": there is no such option (did you mean \"every\"?): use one \
             of every, timeout, failures, impact"
                .to_owned(),
        ),
        (
            ("[inserted.database]\ntimeout = \"1s\"\n", "1:11"),
            ("inserted:\n  database: {timeout: 1s}\n", "2:3"),
            ("{\"inserted\":\n{\"database\": {}}}", "2:2"),
            " the settings of \"inserted\" have \"database\": a check of the builder has this name: set its options \
             under \"checks\""
                .to_owned(),
        ),
        // A contradiction is reported with the places of all its keys.
        (
            ("[checks.database]\nfailures = 0\n", "2:1"),
            ("checks:\n  database:\n    failures: 0\n", "3:5"),
            ("{\"checks\": {\"database\":\n{\"failures\": 0}}}", "2:2"),
            " check \"database\": failures(0) can never be reached: use 1 or more".to_owned(),
        ),
        (
            ("[checks.jobs]\nwarn_above = 30\n", "2:1"),
            ("checks:\n  jobs:\n    warn_above: 30\n", "3:5"),
            ("{\"checks\": {\"jobs\":\n{\"warn_above\": 30}}}", "2:2"),
            " check \"jobs\": warn_above(30) must be less than fail_above(20): from low to high the order is \
             fail_below, warn_below, warn_above, fail_above"
                .to_owned(),
        ),
        (
            ("[checks.database]\ndepends_on = \"cache\"\n", "2:1"),
            ("checks:\n  database:\n    depends_on: cache\n", "3:5"),
            ("{\"checks\": {\"database\":\n{\"depends_on\": \"cache\"}}}", "2:2"),
            " check \"database\" depends on \"cache\", which does not exist: register \"cache\" or correct the name"
                .to_owned(),
        ),
    ] {
        for (name, (text, place)) in [("health.toml", toml), ("health.yaml", yaml), ("health.json", json)] {
            assert_eq!(mistake(&files, name, text), format!("{name}:{place}:{says}"), "{text}");
        }
    }
}

#[test]
fn a_contradiction_names_the_places_of_all_its_options() {
    let files = Files::new();
    let toml = files.write("a.toml", "[defaults]\nevery = \"20s\"\n[checks.database]\nrecheck = \"30s\"\n");
    let error = start(load(&toml).unwrap()).unwrap_err();
    assert!(matches!(&error, BuildError::Located { at, mistake } if at.len() == 2
        && matches!(**mistake, BuildError::InvalidDuration { option: "recheck", .. })));
    assert_eq!(
        files.plain(&error.to_string()),
        "a.toml:4:1, a.toml:2:1: check \"database\": recheck(30s) is not usable: it is the spacing of runs while the \
         check is not healthy: use at most the interval of 20s"
    );
    // An option of the code has no place.
    let settings = SettingsLoader::new().file(&toml).load().unwrap();
    let slow = Health::builder().check("database", ok().every(secs(20))).settings(settings);
    let text = Frozen::new(slow).unwrap_err().to_string();
    assert!(files.plain(&text).starts_with("a.toml:4:1: check \"database\""), "{text}");
    // If a variable contradicts a file, both are named. Every mistake is reported.
    let loader = SettingsLoader::new().file(&toml).variables(
        "HEALTH",
        [("HEALTH_CHECKS__DATABASE__EVERY", "25s"), ("HEALTH_CHECKS__JOBS__TIMEOUT", "soon")]
            .map(|(name, value)| (name.into(), value.into())),
    );
    let text = files.plain(&start(loader.load().unwrap()).unwrap_err().to_string());
    assert!(text.starts_with("2 mistakes:\n- HEALTH_CHECKS__JOBS__TIMEOUT: the settings of \"jobs\""), "{text}");
    assert!(text.contains("\n- a.toml:4:1, HEALTH_CHECKS__DATABASE__EVERY: check \"database\": recheck"), "{text}");
}

#[test]
fn a_syntax_error_is_reported_with_line_and_column() {
    let files = Files::new();
    for (name, text, begins, words) in [
        ("a.toml", "[checks.database]\ntimeout = soon\n", "a.toml:2:11: ", ""),
        ("a.toml", "[checks.database]\ntimeout = \"1s\"\ntimeout = \"2s\"\n", "a.toml:3:1: ", "duplicate"),
        ("a.yaml", "checks:\n  database: [\n", "a.yaml:", ""),
        ("a.yaml", "checks:\n  database: &x {timeout: 1s}\n  jobs: *x\n", "a.yaml:2:13: ", "anchors are not supported"),
        ("a.yaml", "checks:\n  database:\n    timeout: !!str 1s\n", "a.yaml:3:", "tags are not supported"),
        ("a.yaml", "checks: {}\n---\nchecks: {}\n", "a.yaml:2:1: ", "there is a second document: use only one"),
        ("a.yaml", "- checks\n", "a.yaml:1:1: ", "expected a table of defaults, checks, inserted, found a list"),
        ("a.json", "{\"checks\": {}", "a.json:1:13: ", "EOF while parsing an object"),
        ("a.json", "{\n  \"checks\": {},\n}", "a.json:3:1: ", "trailing comma"),
        ("a.json", "[]", "a.json:1:1: ", "expected a table of defaults, checks, inserted, found a list"),
    ] {
        let text = files.plain(&load(&files.write(name, text)).unwrap_err().to_string());
        assert!(text.starts_with(begins) && text.contains(words), "{begins:?} and {words:?} are not in {text:?}");
    }
    // The TOML parser itself refuses a duplicate key. The other parsers do not.
    for (name, text, says) in [
        (
            "a.yaml",
            "checks:\n  database:\n    timeout: 1s\n    timeout: 2s\n",
            "a.yaml:4:5: checks.database.timeout: the key is already set in line 3: keep one of them",
        ),
        (
            "a.json",
            "{\"checks\": {},\n\"checks\": {}}",
            "a.json:2:1: checks: the key is already set in line 1: keep one of them",
        ),
    ] {
        assert_eq!(files.plain(&load(&files.write(name, text)).unwrap_err().to_string()), says);
    }
    // Deep nesting does not overflow the stack.
    let deep = "[".repeat(1_000);
    for (name, text) in [("a.yaml", deep.clone()), ("a.json", deep.clone()), ("a.toml", format!("x = {deep}"))] {
        assert!(load(&files.write(name, text)).is_err(), "{name}");
    }
}

#[test]
fn an_unreadable_file_is_reported_with_its_cause() {
    let files = Files::new();
    std::fs::create_dir(files.path("d.toml")).unwrap();
    for (path, says) in [
        (files.path("none.toml"), "none.toml: there is no such file"),
        (files.path("d.toml"), "d.toml: it is a directory: name a file"),
        (files.write("a.ini", ""), "a.ini: unknown format: use the extension .toml, .yaml, .yml or .json"),
        (files.write("health", ""), "health: unknown format: use the extension .toml, .yaml, .yml or .json"),
        (files.write("a.toml", b"# \xc3\xa4\n# \xc3\xa4 \xff\n"), "a.toml:2:5: the file is not UTF-8"),
        (files.write("b.toml", "#".repeat((1 << 20) + 1)), "b.toml: the file is larger than 1 MiB"),
    ] {
        let error = load(&path).unwrap_err();
        assert_eq!(files.plain(&error.to_string()), says);
        assert_eq!(error.mistakes()[0].file.as_deref(), Some(&*path));
        let is_missing = std::error::Error::source(&error).is_some();
        assert_eq!(is_missing, says.ends_with("no such file"), "{says}");
    }
    // An optional file may be missing, but not unreadable.
    let loader = SettingsLoader::new().optional_file(files.path("none.toml"));
    assert!(loader.load().is_ok());
    assert!(SettingsLoader::new().optional_file(files.path("d.toml")).load().is_err());
    // The mistakes of all files are reported together, one per line.
    let error = SettingsLoader::new().file(files.path("1.toml")).file(files.path("2.toml")).load().unwrap_err();
    assert_eq!(files.plain(&error.to_string()), "1.toml: there is no such file\n2.toml: there is no such file");
}

#[test]
fn every_mistake_in_a_variable_names_the_variable() {
    for (given, says) in [
        (
            vec![("HEALTH_CHECKS__DATABASE", "1s")],
            "HEALTH_CHECKS__DATABASE: the name does not say which option it sets: use HEALTH_CHECKS__<CHECK>__<OPTION>",
        ),
        (
            vec![("HEALTH_CHECKS__DATABASE__", "1s")],
            "HEALTH_CHECKS__DATABASE__: the name does not say which option it sets: use \
             HEALTH_CHECKS__<CHECK>__<OPTION>",
        ),
        (
            vec![("HEALTH_DEFAULTS__X__EVERY", "1s")],
            "HEALTH_DEFAULTS__X__EVERY: the name does not say which option it sets: use HEALTH_DEFAULTS__<OPTION>",
        ),
        (
            vec![("HEALTH__CHECKS__DATABASE__TIMEOUT", "1s")],
            "HEALTH__CHECKS__DATABASE__TIMEOUT: there is no such key: did you mean HEALTH_CHECKS__<CHECK>__<OPTION>?",
        ),
        (
            vec![("HEALTH_CHEKS__DATABASE__TIMEOUT", "1s")],
            "HEALTH_CHEKS__DATABASE__TIMEOUT: there is no such key: did you mean HEALTH_CHECKS__<CHECK>__<OPTION>?",
        ),
        (
            vec![("HEALTH_CHECKS__DATABASE__TIMEOUT", "1s"), ("HEALTH_CHECKS__database__Timeout", "2s")],
            "HEALTH_CHECKS__database__Timeout: checks.database.timeout: HEALTH_CHECKS__DATABASE__TIMEOUT sets the same \
             key: keep one of them",
        ),
    ] {
        assert_eq!(variables(&given).load().unwrap_err().to_string(), says);
    }
    for (name, value, says) in [
        (
            "HEALTH_CHECKS__DATABSE__TIMEOUT",
            "1s",
            "HEALTH_CHECKS__DATABSE__TIMEOUT: the settings name a check \"databse\", which does not exist (did you \
             mean \"database\"?): correct the name, remove it, or move it to \"inserted\" if it is inserted later; \
             existing checks: database, jobs",
        ),
        (
            "HEALTH_CHECKS__DATABASE__FAILURES",
            "few",
            "HEALTH_CHECKS__DATABASE__FAILURES: the settings of \"database\" have \"failures\": \"few\" is not \
             usable: use a whole number from 1",
        ),
        (
            "HEALTH_CHECKS__DATABASE__ONCE",
            "",
            "HEALTH_CHECKS__DATABASE__ONCE: the settings of \"database\" have \"once\": \"\" is not usable: use true \
             or false",
        ),
    ] {
        assert_eq!(start(variables(&[(name, value)]).load().unwrap()).unwrap_err().to_string(), says);
    }
    // Two spellings of one check in one source: neither has precedence.
    let settings =
        variables(&[("HEALTH_CHECKS__A_B__EVERY", "1s"), ("HEALTH_CHECKS__A.B__EVERY", "2s")]).load().unwrap();
    let twice = Frozen::new(Health::builder().check("a-b", ok()).settings(settings)).unwrap_err().to_string();
    assert_eq!(
        twice,
        "HEALTH_CHECKS__A.B__EVERY, HEALTH_CHECKS__A_B__EVERY: the settings of \"a-b\" have \"every\": it is set \
         twice, under two spellings of one name: keep one of them"
    );
    // The name of a check may contain the separator.
    let settings = variables(&[("HEALTH_CHECKS__A__B__EVERY", "1s")]).load().unwrap();
    assert!(Frozen::new(Health::builder().check("a__b", ok()).settings(settings)).is_ok());
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf_8_is_reported() {
    use std::os::unix::ffi::OsStringExt as _;

    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    for (name, value, says) in [
        (
            bytes(b"HEALTH_CHECKS__DATABASE__TIMEOUT"),
            bytes(b"1\xff"),
            "HEALTH_CHECKS__DATABASE__TIMEOUT: checks.database.timeout: the value is not UTF-8",
        ),
        (
            bytes(b"HEALTH_CHECKS__DATA\xff__TIMEOUT"),
            bytes(b"1s"),
            "HEALTH_CHECKS__DATA\u{fffd}__TIMEOUT: the name is not UTF-8",
        ),
    ] {
        let error = SettingsLoader::new().variables("HEALTH", [(name, value)]).load().unwrap_err();
        assert_eq!(error.to_string(), says);
    }
    // A variable of another program is ignored.
    let other = (bytes(b"PS1"), bytes(b"\xff"));
    assert!(SettingsLoader::new().variables("HEALTH", [other]).load().is_ok());
}

#[test]
fn an_error_shows_only_the_beginning_of_a_long_value() {
    let long = "x".repeat(10_000);
    let settings = variables(&[("HEALTH_CHECKS__DATABASE__TIMEOUT", &long)]).load().unwrap();
    let text = start(settings).unwrap_err().to_string();
    assert!(text.len() < 500 && !text.contains(&"x".repeat(64)), "{text}");
    assert!(!format!("{:?}", variables(&[("HEALTH_TOKEN", "s3cr3t")])).contains("s3cr3t"));
}

#[test]
fn a_later_source_of_variables_overrides_an_earlier_one() {
    let variable = |prefix: &str, value: &str| {
        vec![(format!("{prefix}_CHECKS__DATABASE__TIMEOUT").into(), value.to_owned().into())]
    };
    let loader = SettingsLoader::new();
    let loader = loader.variables("HEALTH", variable("HEALTH", "1s")).variables("ORDERS", variable("ORDERS", "2s"));
    let builder = Health::builder().check("database", check_fn(|| async { Ok(()) })).settings(loader.load().unwrap());
    let report = Frozen::new(builder).unwrap().health().report();
    assert_eq!(report.check("database").unwrap().timeout(), secs(2));
}
