//! The numbers that checks observe, and their limits.

use std::{borrow::Cow, fmt};

/// A number that a check observed, for instance the length of a queue.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observed {
    /// The name of the measured quantity.
    pub name: Cow<'static, str>,
    /// The measured value.
    pub value: Number,
    /// The unit, such as `messages`; empty for a number without a unit.
    pub unit: Cow<'static, str>,
    /// The limits of the number; empty for a number without limits.
    pub limits: Limits,
}

/// The limits of a number: beyond a `warn` limit the check is Degraded, beyond a `fail` limit Unhealthy.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The number above which the check is Degraded.
    pub warn_above: Option<Number>,
    /// The number above which the check is Unhealthy.
    pub fail_above: Option<Number>,
    /// The number below which the check is Degraded.
    pub warn_below: Option<Number>,
    /// The number below which the check is Unhealthy.
    pub fail_below: Option<Number>,
}

/// Generates the setters of limits.
macro_rules! setters {
    ($($name:ident: $doc:literal;)+) => {
        impl Limits {
            $(#[doc = $doc]
            #[must_use]
            pub fn $name(mut self, limit: impl Into<Number>) -> Self {
                self.$name = Some(limit.into());
                self
            })+
        }
    };
}

setters! {
    warn_above: "Sets the number above which the check is Degraded.";
    fail_above: "Sets the number above which the check is Unhealthy.";
    warn_below: "Sets the number below which the check is Degraded.";
    fail_below: "Sets the number below which the check is Unhealthy.";
}

impl Limits {
    /// Returns an empty set of limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Removes the limits that are not finite.
    pub(crate) fn finite(self) -> Self {
        let finite = |limit: Option<Number>| limit.filter(|limit| limit.is_finite());
        Self {
            warn_above: finite(self.warn_above),
            fail_above: finite(self.fail_above),
            warn_below: finite(self.warn_below),
            fail_below: finite(self.fail_below),
        }
    }

    /// Returns every limit with its name; `None` for a limit that is not set.
    pub(crate) fn named(&self) -> [(&'static str, Option<Number>); 4] {
        [
            ("warn_above", self.warn_above),
            ("fail_above", self.fail_above),
            ("warn_below", self.warn_below),
            ("fail_below", self.fail_below),
        ]
    }
}

/// An integer or a floating-point number. Displayed without loss of precision.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Number {
    /// An integer.
    Integer(i128),
    /// A floating-point number.
    Float(f64),
}

impl Number {
    /// Returns the nearest floating-point number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the method returns the nearest number")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }

    pub(crate) fn is_finite(self) -> bool {
        match self {
            Self::Integer(_) => true,
            Self::Float(float) => float.is_finite(),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Float(float) => float.fmt(f),
        }
    }
}

macro_rules! number_from {
    ($($integer:ty),+) => {
        $(impl From<$integer> for Number {
            fn from(integer: $integer) -> Self {
                Self::Integer(i128::from(integer))
            }
        })+
    };
}

number_from!(u8, u16, u32, u64, i8, i16, i32, i64);

impl From<usize> for Number {
    fn from(integer: usize) -> Self {
        Self::Integer(integer as i128)
    }
}

impl From<f32> for Number {
    fn from(float: f32) -> Self {
        Self::Float(f64::from(float))
    }
}

impl From<f64> for Number {
    fn from(float: f64) -> Self {
        Self::Float(float)
    }
}
