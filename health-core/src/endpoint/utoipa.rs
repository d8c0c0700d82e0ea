//! The OpenAPI document of an endpoint. Its paths come from the routes, and its schemas from the files in `schema/`.
//! Tests validate every answer by these files.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::{
    Array, ComponentsBuilder, Content, HttpMethod, Info, Object, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Responses, Schema, SecurityRequirement, Type,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, ParameterStyle},
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

#[cfg(feature = "html")]
use crate::endpoint::answer::SVG;
use crate::{
    endpoint::{
        Endpoint,
        access::Grant,
        config::Config,
        format::Format,
        route::{Presentation, Route, Target},
    },
    model::status::Probe,
    render::prometheus::Exposition,
};

/// The tag of every operation.
const TAG: &str = "health";
const ABOUT: &str = "The health of this service. Each path also answers HEAD and OPTIONS, with the status code of GET.";
/// The name of the security scheme.
const BEARER: &str = "Health.Bearer";
const ABOUT_BEARER: &str = "Grants full visibility. A request without a token, or with a wrong one, is no error: it is \
                            answered with less detail.";

/// The schema files, each with the prefix of its definitions among the components. The dot in the prefix avoids a
/// conflict with an application's own `HealthReport` or `HealthStatus`, because a merge keeps only the first of two
/// schemas with one name.
const SCHEMAS: [(&str, &str); 2] = [
    ("Health.", include_str!("../../schema/report.schema.json")),
    ("HealthJson.", include_str!("../../schema/health-json.schema.json")),
];
const REPORT: &str = "Health.Report";
const CHECK: &str = "Health.CheckPage";
const NAME: &str = "Health.Name";
const HEALTH_JSON: &str = "HealthJson.Document";

/// # For OpenAPI documents
impl Endpoint {
    /// Returns an OpenAPI document with the paths of this endpoint, their parameters, status codes, content types and
    /// schemas. Add it to the document of the application with [`OpenApi::merge`], or with [`OpenApi::nest`] if the
    /// endpoint is nested. The document reflects the options that are set before this call.
    ///
    /// ```
    /// use health_core::{Endpoint, Health, drivers::utoipa::openapi::{Info, OpenApi, Paths}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = Endpoint::new(Health::builder().start()?).base_path("/internal/health");
    /// let mut document = OpenApi::new(Info::new("orders", "1.4.2"), Paths::new());
    /// document.merge(endpoint.openapi());
    /// assert!(document.paths.get_path_item("/internal/health/ready").is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn openapi(&self) -> OpenApi {
        let paths = self.patterns().into_iter().fold(PathsBuilder::new(), |paths, pattern| {
            // A pattern is itself a path of its shape, so that it routes like every path that it matches.
            let operation = self.route(&pattern).map(|route| operation(&self.config, route));
            match operation {
                Some(operation) => paths.path(pattern, PathItem::new(HttpMethod::Get, operation)),
                None => paths,
            }
        });
        let mut components = ComponentsBuilder::new().schemas_from_iter(schemas());
        if has_bearer(&self.config) {
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(ABOUT_BEARER)).build();
            components = components.security_scheme(BEARER, SecurityScheme::Http(bearer));
        }
        OpenApiBuilder::new()
            .info(Info::new("Health", env!("CARGO_PKG_VERSION")))
            .paths(paths.build())
            .components(Some(components.build()))
            .tags(Some([TagBuilder::new().name(TAG).description(Some(ABOUT)).build()]))
            .build()
    }
}

/// Returns the definitions of every schema file. A file that cannot be parsed would be left out. Tests compare the
/// definitions with the files.
fn schemas() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    SCHEMAS.into_iter().flat_map(|(prefix, text)| {
        let text = text.replace("\"#/$defs/", &format!("\"#/components/schemas/{prefix}"));
        let mut file: Value = serde_json::from_str(&text).unwrap_or_default();
        let definitions = file.get_mut("$defs").map(Value::take).unwrap_or_default();
        let definitions: BTreeMap<String, RefOr<Schema>> = serde_json::from_value(definitions).unwrap_or_default();
        definitions.into_iter().map(move |(name, schema)| (format!("{prefix}{name}"), schema))
    })
}

fn has_bearer(config: &Config) -> bool {
    config.grants.iter().any(|grant| matches!(grant, Grant::Bearer(_)))
}

/// Describes GET on a route.
fn operation(config: &Config, route: Route<'_>) -> Operation {
    let (id, summary) = title(config, route);
    let (answers, parameters) = match route {
        Route::Metrics => {
            let pages = [Exposition::Text, Exposition::OpenMetrics].map(|it| text(media(it.content_type())));
            (Answers::default().with(200, "The metrics, with any health status.", &pages), Vec::new())
        }
        Route::Verdict(target, Presentation::Document) => document(config, target),
        Route::Verdict(target, Presentation::Kubernetes(_)) => kubernetes(config, target),
    };
    // Set for each operation, because otherwise the security requirements of the application's document would apply.
    let mut security = vec![SecurityRequirement::default()];
    if has_bearer(config) {
        security.push(SecurityRequirement::new(BEARER, [""; 0]));
    }
    OperationBuilder::new()
        .tag(TAG)
        .operation_id(Some(id))
        .summary(Some(summary))
        .parameters(Some(parameters))
        .securities(Some(security))
        .responses(answers.responses())
        .build()
}

/// Returns the id and the summary of an operation. The id differs from the ids of other endpoints in the application.
fn title(config: &Config, route: Route<'_>) -> (String, &'static str) {
    let base = config.base.trim_start_matches('/').replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    match route {
        Route::Metrics => (format!("{base}_metrics"), "Metrics for Prometheus"),
        Route::Verdict(Target::Check(..), Presentation::Kubernetes(name)) => {
            (format!("{name}_check"), "One check, as Kubernetes text")
        }
        Route::Verdict(target, presentation) => {
            let (suffix, summary) = match target {
                Target::All => ("report", "Every check"),
                Target::Probe(Probe::Liveness) => ("live", "Liveness: whether this process must be restarted"),
                Target::Probe(Probe::Readiness) => ("ready", "Readiness: whether this process may receive traffic"),
                Target::Probe(Probe::Startup) => ("startup", "Startup: whether this process has finished starting"),
                Target::Tag(_) => ("tag", "The checks with a tag"),
                Target::Check(..) => ("check", "One check, with its own status"),
            };
            match presentation {
                Presentation::Document => (format!("{base}_{suffix}"), summary),
                Presentation::Kubernetes(name) => (name.to_owned(), summary),
            }
        }
    }
}

fn is_named(target: Target<'_>) -> bool {
    matches!(target, Target::Tag(_) | Target::Check(..))
}

/// Describes a document below the base path.
fn document(config: &Config, target: Target<'_>) -> (Answers, Vec<Parameter>) {
    let is_check = matches!(target, Target::Check(..));
    let is_custom = config.custom.is_some();
    let bodies = if is_custom { vec![("*/*", None)] } else { documents(is_check) };
    // A Degraded liveness or startup has 200, independent of `degraded_code`.
    let degraded = match target {
        Target::Probe(Probe::Liveness | Probe::Startup) => 200,
        _ => config.degraded_code,
    };
    let mut answers = verdicts(config, target, degraded, &bodies);
    let mut parameters = Vec::new();
    if is_named(target) {
        parameters.push(name());
    }
    if is_custom {
        return (answers.with(500, "No report could be made.", &[text("text/plain")]), parameters);
    }
    answers = answers.with(400, "The query names an unknown format.", &[text("text/plain")]);
    parameters.push(format());
    #[cfg(feature = "html")]
    parameters.push(refresh());
    (answers, parameters)
}

/// Describes a Kubernetes path.
fn kubernetes(config: &Config, target: Target<'_>) -> (Answers, Vec<Parameter>) {
    let answers = verdicts(config, target, 200, &[text("text/plain")]);
    let parameters = if is_named(target) { vec![name()] } else { vec![verbose(), exclude()] };
    (answers, parameters)
}

/// Describes the answers for each health status, and the answer to an unknown name.
fn verdicts(config: &Config, target: Target<'_>, degraded: u16, bodies: &[Body]) -> Answers {
    let mut answers = Answers::default()
        .with(200, "The status is healthy.", bodies)
        .with(degraded, "The status is degraded.", bodies)
        .with(config.unhealthy_code, "The status is unhealthy.", bodies);
    let drains = matches!(target, Target::All | Target::Probe(Probe::Readiness) | Target::Tag(_));
    if let Some(code) = config.draining_code.filter(|_| drains) {
        answers = answers.with(code, "The service drains.", bodies);
    }
    if is_named(target) {
        answers = answers.with(404, "There is no check or tag of this name here.", &[text("text/plain")]);
    }
    answers
}

/// A content type and its schema.
type Body = (&'static str, Option<RefOr<Schema>>);

/// Returns a body of text.
fn text(media: &'static str) -> Body {
    (media, Some(Object::with_type(Type::String).into()))
}

/// Returns the media type of a content type, without its parameters.
fn media(content_type: &'static str) -> &'static str {
    content_type.split(';').next().unwrap_or_default()
}

/// Returns the bodies of a document in every format.
fn documents(is_check: bool) -> Vec<Body> {
    let of_schema =
        |format: Format, name: &str| -> Body { (format.content_type(), Some(Ref::from_schema_name(name).into())) };
    let documents = Format::ALL.iter().map(|format| match format {
        Format::Json => of_schema(*format, if is_check { CHECK } else { REPORT }),
        Format::Health => of_schema(*format, HEALTH_JSON),
        _ => text(media(format.content_type())),
    });
    #[cfg(feature = "html")]
    let documents = documents.chain([text(SVG)]);
    documents.collect()
}

/// The answers to one operation: the meanings of each status code, and the bodies that it can have.
#[derive(Default)]
struct Answers(BTreeMap<u16, (Vec<&'static str>, Vec<Body>)>);

impl Answers {
    /// Adds a meaning and its bodies to a status code, which can already have others.
    fn with(mut self, code: u16, meaning: &'static str, bodies: &[Body]) -> Self {
        let (meanings, all) = self.0.entry(code).or_default();
        meanings.push(meaning);
        all.extend_from_slice(bodies);
        self
    }

    fn responses(self) -> Responses {
        let answers = self.0.into_iter().map(|(code, (meanings, bodies))| {
            let response = ResponseBuilder::new().description(meanings.join(" "));
            let with_body = |response: ResponseBuilder, (media, schema)| response.content(media, Content::new(schema));
            (code.to_string(), bodies.into_iter().fold(response, with_body))
        });
        answers.collect()
    }
}

fn query(name: &str, about: &str) -> ParameterBuilder {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
    parameter.required(Required::False).description(Some(about))
}

fn name() -> Parameter {
    let parameter = ParameterBuilder::new().name("name").parameter_in(ParameterIn::Path).required(Required::True);
    parameter.schema(Some(Ref::from_schema_name(NAME))).build()
}

fn format() -> Parameter {
    let words = Format::ALL.iter().map(|format| format.word());
    #[cfg(feature = "html")]
    let words = words.chain(["svg"]);
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    query("format", "The format of the answer. Without this parameter, the header Accept decides.")
        .schema(Some(schema))
        .build()
}

#[cfg(feature = "html")]
fn refresh() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(2_i32)).maximum(Some(3_600_i32));
    let about = "The number of seconds after which a browser loads the page again. Any other value is ignored.";
    query("refresh", about).schema(Some(schema)).build()
}

fn verbose() -> Parameter {
    let about = "Lists the checks even if none fails. The value is ignored and can be empty.";
    query("verbose", about).schema(Some(Object::with_type(Type::String))).build()
}

fn exclude() -> Parameter {
    let about = "The name of a check that is excluded from the verdict. Can be given several times.";
    let parameter = query("exclude", about).style(Some(ParameterStyle::Form)).explode(Some(true));
    parameter.schema(Some(Array::new(Ref::from_schema_name(NAME)))).build()
}
