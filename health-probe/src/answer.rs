//! The parser of HTTP answers. Pure, and safe for any bytes that a server may send.

/// The maximum number of headers. An answer with more is refused: no health endpoint sends that many.
const HEADERS: usize = 64;

/// A complete HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) body: Vec<u8>,
}

/// Parses all bytes received until the server closed the connection. The request was HTTP/1.0, so the body is neither
/// chunked nor encoded.
///
/// # Errors
///
/// Returns an error if the bytes are not an HTTP answer, end too early, or are chunked nevertheless.
pub(crate) fn read(bytes: &[u8]) -> Result<Answer, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let body = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => &bytes[length..],
        Ok(httparse::Status::Partial) if bytes.is_empty() => return Err("the connection was closed without an answer"),
        Ok(httparse::Status::Partial) => return Err("the answer ended before its head was complete"),
        Err(_) => return Err("the answer is not HTTP"),
    };
    let header = |name: &str| head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if header("transfer-encoding").is_some() {
        return Err("the answer comes in chunks, which HTTP/1.0 does not know");
    }
    let length =
        header("content-length").and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok());
    let body = match length {
        Some(length) if body.len() < length => return Err("the answer ended before its body was complete"),
        Some(length) => &body[..length],
        None => body,
    };
    Ok(Answer { code: head.code.unwrap_or_default(), body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let good = |text: &str| read(text.as_bytes()).map(|it| (it.code, String::from_utf8(it.body).unwrap()));
        assert_eq!(good("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!"), Ok((200, "ok".to_owned())));
        assert_eq!(good("HTTP/1.0 503 x\r\n\r\nno"), Ok((503, "no".to_owned())));
        for (bytes, message) in [
            ("", "without an answer"),
            ("HTTP/1.1 200", "its head"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", "its body"),
            ("SSH-2.0-OpenSSH", "not HTTP"),
            ("HTTP/1.1 2000 x\r\n\r\n", "not HTTP"),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "chunks"),
        ] {
            assert!(read(bytes.as_bytes()).unwrap_err().contains(message), "{bytes:?}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert!(read(many.as_bytes()).is_err());
    }
}
