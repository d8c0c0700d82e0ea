//! The output of a plugin for Nagios and Icinga, according to the Monitoring Plugins' development guidelines
//! (<https://www.monitoring-plugins.org/doc/guidelines.html>). All functions are pure.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    time::Duration,
};

use crate::verdict::{State, Verdict};

/// The maximum length of the output, in bytes. Old transports take 4 KiB, and some consumers less, so the most
/// important parts come first.
const LONGEST: usize = 4_000;
/// The maximum length of the performance data of all checks, in bytes.
const NUMBERS: usize = 1_600;
/// The maximum length of the text in front of the performance data, in characters.
const FIRST_LINE: usize = 400;

/// Returns the exit code for a state.
pub(crate) const fn code(state: State) -> u8 {
    match state {
        State::Healthy => 0,
        State::Degraded => 1,
        State::Unhealthy => 2,
        State::Unknown => 3,
    }
}

/// Returns one line with a text and performance data. If `verbose`, a line for each check follows.
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
    let mut numbers = Numbers::default();
    // Reserved first, so that `time` always is the duration of the attempt, even if a check has this name.
    let time = numbers.label("time");
    for check in &verdict.checks {
        // Reserved even if the check has no duration, so that another number never gets this label.
        let label = numbers.label(&check.name);
        if let Some(seconds) = check.seconds {
            numbers.add(&label, seconds, "s");
        }
    }
    for check in &verdict.checks {
        for (name, value, unit) in &check.observed {
            let label = numbers.label(&format!("{}.{name}", check.name));
            numbers.add(&label, *value, unit);
        }
    }
    text.push_str(&numbers.text);
    // Truncated to microseconds, because further digits are noise.
    text.push_str(&number(&time, took.as_micros() as f64 / 1e6, "s"));
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

/// The performance data of the checks, up to a length of `NUMBERS`.
#[derive(Default)]
struct Numbers {
    text: String,
    labels: HashSet<String>,
    /// The next suffix to try for each name whose label is taken.
    next: HashMap<String, u32>,
}

impl Numbers {
    /// Returns a unique label. Without a suffix two labels could be equal, because the name of a check can equal
    /// another check's name joined with the name of an observed number.
    fn label(&mut self, name: &str) -> String {
        // Icinga allows neither quotes nor equals signs in a label.
        let name: String = clean(name).chars().map(|c| if matches!(c, '\'' | '=') { '_' } else { c }).collect();
        let mut label = name.clone();
        while !self.labels.insert(label.clone()) {
            let next = self.next.entry(name.clone()).or_insert(1);
            *next += 1;
            label = format!("{name}_{next}");
        }
        label
    }

    fn add(&mut self, label: &str, value: f64, unit: &str) {
        let item = number(label, value, unit);
        if value.is_finite() && self.text.len() + item.len() < NUMBERS {
            self.text.push_str(&item);
        }
    }
}

/// Returns ` 'label'=value[unit];;;0`. The minimum 0 is omitted for a negative value.
fn number(label: &str, value: f64, unit: &str) -> String {
    // The units that Nagios defines. A number with any other unit is written without a unit.
    let unit = match unit {
        "s" | "ms" | "us" | "%" | "B" | "KB" | "MB" | "GB" | "TB" => unit,
        "bytes" => "B",
        "percent" => "%",
        _ => "",
    };
    let least = if value >= 0.0 { "0" } else { "" };
    format!(" '{label}'={value}{unit};;;{least}")
}

/// Replaces `|`, which begins the performance data, and control characters, which could begin a line or control a
/// terminal.
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
        let answer = Answer { code, content_type: String::new(), body: body.as_bytes().to_vec() };
        output(&verdict::of(&answer), Duration::from_micros(1_400), verbose)
    }

    #[test]
    fn the_output_is_one_line_with_performance_data() {
        let body = r#"{"status":"unhealthy","root_causes":["database"],"checks":{"database":{"status":"unhealthy",
            "reason":"unreachable","duration_ms":1.4},"jobs":{"status":"healthy","duration_ms":0.31,
            "observed":{"length":{"value":42,"unit":"messages"},"free":{"value":0.5,"unit":"percent"}}}}}"#;
        assert_eq!(
            line(503, body, false),
            "HEALTH CRITICAL: database unreachable | 'database'=0.0014s;;;0 'jobs'=0.00031s;;;0 'jobs.free'=0.5%;;;0 \
             'jobs.length'=42;;;0 'time'=0.0014s;;;0\n"
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
    fn every_number_has_a_unique_label() {
        let body = r#"{"status":"healthy","checks":{
            "a":{"status":"healthy","duration_ms":1,"observed":{"b":{"value":7}}},
            "a.b":{"status":"healthy"},"it's":{"status":"healthy","duration_ms":2},"it=s":{"status":"healthy",
            "duration_ms":3},"time":{"status":"healthy","duration_ms":4}}}"#;
        assert_eq!(
            line(200, body, false),
            "HEALTH OK: 5 checks | 'a'=0.001s;;;0 'it_s'=0.002s;;;0 'it_s_2'=0.003s;;;0 'time_2'=0.004s;;;0 \
             'a.b_2'=7;;;0 'time'=0.0014s;;;0\n"
        );
    }

    #[test]
    fn text_of_a_page_cannot_forge_or_overflow_the_output() {
        let evil = r#"{"status":"unhealthy","reason":"a | 'x'=1\nCRITICAL","checks":{"it's=|\u001b[31m\n":
            {"status":"unhealthy","reason":"| rm\r\n","message":"|","duration_ms":1,
            "observed":{"n":{"value":-1e300,"unit":"|x"}}}}}"#;
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
        // Every name yields the same label once its forbidden characters are replaced.
        let alike = |n: u32| (0..16).map(|bit| if n >> bit & 1 == 0 { '\'' } else { '=' }).collect::<String>();
        let checks: Vec<String> = (0..40_000).map(|n| format!(r#""{}":{{"duration_ms":1}}"#, alike(n))).collect();
        let began = std::time::Instant::now();
        line(503, &format!(r#"{{"status":"unhealthy","checks":{{{}}}}}"#, checks.join(",")), false);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
