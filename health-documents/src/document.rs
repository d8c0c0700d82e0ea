//! The health document and its components.

use std::{collections::BTreeMap, fmt};

/// The status of a service or of one of its components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The service or component works.
    Healthy,
    /// The service or component works, but something needs attention.
    Degraded,
    /// The service or component does not work.
    Unhealthy,
}

impl Status {
    /// Returns `healthy`, `degraded` or `unhealthy`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A health document.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// The status of the service.
    pub status: Status,
    /// The reason of the service itself, at most 64 characters: in documents of health-core, for example, `draining`;
    /// in other documents the word of a status that no dialect defines.
    pub reason: Option<String>,
    /// The components, sorted by name, at most 256. Each name appears once. If there are more, the worst are kept.
    pub components: Vec<Component>,
    /// The names of the components that the document calls root causes.
    pub root_causes: Vec<String>,
}

/// A component of a service.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Component {
    /// The name, at most 64 characters; the position, such as `#3`, if the document has no name.
    pub name: String,
    /// The status, which is the worst of its measurements.
    pub status: Status,
    /// The public reason, at most 64 characters, or the word of a status that no dialect defines; `None` if there is
    /// neither.
    pub reason: Option<String>,
    /// The message, at most 256 characters; `None` if there is none.
    pub message: Option<String>,
    /// The duration of the last check, in seconds; `None` if the document has none.
    pub seconds: Option<f64>,
    /// The observed numbers, each with its name, its value and its unit, at most 32. The unit is empty if the document
    /// has none.
    pub observed: Vec<(String, f64, String)>,
}

impl Document {
    /// Returns the components that cause a status that is not Healthy: the root causes, if the document names any,
    /// otherwise all components whose status is at least as bad as the status of the service. Empty if the service is
    /// Healthy.
    #[must_use]
    pub fn causes(&self) -> Vec<&Component> {
        let named = |name: &String| self.components.iter().find(|component| component.name == *name);
        let roots: Vec<&Component> = self.root_causes.iter().filter_map(named).collect();
        match self.status {
            Status::Healthy => Vec::new(),
            _ if !roots.is_empty() => roots,
            status => self.components.iter().filter(|component| component.status >= status).collect(),
        }
    }
}

impl Component {
    pub(crate) fn new(name: &str, status: Status) -> Self {
        let (reason, message, seconds, observed) = (None, None, None, Vec::new());
        Self { name: short(name, NAME), status, reason, message, seconds, observed }
    }

    /// Merges another entry for the same component. The worse entry determines the status, the reason and the message.
    fn join(&mut self, mut other: Self) {
        if other.status > self.status {
            std::mem::swap(self, &mut other);
        }
        self.seconds = self.seconds.or(other.seconds);
        for number in other.observed {
            let is_new = !self.observed.iter().any(|(name, ..)| *name == number.0);
            if is_new && self.observed.len() < NUMBERS {
                self.observed.push(number);
            }
        }
    }
}

/// Writes the name and the reason, or the status if there is no reason: `database unreachable`.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.reason.as_deref().unwrap_or(self.status.as_str()))
    }
}

/// The largest number of components. More are of no use to a reader.
const MOST: usize = 256;
/// The largest length of a name and of a reason, in characters.
const NAME: usize = 64;
/// The largest length of a message, in characters.
const MESSAGE: usize = 256;
/// The largest number of observed numbers of a component.
const NUMBERS: usize = 32;

/// The components of a document by name, each once.
#[derive(Default)]
pub(crate) struct Components(BTreeMap<String, Component>);

impl Components {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn add(&mut self, component: Component) {
        match self.0.get_mut(&component.name) {
            Some(known) => known.join(component),
            None => drop(self.0.insert(component.name.clone(), component)),
        }
    }

    /// Returns the components, sorted by name. If there are too many, only the worst are returned.
    pub(crate) fn sorted(self) -> Vec<Component> {
        let mut components: Vec<Component> = self.0.into_values().collect();
        if components.len() > MOST {
            components.sort_by_key(|component| std::cmp::Reverse(component.status));
            components.truncate(MOST);
            components.sort_by(|one, other| one.name.cmp(&other.name));
        }
        for component in &mut components {
            component.observed.sort_by(|(one, ..), (other, ..)| one.cmp(other));
            component.observed.truncate(NUMBERS);
        }
        components
    }
}

/// Returns a text, truncated to `most` characters, with control characters replaced by spaces.
pub(crate) fn short(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Returns a text as a reason; `None` for an empty text.
pub(crate) fn reason(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| short(text, NAME))
}

/// Returns a text as a message; `None` for an empty text.
pub(crate) fn message(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| short(text, MESSAGE))
}
