//! The errors that a check may return: every type that converts into a boxed error, directly or with `?`.

use std::{error::Error, io, io::ErrorKind};

use health_core::{
    Check, CheckError, CheckResult, Outcome, Reason, check_blocking, check_blocking_result, check_fn, check_result,
};

#[derive(Debug, thiserror::Error)]
enum LicenseError {
    #[error("the license server is gone")]
    Gone(#[source] io::Error),
    #[error("expired")]
    Expired,
}

fn refused() -> io::Error {
    io::Error::new(ErrorKind::ConnectionRefused, "no one there")
}

async fn with_anyhow() -> anyhow::Result<()> {
    Err(anyhow::Error::from(refused()).context("license"))
}

async fn bare_anyhow() -> anyhow::Result<()> {
    Err(refused().into())
}

async fn with_eyre() -> eyre::Result<()> {
    Err(eyre::Report::from(refused()).wrap_err("license"))
}

async fn bare_eyre() -> eyre::Result<()> {
    Err(refused().into())
}

async fn with_thiserror() -> Result<(), LicenseError> {
    Err(LicenseError::Gone(refused()))
}

async fn with_string() -> Result<(), String> {
    Err("no license".to_owned())
}

async fn with_str() -> Result<(), &'static str> {
    Err("no license")
}

async fn with_io() -> io::Result<()> {
    Err(refused())
}

async fn with_box() -> Result<(), Box<dyn Error + Send + Sync>> {
    Err(refused().into())
}

async fn with_outcome() -> anyhow::Result<Outcome> {
    Ok(Outcome::degraded("expires soon"))
}

async fn error(check: impl Check) -> (Reason, String) {
    match check.check().await {
        Ok(outcome) => panic!("{outcome:?}"),
        Err(error) => (error.get_reason(), error.get_message().to_owned()),
    }
}

#[tokio::test(start_paused = true)]
async fn any_error_can_be_returned_directly_and_with_a_question_mark() {
    macro_rules! both {
        ($($verify:ident => $reason:ident, $message:literal;)+) => {$(
            let expected = (Reason::$reason, $message.to_owned());
            assert_eq!(error(check_fn(|| async { $verify().await?; Ok(()) })).await, expected);
            assert_eq!(error(check_result(|| $verify())).await, expected);
        )+};
    }
    both! {
        with_anyhow => Unreachable, "license: no one there";
        bare_anyhow => Unreachable, "no one there";
        with_eyre => Unreachable, "license: no one there";
        bare_eyre => Unreachable, "no one there";
        with_thiserror => Unreachable, "the license server is gone: no one there";
        with_string => Failed, "no license";
        with_str => Failed, "no license";
        with_io => Unreachable, "no one there";
        with_box => Unreachable, "no one there";
    }
    assert_eq!(error(check_result(|| async { Err::<(), _>(LicenseError::Expired) })).await.0, Reason::Failed);
    let own = || async { Err::<(), _>(CheckError::new("of its own").reason(Reason::Rejected)) };
    assert_eq!(error(check_result(own)).await, (Reason::Rejected, "of its own".to_owned()));
}

#[tokio::test]
async fn outcomes_pass_through_check_fn_and_check_result() {
    for result in
        [check_result(with_outcome).check().await, check_fn(|| async { Ok(with_outcome().await?) }).check().await]
    {
        assert_eq!(result.unwrap().get_message(), Some("expires soon"));
    }
    let verify = || Err::<(), _>(refused());
    assert_eq!(error(check_blocking_result(verify)).await.0, Reason::Unreachable);
    let with_question_mark = check_blocking(move || {
        verify()?;
        Ok(())
    });
    assert_eq!(error(with_question_mark).await.0, Reason::Unreachable);
}

/// A type that implements `Check` and uses `?` on different errors.
struct License;

#[health_core::async_trait]
impl Check for License {
    async fn check(&self) -> CheckResult {
        with_string().await?;
        with_anyhow().await?;
        Ok(Outcome::healthy())
    }
}

#[tokio::test]
async fn an_implementation_of_check_can_return_any_error() {
    assert_eq!(error(License).await.1, "no license");
}
