//! What a coordinator knows of topics, and what patterns match: input from outside.

use std::fmt;
use std::sync::Arc;

use protocol::Uuid;

use crate::cluster::Image;

/// The topics of the cluster at some moment, as whoever submits a request sees them. Two are equal if they are the
/// same image.
#[derive(Clone, Default)]
pub struct Topics(Arc<Image>);

impl Topics {
    /// The topics of an image.
    pub fn new(image: Arc<Image>) -> Topics {
        Topics(image)
    }

    /// Id and number of partitions of a topic.
    pub(crate) fn get(&self, name: &str) -> Option<(Uuid, usize)> {
        self.0.topic(name).map(|topic| (topic.id, topic.partitions.len()))
    }

    /// The name of a topic.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<&str> {
        self.0.topic_by_id(id).map(|topic| &*topic.name)
    }

    /// All names, ascending.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.topics().map(|topic| &topic.name)
    }
}

impl PartialEq for Topics {
    fn eq(&self, other: &Topics) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Topics {}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} topics", self.0.topic_count())
    }
}

/// Tells whether a topic's whole name matches a pattern.
pub type TopicMatcher = Box<dyn Fn(&str) -> bool>;

/// Makes a matcher of a regular expression in RE2's syntax. A function of its argument alone.
///
/// # Errors
/// What is wrong with the expression.
pub type PatternCompiler = fn(&str) -> Result<TopicMatcher, String>;
