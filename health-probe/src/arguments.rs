//! The parser of the command line. Its only I/O is to read the token from a file or an environment variable, and the
//! trusted authorities from a file.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lexopt::{
    Arg::{Long, Short, Value},
    Parser, ValueExt as _,
};

use crate::{
    probe::{Expect, LONGEST, Probe},
    target::Target,
    token::Token,
};

/// The action that the command line requests.
#[derive(Debug)]
pub(crate) enum Wanted {
    Help,
    Version,
    Ask(Box<Asked>),
}

/// The options of a request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) probe: Probe,
    pub(crate) nagios: bool,
    pub(crate) verbose: bool,
    pub(crate) quiet: bool,
}

/// Returns whether the exit codes of a Nagios plugin are requested. Also works if the other arguments cannot be parsed.
pub(crate) fn wants_nagios(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--nagios")
}

/// Parses the arguments after the program's name.
///
/// # Errors
///
/// Returns one sentence that names the fault.
pub(crate) fn read(arguments: &[OsString]) -> Result<Wanted, String> {
    let mut parser = Parser::from_args(arguments);
    let mut target = None;
    let mut token: Option<Token> = None;
    let mut asked =
        Asked { probe: Probe::to(Target::parse("http://localhost")?), nagios: false, verbose: false, quiet: false };
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Short('h') | Long("help") => return Ok(Wanted::Help),
            Short('V') | Long("version") => return Ok(Wanted::Version),
            Short('t') | Long("timeout") => asked.probe.timeout = time("--timeout", &value(&mut parser, "--timeout")?)?,
            Long("wait") => asked.probe.wait = Some(time("--wait", &value(&mut parser, "--wait")?)?),
            Long("expect") => asked.probe.expect = expect(&value(&mut parser, "--expect")?)?,
            Long("token-file") => token = Some(token_from(&PathBuf::from(value(&mut parser, "--token-file")?))?),
            Long("token-env") => token = Some(token_of(&value(&mut parser, "--token-env")?)?),
            Long("ca-file") => trust(&mut asked.probe, &PathBuf::from(value(&mut parser, "--ca-file")?))?,
            Long("nagios") => asked.nagios = true,
            Long("grpc") => asked.probe.grpc = Some(asked.probe.grpc.unwrap_or_default()),
            Long("service") => asked.probe.grpc = Some(value(&mut parser, "--service")?),
            Short('v') | Long("verbose") => asked.verbose = true,
            Short('q') | Long("quiet") => asked.quiet = true,
            Value(url) if target.is_none() => {
                target = Some(Target::parse(&url.string().map_err(|_| "the URL is not valid UTF-8")?)?);
            }
            Value(_) => return Err("there is more than one URL; see --help".to_owned()),
            other => return Err(format!("{}; see --help", other.unexpected())),
        }
    }
    asked.probe.target = target.ok_or("there is no URL to ask; see --help")?;
    if asked.probe.grpc.is_some() && !cfg!(feature = "grpc") {
        return Err("this program was built without the feature grpc".to_owned());
    }
    if asked.probe.grpc.is_some() && asked.probe.target.is_https {
        return Err("--grpc does not support TLS: use an http:// or unix: URL next to the service".to_owned());
    }
    if asked.nagios && asked.probe.expect != Expect::default() {
        return Err("--nagios has an exit code for each state: leave out --expect".to_owned());
    }
    if asked.probe.grpc.is_some() && matches!(asked.probe.expect, Expect::Code(_)) {
        return Err("--grpc has no HTTP status codes: use --expect healthy, or leave out --expect".to_owned());
    }
    asked.probe.token = token;
    Ok(Wanted::Ask(Box::new(asked)))
}

#[cfg(feature = "https")]
fn trust(probe: &mut Probe, path: &Path) -> Result<(), String> {
    probe.trust = crate::tls::Trust::of_file(path)?;
    Ok(())
}

#[cfg(not(feature = "https"))]
fn trust(_: &mut Probe, _: &Path) -> Result<(), String> {
    Err("this program was built without the feature https".to_owned())
}

fn value(parser: &mut Parser, name: &str) -> Result<String, String> {
    let value = parser.value().and_then(lexopt::ValueExt::string);
    value.map_err(|_| format!("{name} needs a value; see --help"))
}

fn time(name: &str, text: &str) -> Result<Duration, String> {
    // A number without a unit is in seconds, as in other plugins.
    let time = text.parse().ok().and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    let time = time
        .or_else(|| humantime::parse_duration(text).ok())
        .filter(|time| (1..=LONGEST.as_nanos()).contains(&time.as_nanos()));
    time.ok_or_else(|| format!("{name} {text:?} is not a time: use for example 500ms, 2s or 1m, at most 1day"))
}

fn expect(text: &str) -> Result<Expect, String> {
    match (text, text.parse()) {
        ("healthy", _) => Ok(Expect::Healthy),
        ("degraded", _) => Ok(Expect::HealthyOrDegraded),
        (_, Ok(code @ 100..=599)) => Ok(Expect::Code(code)),
        _ => Err(format!("--expect {text:?} is not supported: use healthy, degraded or a status code such as 503")),
    }
}

fn token_from(path: &PathBuf) -> Result<Token, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("--token-file {}: {error}", path.display()))?;
    Token::new(text.lines().next().unwrap_or_default())
        .ok_or_else(|| format!("--token-file {}: no token in the first line", path.display()))
}

fn token_of(variable: &str) -> Result<Token, String> {
    let text = std::env::var(variable).map_err(|_| format!("--token-env {variable}: the variable is not set"))?;
    Token::new(&text).ok_or_else(|| format!("--token-env {variable}: the variable has no token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(line: &str) -> Result<Wanted, String> {
        read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn asked(line: &str) -> Asked {
        match read_all(line) {
            Ok(Wanted::Ask(asked)) => *asked,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_option_is_read() {
        let all = asked("--nagios -v -t 500ms --wait=60s http://app/health");
        assert!(all.nagios && all.verbose && !all.quiet);
        assert_eq!((all.probe.timeout, all.probe.wait), (Duration::from_millis(500), Some(Duration::from_secs(60))));
        assert_eq!(asked("--expect healthy http://a").probe.expect, Expect::Healthy);
        assert_eq!(asked("--expect 503 -q http://a").probe.expect, Expect::Code(503));
        assert_eq!(asked("-t 10 http://a").probe.timeout, Duration::from_secs(10));
        assert!(matches!(read_all("-h"), Ok(Wanted::Help)) && matches!(read_all("--version"), Ok(Wanted::Version)));
    }

    #[test]
    fn a_token_comes_from_a_file_or_a_variable() {
        let directory = std::env::temp_dir().join(format!("health-probe-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (good, empty) = (directory.join("good"), directory.join("empty"));
        fs::write(&good, "  a-token \nsomething else\n").unwrap();
        fs::write(&empty, "\n").unwrap();
        assert_eq!(
            asked(&format!("--token-file {} http://a", good.display())).probe.token.unwrap().bearer(),
            "Bearer a-token"
        );
        assert!(!format!("{:?}", asked(&format!("--token-file {} http://a", good.display()))).contains("a-token"));
        assert!(read_all(&format!("--token-file {} http://a", empty.display())).unwrap_err().contains("no token"));
        assert!(read_all("--token-file /nowhere http://a").unwrap_err().contains("/nowhere"));
        assert!(read_all("--token-env NOT_SET_ANYWHERE http://a").unwrap_err().contains("is not set"));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn invalid_arguments_are_errors_that_name_the_fault() {
        for (line, message) in [
            ("", "there is no URL"),
            ("http://a http://b", "more than one URL"),
            ("-t soon http://a", "is not a time"),
            ("-t 0 http://a", "is not a time"),
            ("-t 1e19 http://a", "is not a time"),
            ("--wait 2days http://a", "is not a time"),
            ("--expect good http://a", "use healthy, degraded"),
            ("--nagios --expect healthy http://a", "leave out --expect"),
            ("--wait", "--wait needs a value"),
            ("--nope http://a", "--nope"),
            ("-x http://a", "-x"),
        ] {
            let error = read_all(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
