//! A writer of compact JSON into bytes. No other code writes commas and quotes of JSON.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::{model::observed::Number, time::rfc3339};

/// A JSON text under construction. The writer writes the commas between members and elements.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    text: Vec<u8>,
    /// Whether a comma is due before the next member or element.
    comma: bool,
    /// The position of the gap, if there is one.
    gap: Option<usize>,
}

/// The text before and after a gap in a JSON text.
#[derive(Debug)]
pub(crate) struct Around {
    pub(crate) before: Vec<u8>,
    pub(crate) after: Vec<u8>,
}

impl Writer {
    /// Returns the finished text as bytes that can be cloned without an allocation.
    pub(crate) fn finish(self) -> Bytes {
        let shared = Bytes::from(self.text);
        // The first clone of an owned buffer allocates. Later clones, made for requests, do not.
        let _ = shared.clone();
        shared
    }

    /// Creates a writer that continues a text. The text must end with an opening bracket.
    pub(crate) fn with(text: Vec<u8>) -> Self {
        Self { text, ..Self::default() }
    }

    /// Appends members or elements to a text, each after a comma.
    pub(crate) fn append(text: &mut Vec<u8>, write: impl FnOnce(&mut Self)) {
        let mut writer = Self { text: std::mem::take(text), comma: true, gap: None };
        write(&mut writer);
        *text = writer.text;
    }

    /// Writes an object with a [`gap`](Self::gap), and returns the text before and after the gap.
    pub(crate) fn around(members: impl FnOnce(&mut Self)) -> Around {
        let mut writer = Self::default();
        writer.object(members);
        let gap = writer.gap.unwrap_or(writer.text.len());
        let after = writer.text.split_off(gap);
        Around { before: writer.text, after }
    }

    /// Leaves a gap for members that are written later. The next member of the same object begins with a comma.
    pub(crate) fn gap(&mut self) {
        self.gap = Some(self.text.len());
        self.comma = true;
    }

    /// Appends the text after a gap. Omits its first comma if nothing was written into the gap.
    pub(crate) fn after_gap(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text.strip_prefix(b",").filter(|_| !self.comma).unwrap_or(text));
    }

    pub(crate) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.bracketed(b'{', b'}', members);
    }

    pub(crate) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.bracketed(b'[', b']', elements);
    }

    fn bracketed(&mut self, open: u8, close: u8, inside: impl FnOnce(&mut Self)) {
        self.separate();
        self.text.push(open);
        self.comma = false;
        inside(self);
        self.text.push(close);
        self.comma = true;
    }

    /// Writes the name of the next member. Its value must follow.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.separate();
        self.quote(name);
        self.text.push(b':');
        self.comma = false;
        self
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.separate();
        self.quote(text);
    }

    /// Writes a point in time as RFC 3339.
    pub(crate) fn moment(&mut self, at: SystemTime) {
        self.string(rfc3339(at).as_str());
    }

    fn quote(&mut self, text: &str) {
        // Most texts are names and words, which need no escapes.
        if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.text.push(b'"');
            self.text.extend_from_slice(text.as_bytes());
            self.text.push(b'"');
        } else {
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut self.text, text);
        }
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.word(if value { "true" } else { "false" });
    }

    pub(crate) fn integer(&mut self, value: impl itoa::Integer) {
        self.word(itoa::Buffer::new().format(value));
    }

    pub(crate) fn number(&mut self, value: Number) {
        match value {
            Number::Integer(integer) => self.integer(integer),
            Number::Float(float) => self.value(&serde_json::Value::from(float)),
        }
    }

    /// Writes a duration in milliseconds, with at most two decimals.
    pub(crate) fn milliseconds(&mut self, duration: Duration) {
        let hundredths = (duration.as_nanos() + 5_000) / 10_000;
        self.integer(hundredths / 100);
        let tens = u8::try_from(hundredths % 100).unwrap_or_default();
        if tens > 0 {
            self.text.extend_from_slice(&[b'.', b'0' + tens / 10]);
            if tens % 10 > 0 {
                self.text.push(b'0' + tens % 10);
            }
        }
    }

    pub(crate) fn value(&mut self, value: &serde_json::Value) {
        self.separate();
        let _ = serde_json::to_writer(&mut self.text, value);
    }

    fn word(&mut self, text: &str) {
        self.separate();
        self.text.extend_from_slice(text.as_bytes());
    }

    fn separate(&mut self) {
        if self.comma {
            self.text.push(b',');
        }
        self.comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_decimals() {
        for (nanos, expected) in [
            (0, "0"),
            (4_999, "0"),
            (5_000, "0.01"),
            (1_420_000, "1.42"),
            (1_500_000, "1.5"),
            (2_000_000_000, "2000"),
            (9_995_000, "10"),
            (10_050_000, "10.05"),
        ] {
            let mut writer = Writer::default();
            writer.milliseconds(Duration::from_nanos(nanos));
            assert_eq!(writer.finish(), expected);
        }
    }

    #[test]
    fn a_clone_shares_the_bytes_of_the_body() {
        let mut writer = Writer::default();
        writer.array(|w| {
            w.string("a\"\u{1}");
            w.object(|w| {
                w.name("b").bool(true);
                w.name("c").integer(3_u32);
            });
        });
        let body = writer.finish();
        assert_eq!(body.clone().as_ptr(), body.as_ptr());
        assert_eq!(body, r#"["a\"\u0001",{"b":true,"c":3}]"#);
    }
}
