//! Topics to create at start, as the wurstmeister image takes them: `KAFKA_CREATE_TOPICS=orders:3:1,log:1:1:compact`.

use state::cluster::check_topic_name;

/// A topic that should be there when the broker is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FirstTopic {
    pub(crate) name: String,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    pub(crate) cleanup_policy: Option<String>,
}

/// Reads `name:partitions:replicas[:cleanup.policy]`, several with any character of `separators` between them.
///
/// # Errors
/// A sentence that names the entry.
pub(crate) fn parse(text: &str, separators: Option<&str>) -> Result<Vec<FirstTopic>, String> {
    // How a Compose file writes a line feed for a shell to read.
    let separators = match separators {
        None | Some("") => ",",
        Some("$'\\n'") => "\n",
        Some(given) => given,
    };
    let entries = text.split(|c| separators.contains(c)).map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(parse_entry).collect()
}

fn parse_entry(entry: &str) -> Result<FirstTopic, String> {
    let malformed =
        |what: &str| format!("{entry}: {what}; write name:partitions:replicas or name:partitions:replicas:policy");
    let fields: Vec<_> = entry.split(':').map(str::trim).collect();
    let (name, partitions, replicas, policy) = match fields[..] {
        [name, partitions, replicas] => (name, partitions, replicas, None),
        [name, partitions, replicas, policy] => {
            (name, partitions, replicas, Some(policy).filter(|text| !text.is_empty()))
        }
        _ => return Err(malformed("is no topic")),
    };
    check_topic_name(name).map_err(|refusal| malformed(&refusal.message))?;
    let partitions = partitions.parse().ok().filter(|count| *count > 0);
    let replication_factor = replicas.parse().ok().filter(|count| *count > 0);
    Ok(FirstTopic {
        name: name.into(),
        partitions: partitions.ok_or_else(|| malformed("the number of partitions is not one"))?,
        replication_factor: replication_factor.ok_or_else(|| malformed("the number of replicas is not one"))?,
        cleanup_policy: policy.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, partitions: i32, cleanup_policy: Option<&str>) -> FirstTopic {
        let cleanup_policy = cleanup_policy.map(str::to_owned);
        FirstTopic { name: name.into(), partitions, replication_factor: 1, cleanup_policy }
    }

    #[test]
    fn topics_as_compose_files_write_them() {
        let both = vec![topic("orders", 3, None), topic("state", 1, Some("compact"))];
        assert_eq!(parse("orders:3:1,state:1:1:compact", None).as_ref(), Ok(&both));
        assert_eq!(parse(" orders:3:1 , state:1:1:compact,", None).as_ref(), Ok(&both));
        assert_eq!(parse("\norders:3:1\nstate:1:1:compact\n", Some("$'\\n'")).as_ref(), Ok(&both));
        assert_eq!(parse("orders:3:1;state:1:1:compact", Some(";")).as_ref(), Ok(&both));
        assert_eq!(parse("", None), Ok(vec![]));
    }

    #[test]
    fn what_is_no_topic_is_named() {
        for text in ["orders", "orders:3", "orders:x:1", "orders:0:1", "orders:1:0", "a b:1:1", "o:1:1:compact:x"] {
            let problem = parse(text, None).unwrap_err();
            assert!(problem.starts_with(&format!("{text}: ")), "{problem}");
        }
    }
}
