//! The dependencies: how many, and none that chooses TLS or a runtime for the user.

use std::{collections::BTreeSet, path::Path};

use health_tests::program::cargo;

fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = cargo()
        .args(["tree", "--quiet", "--edges", "normal", "--prefix", "none", "--package", "health-core"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
}

#[test]
fn the_core_stays_small_and_chooses_no_tls() {
    let core = tree(&["--no-default-features"]);
    assert!(core.len() <= 22, "{} crates: {core:?}", core.len());
    let all = tree(&["--all-features"]);
    // rustls comes with `certificate` and `nats`, without the cryptography that makes it a stack of TLS.
    for tls in ["native-tls", "openssl", "openssl-sys", "ring", "aws-lc-rs", "aws-lc-sys", "webpki-roots"] {
        assert!(!all.contains(tls), "a feature brings {tls}");
    }
    for runtime in ["async-std", "async-global-executor", "smol", "actix-rt", "mio-st"] {
        assert!(!all.contains(runtime), "a feature brings {runtime}");
    }
}

/// Beside what axum with its default features, which include JSON, and Tokio bring.
#[test]
fn health_axum_adds_few_crates_to_an_axum_application() {
    let of = |package: &str, depth: &str| {
        let output = cargo()
            .args(["tree", "--quiet", "--edges", "normal", "--prefix", "none", "--package", package, "--depth", depth])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect::<BTreeSet<String>>()
    };
    let ours = of("health-axum", "100");
    let application: BTreeSet<String> =
        ["axum", "tokio", "serde_json"].into_iter().flat_map(|package| of(package, "100")).collect();
    let added: Vec<&String> = ours.difference(&application).collect();
    assert!(added.len() <= 7, "{} crates: {added:?}", added.len());
}
