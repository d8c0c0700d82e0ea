"""Measures the crates, the build time and the program size that each adapter adds to its bare framework."""

import os
import shutil
import subprocess
import time

from benchmarks.build import TARGET, table

FRAMEWORKS = {
    "axum": 'axum = { version = "0.8", default-features = false, features = ["http1", "tokio"] }',
    "actix": 'actix-web = { version = "4.11", default-features = false, features = ["macros"] }',
    "warp": 'warp = { version = "0.4", default-features = false, features = ["server"] }',
}


def _source(framework, has_health):
    health = ('let health = health_core::Health::builder().check("x", health_core::check_fn(|| async { Ok(()) }))'
              '.start().unwrap();')
    begin = health if has_health else ""
    if framework == "axum":
        mount = ".merge(health_axum::routes(health))" if has_health else ""
        body = ('let app: axum::Router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }))'
                f'{mount};'
                'let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); '
                'axum::serve(listener, app).await.unwrap();')
        return f"#[tokio::main] async fn main() {{ {begin} {body} }}"
    if framework == "actix":
        mount = ".service(health_actix::routes(health.clone()))" if has_health else ""
        body = ('actix_web::HttpServer::new(move || actix_web::App::new()'
                f'.route("/", actix_web::web::get().to(|| async {{ "hello" }})){mount})'
                '.bind("127.0.0.1:0").unwrap().run().await.unwrap();')
        return f"#[actix_web::main] async fn main() {{ {begin} {body} }}"
    mount = ".or(health_warp::routes(health))" if has_health else ""
    body = f'warp::serve(warp::path::end().map(|| "hello"){mount}).run(([127, 0, 0, 1], 0)).await;'
    return f"use warp::Filter as _; #[tokio::main] async fn main() {{ {begin} {body} }}"


def _built(framework, has_health):
    """Returns the number of crates, the seconds of a clean build, and the bytes of the program without symbols."""
    name = f"{framework}-{'with' if has_health else 'without'}"
    folder = os.path.abspath(f"{TARGET}/footprint/{name}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(f"{folder}/src")
    ours = ""
    if has_health:
        ours = "".join(f'{crate} = {{ path = "{os.path.abspath(crate)}" }}\n'
                       for crate in ["health-core", f"health-{framework}"])
    tokio = 'tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }\n'
    tokio = "" if framework == "actix" else tokio
    with open(f"{folder}/Cargo.toml", "w") as file:
        file.write(f'[workspace]\n[package]\nname = "{name}"\nedition = "2024"\n'
                   f"[dependencies]\n{FRAMEWORKS[framework]}\n{tokio}{ours}"
                   "[profile.release]\nstrip = true\n")
    with open(f"{folder}/src/main.rs", "w") as file:
        file.write(_source(framework, has_health))
    shutil.copy("Cargo.lock", folder)
    tree = ["cargo", "tree", "--prefix", "none", "-e", "normal,build"]
    listed = subprocess.run(tree, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    lines = listed.stdout.splitlines()
    crates = len({line.replace(" (*)", "") for line in lines if line}) - 1
    began = time.monotonic()
    subprocess.run(["cargo", "build", "--quiet", "--release"], cwd=folder, check=True)
    return crates, time.monotonic() - began, os.path.getsize(f"{folder}/target/release/{name}")


def measured():
    rows = []
    for framework in FRAMEWORKS:
        bare, ours = _built(framework, False), _built(framework, True)
        rows.append([framework, f"{bare[0]} + {ours[0] - bare[0]}", f"{bare[1]:.0f} s + {ours[1] - bare[1]:.0f} s",
                     f"{bare[2] / 1e6:.2f} MB + {(ours[2] - bare[2]) / 1e3:.0f} kB"])
    text = (table(["framework", "crates", "clean release build", "program, stripped"], rows)
            + "\n\nA program that answers `hello`, and what one check and the health routes add to it.")
    return text, {}
