//! The receiver of an HTTP answer, which takes the answer piece by piece. It does no I/O. It accepts any bytes that a
//! server may send.
//!
//! It follows RFC 9112: interim answers are skipped, and the body ends with its chunks, with its length, or with the
//! connection, whichever comes first.

/// The largest number of header lines.
const HEADERS: usize = 256;
/// The largest size of the head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// The largest size of an answer, in bytes. A health page is smaller.
const LARGEST: usize = 1 << 20;

const ENDED_EARLY: &str = "the answer ended before its body was complete";

/// A complete HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

/// The rule that determines the end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunks,
    Close,
}

/// The part of an answer that was received so far.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// The bytes that were received and not yet parsed.
    bytes: Vec<u8>,
    received: usize,
    head: Option<(Answer, Framing)>,
    is_complete: bool,
}

impl Receiver {
    /// Takes the next bytes. Returns whether the answer is complete.
    ///
    /// # Errors
    ///
    /// Returns an error if the bytes are not an HTTP answer, or if the answer is larger than a health page.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<bool, &'static str> {
        self.received += bytes.len();
        if self.received > LARGEST {
            return Err("the answer is too large for a health page");
        }
        self.bytes.extend_from_slice(bytes);
        // A head ends with a line feed.
        while self.head.is_none() && bytes.contains(&b'\n') && self.read_head()? {}
        if self.head.is_none() && self.bytes.len() > LARGEST_HEAD {
            return Err("the answer's head is too large for a health page");
        }
        self.read_body()?;
        Ok(self.is_complete)
    }

    /// Returns whether anything was received.
    pub(crate) const fn has_begun(&self) -> bool {
        self.received > 0
    }

    /// Takes the end of the connection, and returns the answer.
    ///
    /// # Errors
    ///
    /// Returns an error if the answer is not complete.
    pub(crate) fn close(self) -> Result<Answer, &'static str> {
        match self.head {
            Some((answer, framing)) if self.is_complete || framing == Framing::Close => Ok(answer),
            Some(_) => Err(ENDED_EARLY),
            None if self.received == 0 => Err("the connection was closed without an answer"),
            None if !looks_like_http(&self.bytes) => Err("the answer is not HTTP"),
            None => Err("the answer ended before its head was complete"),
        }
    }

    /// Reads a head. Returns whether it was the head of an interim answer, after which another head follows.
    fn read_head(&mut self) -> Result<bool, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(&self.bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(httparse::Error::TooManyHeaders) => return Err("the answer has more than 256 header lines"),
            Err(_) => return Err("the answer is not HTTP"),
        };
        let code = head.code.unwrap_or_default();
        let is_interim = (100..200).contains(&code) && code != 101;
        if !is_interim {
            let framing = framing(code, head.headers)?;
            let content_type = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
            let content_type =
                content_type.map(|header| String::from_utf8_lossy(header.value).into_owned()).unwrap_or_default();
            self.head = Some((Answer { code, content_type, body: Vec::new() }, framing));
        }
        self.bytes.drain(..length);
        Ok(is_interim)
    }

    /// Moves the received bytes of the body into the answer.
    fn read_body(&mut self) -> Result<(), &'static str> {
        let Some((answer, framing)) = &mut self.head else { return Ok(()) };
        match framing {
            Framing::Close => answer.body.append(&mut self.bytes),
            Framing::Length(length) => {
                let missing = *length - answer.body.len();
                answer.body.extend(self.bytes.drain(..missing.min(self.bytes.len())));
                self.is_complete = answer.body.len() == *length;
            }
            Framing::Chunks => {
                let mut at = 0;
                while !self.is_complete {
                    let size =
                        httparse::parse_chunk_size(&self.bytes[at..]).map_err(|_| "the answer's chunks are broken")?;
                    let httparse::Status::Complete((start, size)) = size else { break };
                    // After the last chunk only trailers follow.
                    self.is_complete = size == 0;
                    let end = usize::try_from(size).ok().and_then(|size| (at + start).checked_add(size));
                    let end = end.ok_or("the answer is too large for a health page")?;
                    match self.bytes.get(at + start..end) {
                        Some(_) if self.is_complete => {}
                        Some(chunk) if self.bytes.len() >= end + 2 => {
                            if &self.bytes[end..end + 2] != b"\r\n" {
                                return Err("the answer's chunks are broken");
                            }
                            answer.body.extend_from_slice(chunk);
                        }
                        _ => break,
                    }
                    at = if self.is_complete { self.bytes.len() } else { end + 2 };
                }
                self.bytes.drain(..at);
            }
        }
        Ok(())
    }
}

/// Returns the rule that determines the end of the body, according to RFC 9112, section 6.3.
fn framing(code: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, &'static str> {
    let values = |name: &'static str| {
        let lines = headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        // A value that is not valid text is neither a number nor a known coding.
        let texts = lines.map(|header| std::str::from_utf8(header.value).unwrap_or("?"));
        texts.flat_map(|line| line.split(',')).map(str::trim).filter(|value| !value.is_empty())
    };
    if matches!(code, 101 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let mut codings = values("transfer-encoding");
    if let Some(coding) = codings.next() {
        let is_chunked = coding.eq_ignore_ascii_case("chunked") && codings.next().is_none();
        return if is_chunked { Ok(Framing::Chunks) } else { Err("the answer's transfer encoding is not supported") };
    }
    let mut lengths = values("content-length");
    let Some(length) = lengths.next() else { return Ok(Framing::Close) };
    if lengths.any(|other| other != length) || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the answer's Content-Length is not a single number");
    }
    match length.parse() {
        Ok(length) if length <= LARGEST => Ok(Framing::Length(length)),
        _ => Err("the answer is too large for a health page"),
    }
}

fn looks_like_http(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// Reads an answer from all bytes that a server sent until it closed the connection.
///
/// # Errors
///
/// Returns an error if the bytes are not a complete HTTP answer.
pub(crate) fn read(bytes: &[u8]) -> Result<Answer, &'static str> {
    let mut receiver = Receiver::default();
    receiver.push(bytes)?;
    receiver.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each answer is received at once and byte by byte.
    #[test]
    fn a_complete_answer_is_read_and_any_other_is_an_error() {
        let body = |answer: Answer| (answer.code, String::from_utf8(answer.body).unwrap());
        let at_once = |text: &str| read(text.as_bytes()).map(body);
        let by_bytes = |text: &str| {
            let mut receiver = Receiver::default();
            for byte in text.as_bytes() {
                if receiver.push(&[*byte])? {
                    break;
                }
            }
            receiver.close().map(body)
        };
        for (text, code, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", 200, "ok"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nok", 200, "ok"),
            ("HTTP/1.0 503 x\r\n\r\nno", 503, "no"),
            ("HTTP/1.1 204 x\r\ncontent-length: 3\r\n\r\n", 204, ""),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;a=b\r\nok\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n",
                200,
                "ok!",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                200,
                "ok",
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n\
                 HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                200,
                "ok",
            ),
        ] {
            assert_eq!(at_once(text), Ok((code, expected.to_owned())), "{text}");
            assert_eq!(by_bytes(text), Ok((code, expected.to_owned())), "{text}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\nok", "a: b\r\n".repeat(70));
        assert_eq!(by_bytes(&many), Ok((200, "ok".to_owned())));
        for (text, message) in [
            ("", "without an answer"),
            ("HTTP/1.1 200", "its head"),
            ("HTTP/1.1 100 Continue\r\n\r\n", "its head"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", "its body"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nok", "its body"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "its body"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "chunks are broken"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n", "chunks are broken"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "transfer encoding"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n", "too large"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", "transfer encoding"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", "not a single number"),
            ("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok!", "not a single number"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nok!", "too large"),
            ("SSH-2.0-OpenSSH", "not HTTP"),
            ("SSH-2.0-OpenSSH\r\n", "not HTTP"),
            ("HTTP/1.1 2000 x\r\n\r\n", "not HTTP"),
        ] {
            assert!(at_once(text).unwrap_err().contains(message), "{text:?}: {:?}", at_once(text));
            assert!(by_bytes(text).unwrap_err().contains(message), "{text:?}: {:?}", by_bytes(text));
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert!(at_once(&many).unwrap_err().contains("256 header lines"));
        let large = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(LARGEST_HEAD));
        assert!(at_once(&large).unwrap_err().contains("head is too large"));
    }
}
