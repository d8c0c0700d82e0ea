//! Compiled JSON Schemas, and the schema files of the endpoint.

use std::{fmt, fs, path::Path};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// The URL under which a schema is registered. Nothing is loaded from it.
const PLACE: &str = "http://schema.invalid/document.json";

/// A compiled schema.
pub struct JsonSchema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonSchema").field("index", &self.index).finish_non_exhaustive()
    }
}

impl JsonSchema {
    /// Compiles the schema at a JSON pointer in a document. An empty pointer names the document itself.
    ///
    /// # Panics
    ///
    /// Panics if the schema is not valid under draft 2020-12 or has a reference that does not resolve.
    #[must_use]
    pub fn new(document: Value, pointer: &str) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, document).expect("a valid URL of the schema");
        let compiled = compiler.compile(&format!("{PLACE}#{pointer}"), &mut schemas);
        let index = compiled.unwrap_or_else(|error| panic!("{pointer}: {error:#}"));
        Self { schemas, index }
    }

    /// Returns the fault of a document, or `None` if the schema allows it.
    #[must_use]
    pub fn fault(&self, document: &Value) -> Option<String> {
        self.schemas.validate(document, self.index).err().map(|error| format!("{error:#}"))
    }
}

/// Reads a schema file of `health-core/schema`, such as `report`.
///
/// # Panics
///
/// Panics if there is no such file or it is not JSON.
#[must_use]
pub fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../health-core/schema/{name}.schema.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The two schemas of the endpoint's answers.
#[derive(Debug)]
pub struct AnswerSchemas {
    report: JsonSchema,
    health_json: JsonSchema,
}

impl AnswerSchemas {
    /// Compiles the two schema files.
    #[must_use]
    pub fn read() -> Self {
        let compiled = |name| JsonSchema::new(file(name), "");
        Self { report: compiled("report"), health_json: compiled("health-json") }
    }

    /// Returns the fault of an answer, or `None` if its schema allows it. The answer's status decides which schema
    /// applies.
    #[must_use]
    pub fn fault(&self, answer: &Value) -> Option<String> {
        let is_health_json = ["pass", "warn", "fail"].iter().any(|word| answer["status"] == *word);
        if is_health_json { self.health_json.fault(answer) } else { self.report.fault(answer) }
    }
}
