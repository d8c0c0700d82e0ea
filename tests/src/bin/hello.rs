//! `hello <address> <actix|axum|hyper|warp>`: runs the minimal example of an adapter. All examples have the same name,
//! so this program includes each of them for the tests.

use std::error::Error;

mod actix {
    include!("../../../health-actix/examples/hello.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

mod axum_router {
    include!("../../../health-axum/examples/hello.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

mod hyper {
    include!("../../../health-hyper/examples/hello.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

mod warp_filter {
    include!("../../../health-warp/examples/hello.rs");

    pub(super) fn run() -> Result<(), Box<dyn std::error::Error>> {
        main()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(2).as_deref() {
        Some("actix") => actix::run(),
        Some("axum") => axum_router::run(),
        Some("hyper") => hyper::run(),
        Some("warp") => warp_filter::run(),
        _ => Err("usage: hello <address> <actix|axum|hyper|warp>".into()),
    }
}
