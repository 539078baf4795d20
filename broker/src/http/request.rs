//! The head of an HTTP request, as far as we need it.

/// A request line and header lines larger than this are refused, bytes.
pub(super) const HEAD_MAX_BYTES: usize = 8 * 1024;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Without the query.
    pub(super) path: &'a str,
    /// Whether the client wants to ask again on this connection, and understands chunks.
    pub(super) is_1_1: bool,
    pub(super) close: bool,
    /// Whether a body follows, which no page here takes.
    pub(super) has_body: bool,
}

/// Where the head ends, if all of it is there: the length with the empty line.
pub(super) fn head_length(bytes: &[u8]) -> Option<usize> {
    // Tolerates bare line feeds, as RFC 9112 allows; whoever types into netcat sends those.
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let mut line_start = 0;
    for end in ends {
        let line = &bytes[line_start..end];
        if line_start > 0 && (line.is_empty() || line == b"\r") {
            return Some(end + 1);
        }
        line_start = end + 1;
    }
    None
}

/// Reads a whole head.
///
/// # Errors
/// When it is not HTTP/1.0 or 1.1.
pub(super) fn parse(head: &[u8]) -> Result<Request<'_>, &'static str> {
    let head = std::str::from_utf8(head).map_err(|_| "the request is not text")?;
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the request line is not METHOD PATH HTTP/1.1");
    };
    let is_1_1 = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err("only HTTP/1.0 and HTTP/1.1 are spoken here"),
    };
    // Proxies send the whole address.
    let path = target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut request = Request { method, path, is_1_1, close: !is_1_1, has_body: false };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or("a header line has no colon")?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "connection" => request.close |= value.to_ascii_lowercase().contains("close"),
            "content-length" => request.has_body |= value != "0",
            "transfer-encoding" => request.has_body = true,
            _ => {}
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_an_empty_line() {
        assert_eq!(head_length(b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest"), Some(24));
        assert_eq!(head_length(b"GET / HTTP/1.0\n\n"), Some(16));
        assert_eq!(head_length(b"GET / HTTP/1.1\r\nA: b\r\n"), None);
        assert_eq!(head_length(b"\r\n"), None);
    }

    #[test]
    fn what_clients_send() {
        let request = parse(b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").unwrap();
        assert_eq!((request.method, request.path, request.is_1_1), ("GET", "/metrics", true));
        assert!(request.close && !request.has_body);
        let request = parse(b"HEAD http://a:8080/livez HTTP/1.0\nContent-Length: 3\n\n").unwrap();
        assert_eq!((request.method, request.path), ("HEAD", "/livez"));
        assert!(request.close && request.has_body && !request.is_1_1);
        assert_eq!(parse(b"GET http://a HTTP/1.1\r\n\r\n").unwrap().path, "/");
    }

    #[test]
    fn what_nobody_should_send() {
        for wrong in [
            &b"GET /\r\n\r\n"[..],
            b"GET / HTTP/2\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"\xff / HTTP/1.1\r\n\r\n",
            b"\r\n\r\n",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
