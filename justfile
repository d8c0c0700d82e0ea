# The developer's menu. `just` lists it; each recipe is one command that also runs without just.

[private]
default:
    @just --list --unsorted

# Formats the sources
format:
    cargo fmt --all

# Checks formatting, lints and the tests that need no server
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    cargo test --workspace --all-features --lib --bins --test virtual

# Installs what is missing and runs all tests, or those whose names have NAME in them
test *NAME:
    tests/run {{ NAME }}

# Compiles and runs the examples of the documentation and the guide
test-docs:
    tests/run doc

# Runs an example service on 127.0.0.1:8080: axum, actix, warp or worker
example FRAMEWORK="axum":
    cargo run -p health-example-{{ FRAMEWORK }}

# Builds the API documentation and opens it
docs:
    cargo doc --workspace --no-deps --all-features --open

# Builds the guide into target/book and checks every relative link
book:
    tests/book

# Measures, and writes what was measured into the guide: all parts, or those named
bench *PART:
    tests/bench {{ PART }}

# Plants faults in the core and reports the test that notices each: all, or those named
mutants *NAME:
    tests/mutants/run {{ NAME }}

# Feeds random input to the parsers for as long as given
fuzz *ARGUMENTS:
    tests/fuzz/run {{ ARGUMENTS }}

# Explores all interleavings of the core's signals with a model checker
loom:
    cargo test --manifest-path tests/loom/Cargo.toml --target-dir target/loom

# Runs everything that a change must pass, as the forge does
ci:
    .ci/run
