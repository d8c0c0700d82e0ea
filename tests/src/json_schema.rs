//! A JSON Schema, compiled, and the files of the endpoint's own.

use std::{fmt, fs, path::Path};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// The place that a schema is given. Nothing is loaded from there.
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
    /// Compiles the schema at a JSON pointer in a document; at an empty one, the document itself.
    ///
    /// # Panics
    ///
    /// It is no schema of draft 2020-12, or refers to what is not there.
    #[must_use]
    pub fn new(document: Value, pointer: &str) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource(PLACE, document).expect("the place is a URL");
        let compiled = compiler.compile(&format!("{PLACE}#{pointer}"), &mut schemas);
        let index = compiled.unwrap_or_else(|error| panic!("{pointer}: {error:#}"));
        Self { schemas, index }
    }

    /// What is wrong with a document; `None` if the schema allows it.
    #[must_use]
    pub fn fault(&self, document: &Value) -> Option<String> {
        self.schemas.validate(document, self.index).err().map(|error| format!("{error:#}"))
    }
}

/// The schema of a file in `health-core/schema`, such as `report`.
///
/// # Panics
///
/// There is no such file, or it is no JSON.
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
    /// Compiles the two files.
    #[must_use]
    pub fn read() -> Self {
        let compiled = |name| JsonSchema::new(file(name), "");
        Self { report: compiled("report"), health_json: compiled("health-json") }
    }

    /// What is wrong with an answer, whose status says which of the formats it is in; `None` if its schema allows it.
    #[must_use]
    pub fn fault(&self, answer: &Value) -> Option<String> {
        let is_health_json = ["pass", "warn", "fail"].iter().any(|word| answer["status"] == *word);
        if is_health_json { self.health_json.fault(answer) } else { self.report.fault(answer) }
    }
}
