//! What the library promises to whoever uses it.

mod answers;
mod status_page;
