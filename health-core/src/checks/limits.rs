//! Limits on a number, with the same messages for all numeric checks. Pure functions.

use crate::{
    check::outcome::Outcome,
    model::{
        observed::{Limits, Number},
        status::Reason,
    },
};

impl Limits {
    /// Judges a number. A number beyond a limit crosses it; a number equal to the limit does not.
    pub(crate) fn judge(&self, value: Number, unit: &str) -> Outcome {
        let crossed = |limit: Option<Number>, beyond: fn(f64, f64) -> bool| {
            limit.filter(|limit| beyond(value.as_f64(), limit.as_f64()))
        };
        let above = |value, limit| value > limit;
        let below = |value, limit| value < limit;
        let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        let outcome = if let Some(limit) = crossed(self.fail_above, above) {
            Outcome::unhealthy(format!("{value}{unit} is above {limit}"))
        } else if let Some(limit) = crossed(self.fail_below, below) {
            Outcome::unhealthy(format!("{value}{unit} is below {limit}"))
        } else if let Some(limit) = crossed(self.warn_above, above) {
            Outcome::degraded(format!("{value}{unit} is above {limit}"))
        } else if let Some(limit) = crossed(self.warn_below, below) {
            Outcome::degraded(format!("{value}{unit} is below {limit}"))
        } else {
            Outcome::healthy()
        };
        outcome.reason(Reason::Threshold)
    }

    /// Returns an error if a limit is not finite, or if the order of the limits means that one of them never has an
    /// effect.
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (name, limit) in self.named() {
            if limit.is_some_and(|limit| !limit.is_finite()) {
                return Err(format!("{name} is not finite: use a finite number"));
            }
        }
        let ordered = [
            ("warn_above", self.warn_above, "fail_above", self.fail_above),
            ("fail_below", self.fail_below, "warn_below", self.warn_below),
            ("warn_below", self.warn_below, "warn_above", self.warn_above),
            ("fail_below", self.fail_below, "fail_above", self.fail_above),
            ("fail_below", self.fail_below, "warn_above", self.warn_above),
            ("warn_below", self.warn_below, "fail_above", self.fail_above),
        ];
        for (low_name, low, high_name, high) in ordered {
            if let (Some(low), Some(high)) = (low, high)
                && low.as_f64() >= high.as_f64()
            {
                return Err(format!(
                    "{low_name}({low}) must be less than {high_name}({high}): from low to high the order is \
                     fail_below, warn_below, warn_above, fail_above"
                ));
            }
        }
        Ok(())
    }

    /// Validates limits as [`validate`](Self::validate) does, and as percentages. A limit from 0.01 to below 1 is
    /// refused, because it is probably meant as a share of the whole.
    pub(crate) fn validate_percent(&self) -> Result<(), String> {
        self.validate()?;
        let is_share = |limit: f64| (0.01..1.0).contains(&limit);
        let is_percent = |limit: f64| (0.0..=100.0).contains(&limit);
        self.refuse_if(
            |limit| is_share(limit) || !is_percent(limit),
            |name, limit| match is_share(limit) {
                true => format!("{name}({limit}) is in percent: use {} for {limit} of the whole", scaled(limit, 100.0)),
                false => format!("{name}({limit}) is in percent: use 0 to 100"),
            },
        )
    }

    /// Validates limits as [`validate`](Self::validate) does, and as shares of the whole, from 0 to 1. An upper limit
    /// of 1 is refused, because nothing exceeds it and it is probably meant as a percentage.
    pub(crate) fn validate_share(&self) -> Result<(), String> {
        self.validate()?;
        for (name, limit) in [("warn_above", self.warn_above), ("fail_above", self.fail_above)] {
            if limit.is_some_and(|limit| limit.as_f64() == 1.0) {
                return Err(format!(
                    "{name}(1) is a share of the whole and is never exceeded: use 0.01 for 1 %, or remove the limit"
                ));
            }
        }
        self.refuse_if(
            |limit| !(0.0..=1.0).contains(&limit),
            |name, limit| match (0.0..=100.0).contains(&limit) {
                true => format!("{name}({limit}) is a share of the whole: use {} for {limit} %", scaled(limit, 0.01)),
                false => format!("{name}({limit}) is a share of the whole: use 0 to 1"),
            },
        )
    }

    /// Validates limits as [`validate`](Self::validate) does, and as limits of a number that is never negative.
    pub(crate) fn validate_count(&self) -> Result<(), String> {
        self.validate()?;
        self.refuse_if(|limit| limit < 0.0, |name, limit| format!("{name}({limit}) is negative: use 0 or more"))
    }

    fn refuse_if(&self, refuses: impl Fn(f64) -> bool, message: impl Fn(&str, f64) -> String) -> Result<(), String> {
        for (name, limit) in self.named() {
            if let Some(limit) = limit.map(Number::as_f64).filter(|limit| refuses(*limit)) {
                return Err(message(name, limit));
            }
        }
        Ok(())
    }
}

/// Returns the product, rounded to eight decimals, so that 0.07 of the whole is 7 % and not 7.000000000000001 %.
fn scaled(limit: f64, factor: f64) -> f64 {
    (limit * factor * 1e8).round() / 1e8
}

/// Generates the four limit methods of a check with a field `limits`.
macro_rules! limit_methods {
    ($($name:ident: $doc:literal,)+) => {
        $(#[doc = $doc]
        pub fn $name(mut self, limit: impl Into<$crate::model::observed::Number>) -> Self {
            self.limits.$name = Some(limit.into());
            self
        })+
    };
}
pub(crate) use limit_methods;

/// Generates `settings` and `apply_setting` of a check from a table with the name of an option's method, the field,
/// and the method of [`Setting`](crate::Setting) that reads the value. `limits in` stands for the four options of
/// [`limit_methods`].
macro_rules! check_settings {
    (limits in $($limits:tt).+; $($rest:tt)*) => {
        $crate::checks::limits::check_settings! {
            warn_above: $($limits).+.warn_above = number;
            fail_above: $($limits).+.fail_above = number;
            warn_below: $($limits).+.warn_below = number;
            fail_below: $($limits).+.fail_below = number;
            $($rest)*
        }
    };
    ($($name:ident: $($field:tt).+ = $read:ident;)+) => {
        #[cfg(feature = "serde")]
        fn settings(&self) -> Vec<&'static str> {
            vec![$(stringify!($name)),+]
        }

        #[cfg(feature = "serde")]
        fn apply_setting(
            &mut self,
            option: &str,
            value: &$crate::check::setting::Setting,
        ) -> Result<bool, $crate::check::error::InvalidCheck> {
            match option {
                $(stringify!($name) => self.$($field).+ = value.$read()?.into(),)+
                _ => return Ok(false),
            }
            Ok(true)
        }
    };
}
pub(crate) use check_settings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::Status;

    #[test]
    fn only_a_number_beyond_a_limit_crosses_it() {
        let limits = Limits {
            warn_above: Some(10.into()),
            fail_above: Some(20.into()),
            warn_below: Some(5.into()),
            fail_below: Some(2.into()),
        };
        for (value, expected) in [
            (1, Status::Unhealthy),
            (2, Status::Degraded),
            (5, Status::Healthy),
            (10, Status::Healthy),
            (11, Status::Degraded),
            (20, Status::Degraded),
            (21, Status::Unhealthy),
        ] {
            assert_eq!(limits.judge(value.into(), "").status, expected, "{value}");
        }
        assert!(limits.validate().is_ok());
    }

    #[test]
    fn implausible_limits_are_refused() {
        let above = |limit: f64| Limits::new().warn_above(limit);
        for (limit, percent, share, count) in [
            (0.0, true, true, true),
            (0.001, true, true, true),
            (0.8, false, true, true),
            (1.0, true, false, true),
            (80.0, true, false, true),
            (101.0, false, false, true),
            (-1.0, false, false, false),
        ] {
            assert_eq!(above(limit).validate_percent().is_ok(), percent, "{limit} %");
            assert_eq!(above(limit).validate_share().is_ok(), share, "{limit}");
            assert_eq!(above(limit).validate_count().is_ok(), count, "{limit}");
        }
        assert_eq!(
            above(0.8).validate_percent().unwrap_err(),
            "warn_above(0.8) is in percent: use 80 for 0.8 of the whole"
        );
        for (limit, percent) in [(0.07, "7"), (0.29, "29"), (0.125, "12.5")] {
            let error = above(limit).validate_percent().unwrap_err();
            assert!(error.contains(&format!("use {percent} for {limit} ")), "{error}");
        }
        assert_eq!(
            above(25.0).validate_share().unwrap_err(),
            "warn_above(25) is a share of the whole: use 0.25 for 25 %"
        );
    }

    #[test]
    fn limits_in_the_wrong_order_are_refused() {
        let some = |n: f64| Some(Number::from(n));
        for limits in [
            Limits { warn_above: some(2.0), fail_above: some(1.0), ..Limits::default() },
            Limits { warn_above: some(1.0), fail_above: some(1.0), ..Limits::default() },
            Limits { warn_below: some(1.0), fail_below: some(2.0), ..Limits::default() },
            Limits { warn_below: some(5.0), warn_above: some(4.0), ..Limits::default() },
            Limits { fail_above: some(f64::NAN), ..Limits::default() },
        ] {
            assert!(limits.validate().is_err(), "{limits:?}");
        }
    }
}
