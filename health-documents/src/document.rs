//! What a health document says.

use std::{collections::BTreeMap, fmt};

/// The state of a service or of one of its components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It works.
    Healthy,
    /// It works, but something needs attention.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// Returns the word: `healthy`, `degraded` or `unhealthy`.
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
    /// The state of the service.
    pub status: Status,
    /// The reason of the service itself, at most 64 characters: of this project's documents `draining` and the like, else the
    /// word of a status that no dialect defines.
    pub reason: Option<String>,
    /// The components by name, at most 256, each once.
    pub components: Vec<Component>,
    /// The names of the components that the document calls root causes.
    pub root_causes: Vec<String>,
}

/// A component of a service.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Component {
    /// Its name, at most 64 characters; its position, such as `#3`, if the document gives none.
    pub name: String,
    /// Its state: the worst of its measurements.
    pub status: Status,
    /// Its public reason, at most 64 characters; else the word of a status that no dialect defines.
    pub reason: Option<String>,
    /// What it says at length, at most 256 characters.
    pub message: Option<String>,
    /// How long its check took, in seconds.
    pub seconds: Option<f64>,
    /// Its numbers: name, value, unit.
    pub observed: Vec<(String, f64, String)>,
}

impl Document {
    /// Returns the components that are the cause of a state that is not Healthy: the root causes, if the document names any,
    /// else all that are no better than the service.
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

    /// Takes another entry on the same component: the worse one says how it is.
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

/// Shows the name and the reason, or the state: `database unreachable`.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.reason.as_deref().unwrap_or(self.status.as_str()))
    }
}

/// The greatest number of components; more are of no use to a reader.
const MOST: usize = 256;
/// The greatest length of a name and of a reason, in characters.
const NAME: usize = 64;
/// The greatest length of a message, in characters.
const MESSAGE: usize = 256;
/// The greatest number of numbers of a component.
const NUMBERS: usize = 32;

/// The components of a document, each once, by name.
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

    /// Returns the components by name: if there are too many, those that are worst.
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

/// Returns a text of at most so many characters, without control characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Returns a reason; nothing for an empty text.
pub(crate) fn reason(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| short(text, NAME))
}

/// Returns a message; nothing for an empty text.
pub(crate) fn message(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| short(text, MESSAGE))
}
