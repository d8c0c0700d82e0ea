#![doc = include_str!("../../health-core/RECIPES.md")]
#![doc = include_str!("../../docs/endpoint.md")]
#![doc = include_str!("../../docs/status-page.md")]
#![doc = include_str!("../../docs/tls.md")]
