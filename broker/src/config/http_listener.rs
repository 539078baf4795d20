//! `ottla.http.listener`: where health and metrics are served.

use std::fmt;

use super::listeners::Listener;

/// What Prometheus, Kubernetes and people try first.
const DEFAULT_PORT: u16 = 8080;

/// Where to listen for HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpListener {
    /// A name or address; empty for every address of the machine.
    pub(crate) host: String,
    /// 0 for any free port.
    pub(crate) port: u16,
    /// Whether somebody asked for it, so that the broker must not start without it.
    pub(crate) is_explicit: bool,
}

impl fmt::Display for HttpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl HttpListener {
    /// The setting, or without one port 8080 beside the Kafka listener: any free port where that takes any, too.
    ///
    /// # Errors
    /// A sentence with the cure.
    pub(crate) fn resolve(setting: Option<&str>, kafka: Option<&Listener>) -> Result<Option<HttpListener>, String> {
        match (setting, kafka) {
            (Some(text), _) => parse(text),
            (None, Some(kafka)) => {
                let port = if kafka.port == 0 { 0 } else { DEFAULT_PORT };
                Ok(Some(HttpListener { host: kafka.host.clone(), port, is_explicit: false }))
            }
            (None, None) => Ok(None),
        }
    }
}

/// Reads `host:port`, `:port`, `port`, each also behind `http://`, and nothing or `none` for no listener.
pub(super) fn parse(text: &str) -> Result<Option<HttpListener>, String> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let legal = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
    let (whole, host) = (bracketed.is_some() || !host.contains(':'), bracketed.unwrap_or(host));
    match port.parse() {
        Ok(port) if whole && host.chars().all(legal) => {
            Ok(Some(HttpListener { host: host.into(), port, is_explicit: true }))
        }
        _ => Err(format!("{text} is not written as host:port; write none for no HTTP at all")),
    }
}

/// For the table of keys.
pub(super) fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Option<(String, u16)> {
        parse(text).unwrap().map(|listener| (listener.host, listener.port))
    }

    #[test]
    fn addresses_as_people_write_them() {
        assert_eq!(place("0.0.0.0:8080"), Some(("0.0.0.0".into(), 8080)));
        assert_eq!(place(":9308"), Some((String::new(), 9308)));
        assert_eq!(place("9308"), Some((String::new(), 9308)));
        assert_eq!(place("http://[::1]:0"), Some(("::1".into(), 0)));
        assert_eq!((place(""), place(" none ")), (None, None));
        for wrong in ["localhost", "::1:80", "a b:1", "host:70000", "[::1:80", "host:"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_default_is_beside_the_kafka_listener() {
        let kafka = |port| Listener { name: "A".into(), host: "127.0.0.1".into(), port, advertised: None };
        let default = |port| HttpListener::resolve(None, Some(&kafka(port))).unwrap().unwrap();
        assert_eq!(default(9092).to_string(), "127.0.0.1:8080");
        assert_eq!(default(0).to_string(), "127.0.0.1:0");
        assert!(!default(0).is_explicit);
        assert!(HttpListener::resolve(Some("none"), Some(&kafka(1))).unwrap().is_none());
    }
}
