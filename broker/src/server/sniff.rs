//! Recognising what speaks to the Kafka port when it is not Kafka.
//!
//! Read as a frame length, a TLS hello is 369 MB and `GET ` is 1.2 GB, so without this the only trace of the most
//! common set-up mistakes is "frame too large", and the client sees an EOF it cannot explain.

/// What the first four bytes of a connection look like, when they are not a frame length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stranger {
    Tls,
    Http,
}

/// Recognises a TLS record header or the start of an HTTP request line.
pub(crate) fn sniff(first: [u8; 4]) -> Option<Stranger> {
    match &first {
        // Handshake record, TLS 1.0 to 1.3 all write major version 3 here.
        [0x16, 0x03, ..] => Some(Stranger::Tls),
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"PRI " => Some(Stranger::Http),
        _ => None,
    }
}

impl Stranger {
    /// What to change, for the log line.
    pub(crate) fn cure(self) -> &'static str {
        match self {
            Stranger::Tls => {
                "the client speaks TLS to a plaintext listener: set security.protocol=PLAINTEXT (Dapr: authType: none, \
                 or disableTls: true) in the client"
            }
            Stranger::Http => {
                "the client speaks HTTP to the Kafka port: point it at the HTTP port of the service it wants"
            }
        }
    }

    /// What to answer before closing, for a person who looks at it with curl.
    pub(crate) fn farewell(self) -> &'static [u8] {
        match self {
            Stranger::Tls => b"",
            Stranger::Http => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 61\r\n\r\n\
                  This port speaks the Kafka protocol, not HTTP. Use a client.\n"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_told_from_frames() {
        assert_eq!(sniff([0x16, 0x03, 0x01, 0x02]), Some(Stranger::Tls));
        assert_eq!(sniff(*b"GET "), Some(Stranger::Http));
        assert_eq!(sniff(32_u32.to_be_bytes()), None);
        assert_eq!(sniff(104_857_600_u32.to_be_bytes()), None);
    }

    #[test]
    fn the_farewell_announces_its_own_length() {
        let text = std::str::from_utf8(Stranger::Http.farewell()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "body is {} bytes", body.len());
    }
}
