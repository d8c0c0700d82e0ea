//! Texts for times, lengths of time and numbers, as pure functions.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use crate::{
    model::{
        observed::{Number, Observed},
        status::Status,
    },
    time::rfc3339,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns the name of a status with a capital letter.
pub(super) fn capital(status: Status) -> &'static str {
    match status {
        Status::Healthy => "Healthy",
        Status::Degraded => "Degraded",
        Status::Unhealthy => "Unhealthy",
    }
}

/// The no-break space between a number and its unit.
const TIED: char = '\u{a0}';

/// Returns a length of time in at most two units: `0.8 s`, `4 min 12 s`, `3 days 4 h`.
pub(super) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let two = |first: u64, unit: &str, second: u64, smaller: &str| match second {
        0 => format!("{first}{TIED}{unit}"),
        _ => format!("{first}{TIED}{unit} {second}{TIED}{smaller}"),
    };
    match seconds {
        0..10 => format!("{seconds}.{}{TIED}s", length.subsec_millis() / 100),
        10..MINUTE => format!("{seconds}{TIED}s"),
        MINUTE..HOUR => two(seconds / MINUTE, "min", seconds % MINUTE, "s"),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ => two(seconds / DAY, if seconds < 2 * DAY { "day" } else { "days" }, seconds % DAY / HOUR, "h"),
    }
}

/// Returns a configured length of time: `2 s`, `1.5 s`, `250 ms`.
pub(super) fn setting(setting: Duration) -> String {
    match (setting.as_secs(), setting.subsec_millis()) {
        (0, millis) => format!("{millis}{TIED}ms"),
        (seconds @ 1..10, 0) => format!("{seconds}{TIED}s"),
        _ => length(setting),
    }
}

/// Returns the time from `from` to `to` in the format of [`length`]; zero if `to` is earlier.
pub(super) fn between(from: SystemTime, to: SystemTime) -> String {
    length(to.duration_since(from).unwrap_or_default())
}

/// Returns a duration with at most three digits: `0.31 ms`, `12.4 ms`, `1.20 s`. A duration of one minute or more has
/// the format of [`length`].
pub(super) fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..10_000 => hundredths(micros / 10, "ms"),
        10_000..100_000 => format!("{}.{}{TIED}ms", micros / 1_000, micros / 100 % 10),
        100_000..1_000_000 => format!("{}{TIED}ms", micros / 1_000),
        1_000_000..60_000_000 => hundredths(micros / 10_000, "s"),
        _ => length(duration),
    }
}

fn hundredths(count: u128, unit: &str) -> String {
    format!("{}.{:02}{TIED}{unit}", count / 100, count % 100)
}

/// Returns a point in time in UTC in the format `2026-01-05 08:00:00`.
pub(super) fn moment(at: SystemTime) -> String {
    let text = rfc3339(at);
    let (day, time) = text.as_str().split_at(10);
    format!("{day} {}", time.get(1..9).unwrap_or_default())
}

/// Returns the time of day in the format `08:00:00`; the date and the time if its day is not the day of `now`.
pub(super) fn time_of_day(at: SystemTime, now: SystemTime) -> String {
    let (at, now) = (moment(at), moment(now));
    match at.split_once(' ') {
        Some((day, time)) if now.starts_with(day) => time.to_owned(),
        _ => at,
    }
}

/// Returns a share, given in ten-thousandths, as a percentage: `99.98 %`.
pub(super) fn percent(ten_thousandths: u32) -> String {
    format!("{}.{:02}{TIED}%", ten_thousandths / 100, ten_thousandths % 100)
}

/// Returns a number with a comma between thousands and at most three decimals, not counting the leading zeros of a
/// number below 1: `1,204`, `0.5`.
pub(super) fn number(number: Number) -> String {
    let text = number.to_string();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{sign}{text}");
    }
    let mut apart = sign.to_owned();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position) % 3 == 0 {
            apart.push(',');
        }
        apart.push(digit);
    }
    if let Some(fraction) = fraction {
        // Keeps three digits after the leading zeros. The further digits of a float are of no use to a reader.
        let zeros = if whole == "0" { fraction.len() - fraction.trim_start_matches('0').len() } else { 0 };
        let _ = write!(apart, ".{}", fraction.get(..zeros + 3).unwrap_or(fraction));
    }
    apart
}

/// Returns an observed number with its unit.
pub(super) fn value(observed: &Observed) -> String {
    let value = number(observed.value);
    if observed.unit.is_empty() { value } else { format!("{value} {}", observed.unit) }
}

/// Returns the first limit of a number as text: `limit 1,000`; `None` if it has no limits.
pub(super) fn first_limit(observed: &Observed) -> Option<String> {
    let limit = observed.limits.named().into_iter().find_map(|(_, limit)| limit)?;
    Some(format!("limit {}", number(limit)))
}

/// Returns the limits of a number as text: `degraded above 1,000, unhealthy above 10,000`; empty if it has no limits.
pub(super) fn limits(observed: &Observed) -> String {
    let words = ["degraded above", "unhealthy above", "degraded below", "unhealthy below"];
    let given = observed.limits.named().into_iter().zip(words);
    let texts = given.filter_map(|((_, limit), words)| Some(format!("{words} {}", number(limit?))));
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_at_most_two_units() {
        for (millis, expected) in [
            (0, "0.0 s"),
            (850, "0.8 s"),
            (9_999, "9.9 s"),
            (59_999, "59 s"),
            (252_000, "4 min 12 s"),
            (3_600_000, "1 h"),
            (11_100_000, "3 h 5 min"),
            (90_000_000, "1 day 1 h"),
            (273_600_000, "3 days 4 h"),
        ] {
            assert_eq!(length(Duration::from_millis(millis)).replace(TIED, " "), expected);
        }
    }

    #[test]
    fn durations_have_at_most_three_digits() {
        for (micros, expected) in [
            (0, "0.00 ms"),
            (310, "0.31 ms"),
            (9_999, "9.99 ms"),
            (12_440, "12.4 ms"),
            (250_000, "250 ms"),
            (1_200_000, "1.20 s"),
            (75_000_000, "1 min 15 s"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)).replace(TIED, " "), expected);
        }
    }

    #[test]
    fn numbers_have_commas_between_thousands() {
        for (value, expected) in [
            (Number::from(0_u8), "0"),
            (Number::from(1_204_u32), "1,204"),
            (Number::from(-1_000_000_i32), "-1,000,000"),
            (Number::from(0.5), "0.5"),
            (Number::from(0.000_412_3), "0.000412"),
            (Number::from(1_234.567_89), "1,234.567"),
            (Number::from(f64::NAN), "NaN"),
        ] {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_moment_of_another_day_is_shown_with_its_date() {
        let day = |text: &str| humantime::parse_rfc3339(text).unwrap();
        let now = day("2026-01-05T08:00:00.123Z");
        assert_eq!(time_of_day(day("2026-01-05T07:55:48Z"), now), "07:55:48");
        assert_eq!(time_of_day(day("2026-01-04T07:55:48Z"), now), "2026-01-04 07:55:48");
        assert_eq!(percent(9_998), "99.98\u{a0}%");
        assert_eq!(percent(10_000), "100.00\u{a0}%");
        assert_eq!(percent(5), "0.05\u{a0}%");
    }
}
