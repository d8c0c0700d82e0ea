//! Health documents as text: one word, or the lines of Kubernetes.

use crate::{
    document::{Component, Components, Document, Status, reason},
    word,
};

/// Reads a text: one word, or Kubernetes text in which every line follows the format. Returns `None` for any other
/// text. With `is_html` only one word is read.
pub(crate) fn read(text: &str, is_html: bool) -> Option<Document> {
    let text = text.trim();
    if let Some(status) = word::known(text) {
        return Some(Document { status, reason: None, components: Vec::new(), root_causes: Vec::new() });
    }
    // Kubernetes never sends its text as HTML, and an HTML page can contain any line.
    if is_html || text.is_empty() {
        return None;
    }
    let mut components = Components::default();
    let (mut verdict, mut worst, mut lines) = (None, None, text.lines().peekable());
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        if let Some(component) = component(line) {
            worst = worst.max(Some(component.status));
            components.add(component);
        } else if let Some(status) = closing(line).filter(|_| is_last) {
            verdict = Some(status);
        } else if !line.trim().is_empty() && !line.starts_with("warn: ") {
            return None;
        }
    }
    // The page of a single check has no closing line. A closing line that passes does not hide a component that fails.
    let status = worst.max(verdict)?;
    Some(Document { status, reason: None, components: components.sorted(), root_causes: Vec::new() })
}

/// Reads the line of a component: `[+]name ok`, `[+]name ok (degraded)`, `[-]name failed: reason`, or
/// `[…]name excluded: …`, which counts as Healthy.
fn component(line: &str) -> Option<Component> {
    let (passes, rest) = match (line.strip_prefix("[+]"), line.strip_prefix("[-]")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return None,
    };
    let (name, said) = rest.trim_end().split_once(' ')?;
    if name.is_empty() {
        return None;
    }
    if said.starts_with("excluded") {
        return Some(Component::new(name, Status::Healthy));
    }
    if passes {
        let status = match said {
            "ok" => Status::Healthy,
            "ok (degraded)" => Status::Degraded,
            _ => return None,
        };
        return Some(Component::new(name, status));
    }
    let said = said.strip_prefix("failed")?;
    let why = said.strip_prefix(": ").filter(|why| *why != "reason withheld").unwrap_or_default();
    Some(Component { reason: reason(why), ..Component::new(name, Status::Unhealthy) })
}

/// Reads the closing line: one word, and `check passed` or `check failed`.
fn closing(line: &str) -> Option<Status> {
    let (name, said) = line.trim_end().split_once(' ')?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/'));
    // A name must not begin with a capital letter, so that a sentence such as `Browser check passed` is not a closing
    // line.
    let is_name = is_name && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '/');
    match said {
        "check passed" if is_name => Some(Status::Healthy),
        "check failed" if is_name => Some(Status::Unhealthy),
        _ => None,
    }
}
