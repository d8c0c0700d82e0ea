//! The compiler names the feature that an application has not enabled.

use std::{fs, path::Path};

use health_tests::program::cargo;
use syn::{Item, UseTree};

/// Returns the items in the root of `health-core` that need a feature, with the feature.
fn gated() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../health-core/src/lib.rs");
    let file = syn::parse_file(&fs::read_to_string(root).unwrap()).unwrap();
    let feature = |attributes: &[syn::Attribute]| {
        let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("cfg"))?;
        let pair: syn::MetaNameValue = attribute.parse_args().ok()?;
        let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) = pair.value else { return None };
        Some(name.value())
    };
    let mut items = Vec::new();
    for item in &file.items {
        if let Item::Use(item) = item
            && let Some(feature) = feature(&item.attrs)
        {
            names(&item.tree, &mut |name| items.push((name, feature.clone())));
        }
    }
    items
}

fn names(tree: &UseTree, found: &mut dyn FnMut(String)) {
    match tree {
        UseTree::Path(path) => names(&path.tree, found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, found)),
        UseTree::Name(name) => found(name.ident.to_string()),
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("the root of health-core must export each item by its name"),
    }
}

#[test]
fn the_compiler_names_a_missing_feature() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let items = gated();
    assert!(items.len() > 20, "{items:?}");
    let uses: String = items.iter().map(|(name, _)| format!("use health_core::{name};\n")).collect();
    fs::create_dir(directory.path().join("src")).unwrap();
    fs::write(directory.path().join("src/main.rs"), format!("{uses}fn main() {{}}\n")).unwrap();
    let manifest = format!(
        "[package]\nname = \"forgotten\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         health-core = {{ path = {:?} }}\n",
        root.join("health-core")
    );
    fs::write(directory.path().join("Cargo.toml"), manifest).unwrap();
    fs::copy(root.join("Cargo.lock"), directory.path().join("Cargo.lock")).unwrap();
    let output = cargo()
        .args(["check", "--offline", "--color", "never"])
        .env("CARGO_TARGET_DIR", root.join("target/forgotten"))
        .current_dir(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for (name, feature) in items {
        let error = text.split("\nerror").find(|error| error.contains(&format!("`health_core::{name}`")));
        let error = error.unwrap_or_else(|| panic!("no error for {name} in {text}"));
        assert!(error.contains(&format!("gated behind the `{feature}` feature")), "{name}: {error}");
    }
}
