//! The output of a plugin for Nagios and Icinga, after the Monitoring Plugins' development guidelines
//! (<https://www.monitoring-plugins.org/doc/guidelines.html>). Pure.

use std::{fmt::Write as _, time::Duration};

use crate::verdict::{State, Verdict};

/// Old transports take 4 KiB, and some consumers fewer; what matters stands in front.
const LONGEST: usize = 4_000;
/// Characters of the first line in front of the numbers.
const FIRST_LINE: usize = 400;

/// The exit code.
pub(crate) const fn code(state: State) -> u8 {
    match state {
        State::Healthy => 0,
        State::Degraded => 1,
        State::Unhealthy => 2,
        State::Unknown => 3,
    }
}

/// One line, with numbers behind it; verbose with a line for each check.
pub(crate) fn output(verdict: &Verdict, took: Duration, verbose: bool) -> String {
    let word = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][usize::from(code(verdict.state))];
    let checks = match verdict.checks.len() {
        0 => "healthy".to_owned(),
        1 => "1 check".to_owned(),
        count => format!("{count} checks"),
    };
    let said = match (verdict.state, verdict.cause.as_str()) {
        (State::Healthy, "") => checks,
        (state, "") => state.word().to_owned(),
        (_, cause) => clean(cause),
    };
    let mut text = format!("HEALTH {word}: {} |", said.chars().take(FIRST_LINE).collect::<String>());
    // To the microsecond: more is noise.
    number(&mut text, "time", took.as_micros() as f64 / 1e6, "s");
    for check in &verdict.checks {
        if let Some(seconds) = check.seconds {
            number(&mut text, &check.name, seconds, "s");
        }
        for (name, value, unit) in &check.observed {
            number(&mut text, &format!("{}.{name}", check.name), *value, unit);
        }
    }
    text.push('\n');
    if verbose {
        for check in &verdict.checks {
            let mut line = format!("{}: {}", clean(&check.name), check.state.word());
            for more in [&check.reason, &check.message] {
                if !more.is_empty() {
                    let _ = write!(line, ", {}", clean(more));
                }
            }
            if text.len() + line.len() < LONGEST {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    text
}

/// ` 'label'=value[unit];;;0`, if there is room for it.
fn number(text: &mut String, label: &str, value: f64, unit: &str) {
    // Units that Nagios knows; of others it takes the number alone.
    let unit = match unit {
        "s" | "ms" | "us" | "%" | "B" | "KB" | "MB" | "GB" | "TB" => unit,
        "bytes" => "B",
        "percent" => "%",
        _ => "",
    };
    // Neither a quote nor an equals sign may stand in a label of Icinga's.
    let label: String = clean(label).chars().map(|c| if matches!(c, '\'' | '=') { '_' } else { c }).collect();
    let least = if value >= 0.0 { "0" } else { "" };
    let item = format!(" '{label}'={value}{unit};;;{least}");
    if value.is_finite() && text.len() + item.len() < LONGEST / 2 {
        text.push_str(&item);
    }
}

/// What begins the numbers, or a line, stands in no text; and nothing that a terminal would obey.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '|' {
                '/'
            } else if c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{answer::Answer, verdict};

    fn line(code: u16, body: &str, verbose: bool) -> String {
        let answer = Answer { code, body: body.as_bytes().to_vec() };
        output(&verdict::of(&answer), Duration::from_micros(1_400), verbose)
    }

    #[test]
    fn one_line_with_numbers() {
        let body = r#"{"status":"unhealthy","root_causes":["database"],"checks":{"database":{"status":"unhealthy",
            "reason":"unreachable","duration_ms":1.4},"jobs":{"status":"healthy","duration_ms":0.31,
            "observed":{"length":{"value":42,"unit":"messages"},"free":{"value":0.5,"unit":"percent"}}}}}"#;
        assert_eq!(
            line(503, body, false),
            "HEALTH CRITICAL: database unreachable | 'time'=0.0014s;;;0 'database'=0.0014s;;;0 'jobs'=0.00031s;;;0 \
             'jobs.free'=0.5%;;;0 'jobs.length'=42;;;0\n"
        );
        assert_eq!(line(200, "ok", true), "HEALTH OK: healthy | 'time'=0.0014s;;;0\n");
        let warn =
            r#"{"status":"degraded","checks":{"c":{"status":"unhealthy","reason":"slow","message":"took 3 s"}}}"#;
        assert_eq!(
            line(200, warn, true),
            "HEALTH WARNING: c slow | 'time'=0.0014s;;;0\nc: unhealthy, slow, took 3 s\n"
        );
        assert_eq!(line(404, "", false), "HEALTH UNKNOWN: HTTP 404: there is no such page | 'time'=0.0014s;;;0\n");
    }

    #[test]
    fn nothing_that_a_page_says_becomes_something_else() {
        let evil = r#"{"status":"unhealthy","reason":"a | 'x'=1\nCRITICAL","checks":{"it's=|\u001b[31m\n":
            {"status":"unhealthy","reason":"| rm\r\n","message":"|","duration_ms":1,"observed":{"n":{"value":-1e300,"unit":"|x"}}}}}"#;
        let text = line(503, evil, true);
        assert_eq!(text.matches('|').count(), 1, "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("'it_s_/ [31m '=0.001s;;;0"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        let checks: Vec<String> = (0..500)
            .map(|n| format!(r#""check-{n}":{{"status":"unhealthy","message":"{}","duration_ms":1}}"#, "m".repeat(250)))
            .collect();
        let text = line(503, &format!(r#"{{"status":"unhealthy","checks":{{{}}}}}"#, checks.join(",")), true);
        assert!(text.len() < 4_096, "{}", text.len());
    }
}
