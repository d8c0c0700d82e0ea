//! The recipe for S3 against a service that is written from the documentation of its API. The service requires a
//! signature but does not verify it. The other recipes are only compiled.

use aws_sdk_s3::{
    Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    error::SdkError,
    operation::head_bucket::HeadBucketError,
};
use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode},
    routing::any,
};
use health_core::{CheckError, CheckFn, Reason, Status, check_fn};
use health_tests::{
    support::{checked, checked_within, secs, shown, verdict},
    tools::repository,
};

use super::http::serve;

// Start of the recipe.
fn bucket(client: aws_sdk_s3::Client, bucket: &'static str) -> CheckFn {
    check_fn(move || {
        let head = client.head_bucket().bucket(bucket);
        async move {
            let answer = head.send().await;
            answer.map(drop).map_err(|error| {
                let reason = reason(&error);
                CheckError::from(error).reason(reason)
            })
        }
    })
}

fn reason(error: &SdkError<HeadBucketError>) -> Reason {
    match error {
        SdkError::TimeoutError(_) => Reason::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Reason::Timeout,
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Reason::Unreachable,
        SdkError::ServiceError(answer) => match answer.raw().status().as_u16() {
            // Another region's bucket, a key or a user without the right, no such bucket.
            301 | 401 | 403 | 404 => Reason::Rejected,
            429 | 503 => Reason::Saturated,
            _ => Reason::Failed,
        },
        _ => Reason::Failed,
    }
}
// End of the recipe.

#[test]
fn the_recipe_in_the_guide_is_the_tested_one() {
    let (_, from) = include_str!("recipes.rs").split_once("// Start of the recipe.\n").unwrap();
    let (recipe, _) = from.split_once("// End of the recipe.\n").unwrap();
    let recipes = std::fs::read_to_string(repository().join("docs/src/recipes.md")).unwrap();
    assert!(recipes.contains(recipe), "the recipe for S3 in docs/src/recipes.md differs from the one in this file");
}

/// Starts a service in which the name of a bucket contains the code of the answer. Returns its base URL.
async fn service() -> String {
    let head = |Path(bucket): Path<String>, headers: HeaderMap| async move {
        let signature = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !signature.starts_with("AWS4-HMAC-SHA256 Credential=app/") {
            return StatusCode::FORBIDDEN;
        }
        bucket.strip_prefix("bucket-").and_then(|code| code.parse().ok()).unwrap_or(StatusCode::NOT_FOUND)
    };
    serve(Router::new().route("/{bucket}", any(head)).route("/{bucket}/", any(head))).await
}

fn client(address: &str, key: &str) -> aws_sdk_s3::Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new(key, "correct-horse-4S", None, None, "tests"))
        .endpoint_url(address)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test]
async fn each_answer_of_s3_has_its_reason() {
    let address = service().await;
    let unhealthy = |reason| (Status::Unhealthy, Some(reason));
    for (name, expected) in [
        ("bucket-200", (Status::Healthy, None)),
        ("bucket-301", unhealthy(Reason::Rejected)),
        ("bucket-403", unhealthy(Reason::Rejected)),
        ("bucket-404", unhealthy(Reason::Rejected)),
        ("bucket-503", unhealthy(Reason::Saturated)),
        ("bucket-500", unhealthy(Reason::Failed)),
    ] {
        let report = shown(&checked(bucket(client(&address, "app"), name)).await);
        assert_eq!(verdict(&report), expected, "{name}: {report:?}");
    }
    let stranger = shown(&checked(bucket(client(&address, "stranger"), "bucket-200")).await);
    assert_eq!(verdict(&stranger), unhealthy(Reason::Rejected));
    let nobody = shown(&checked(bucket(client("http://127.0.0.1:1", "app"), "bucket-200")).await);
    assert_eq!(verdict(&nobody), unhealthy(Reason::Unreachable));
}

/// The client's own timeout and retries would take longer than the check's deadline.
#[tokio::test]
async fn a_silent_s3_is_a_timeout() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let report = shown(&checked_within(secs(1), bucket(client(&address, "app"), "bucket-200")).await);
    assert_eq!(verdict(&report), (Status::Unhealthy, Some(Reason::Timeout)));
}
