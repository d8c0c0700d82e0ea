//! The pages of the guide with Rust code, whose code is compiled as doctests.

#[doc = include_str!("../../docs/src/design/endpoint.md")]
mod endpoint {}
#[doc = include_str!("../../docs/src/recipes.md")]
mod recipes {}
#[doc = include_str!("../../docs/src/status-page.md")]
mod status_page {}
#[doc = include_str!("../../docs/src/tls.md")]
mod tls {}
