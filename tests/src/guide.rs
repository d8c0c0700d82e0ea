//! The pages of the guide with Rust code, whose code is compiled as doctests.

#[doc = include_str!("../../docs/src/design/endpoint.md")]
mod endpoint {}
#[doc = include_str!("../../docs/src/recipes.md")]
mod recipes {}
#[doc = include_str!("../../docs/src/status-page.md")]
mod status_page {}
#[doc = include_str!("../../docs/src/tls.md")]
mod tls {}

#[doc = include_str!("../../health-actix/README.md")]
mod readme_of_health_actix {}
#[doc = include_str!("../../health-axum/README.md")]
mod readme_of_health_axum {}
#[doc = include_str!("../../health-core/README.md")]
mod readme_of_health_core {}
#[doc = include_str!("../../health-hyper/README.md")]
mod readme_of_health_hyper {}
#[doc = include_str!("../../health-tonic/README.md")]
mod readme_of_health_tonic {}
#[doc = include_str!("../../health-warp/README.md")]
mod readme_of_health_warp {}
