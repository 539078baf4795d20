//! How many files a process may have open: thousands of connections and partitions want more than a shell gives.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process and those that it starts have as many as the system allows it, at least `wanted`. Answers a line of
/// advice where that is not to be had.
pub(crate) fn raise(wanted: u64) -> Option<String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let enough = maximum.is_none_or(|maximum| maximum >= wanted);
    let target = if enough { maximum } else { Some(wanted) };
    let raised = setrlimit(Resource::Nofile, Rlimit { current: target, maximum: target });
    if raised.is_err() {
        // More than the hard limit is for the superuser, and not everywhere.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let current = getrlimit(Resource::Nofile).current.or(current);
    let current = current.filter(|current| *current < wanted)?;
    Some(format!(
        "a process may have {current} files open here and what is asked for wants {wanted}: what fails for it is in the \
         report; `ulimit -Hn {wanted}` as the superuser, before it starts, helps"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_had_is_no_advice() {
        assert_eq!(raise(16), None);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
