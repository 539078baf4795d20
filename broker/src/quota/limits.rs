//! Which quota is whose.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use state::cluster::{CLIENT_ID, IP, Image, QuotaEntity, USER};

/// What is limited per user and client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Bytes per second that are produced.
    Produce,
    /// Bytes per second that are fetched.
    Fetch,
    /// Percent of a processor's time.
    Request,
    /// Partitions per second that are created and deleted (KIP-599).
    ControllerMutation,
}

/// Every one, in order.
pub(crate) const RESOURCES: [Resource; 4] =
    [Resource::Produce, Resource::Fetch, Resource::Request, Resource::ControllerMutation];

impl Resource {
    fn key(self) -> &'static str {
        match self {
            Resource::Produce => "producer_byte_rate",
            Resource::Fetch => "consumer_byte_rate",
            Resource::Request => "request_percentage",
            Resource::ControllerMutation => "controller_mutation_rate",
        }
    }
}

/// Of addresses.
const CONNECTION_RATE: &str = "connection_creation_rate";

/// Half of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Absent,
    Default,
    Named(Arc<str>),
}

impl Part {
    fn of(entity: &QuotaEntity, kind: &str) -> Part {
        match entity.0.get(kind) {
            None => Part::Absent,
            Some(None) => Part::Default,
            Some(Some(name)) => Part::Named(name.as_str().into()),
        }
    }
}

/// Who shares a limit: all connections of a client id, of a user, or of a client id of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Sharers {
    pub(crate) user: Option<Arc<str>>,
    pub(crate) client_id: Option<Arc<str>>,
}

/// All quotas there are, for looking up.
#[derive(Default)]
pub(super) struct Limits {
    /// In the order of [`RESOURCES`].
    tables: [HashMap<(Part, Part), f64>; RESOURCES.len()],
    by_ip: HashMap<IpAddr, f64>,
    of_other_ips: Option<f64>,
}

impl Limits {
    pub(super) fn of(image: &Image) -> Limits {
        let mut limits = Limits::default();
        for (entity, quotas) in image.all_quotas() {
            let parts = (Part::of(entity, USER), Part::of(entity, CLIENT_ID));
            for resource in RESOURCES {
                if let Some(limit) = quotas.get(resource.key()) {
                    limits.tables[resource as usize].insert(parts.clone(), limit.0);
                }
            }
            let rate = quotas.get(CONNECTION_RATE).map(|limit| limit.0);
            match (Part::of(entity, IP), rate) {
                (Part::Named(name), Some(rate)) => {
                    limits.by_ip.extend(name.parse::<IpAddr>().ok().map(|ip| (ip.to_canonical(), rate)));
                }
                (Part::Default, Some(rate)) => limits.of_other_ips = Some(rate),
                _ => {}
            }
        }
        limits
    }

    pub(super) fn has(&self, resource: Resource) -> bool {
        !self.tables[resource as usize].is_empty()
    }

    pub(super) fn has_connection_rates(&self) -> bool {
        !self.by_ip.is_empty() || self.of_other_ips.is_some()
    }

    /// Connections per second that an address may open.
    pub(super) fn connection_rate(&self, ip: IpAddr) -> Option<f64> {
        self.by_ip.get(&ip).copied().or(self.of_other_ips)
    }

    /// The limit of a client, the most specific there is, and with whom it shares it.
    ///
    /// Whoever gives no client id has no quota by it, not even the default.
    pub(super) fn find(&self, resource: Resource, user: &Arc<str>, client_id: &Arc<str>) -> Option<(Sharers, f64)> {
        let table = &self.tables[resource as usize];
        if table.is_empty() {
            return None;
        }
        let user_part = || Part::Named(Arc::clone(user));
        let client_part = || Part::Named(Arc::clone(client_id));
        let order = [
            (user_part(), client_part()),
            (user_part(), Part::Default),
            (user_part(), Part::Absent),
            (Part::Default, client_part()),
            (Part::Default, Part::Default),
            (Part::Default, Part::Absent),
            (Part::Absent, client_part()),
            (Part::Absent, Part::Default),
        ];
        let may_have = |parts: &&(Part, Part)| !client_id.is_empty() || parts.1 == Part::Absent;
        order.iter().filter(may_have).find_map(|parts| {
            let limit = table.get(parts)?;
            let shared = |part: &Part, name: &Arc<str>| (*part != Part::Absent).then(|| Arc::clone(name));
            Some((Sharers { user: shared(&parts.0, user), client_id: shared(&parts.1, client_id) }, *limit))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use state::cluster::{Command, QuotaAlteration, QuotaValue};

    use super::*;

    /// `user` and `client-id` of an entity: none, the default (`*`), or a name.
    fn entity(user: &str, client_id: &str) -> QuotaEntity {
        let name = |name: &str| (name != "*").then(|| name.to_owned());
        let parts = [(USER, user), (CLIENT_ID, client_id)].into_iter().filter(|(_, text)| !text.is_empty());
        QuotaEntity(parts.map(|(kind, text)| (kind.to_owned(), name(text))).collect())
    }

    fn set(image: &mut Image, entity: QuotaEntity, key: &str, limit: f64) {
        let changes = BTreeMap::from([(key.to_owned(), Some(QuotaValue(limit)))]);
        let applied = image.apply(&Command::AlterClientQuotas(vec![QuotaAlteration { entity, changes }]));
        applied.into_items().remove(0).unwrap();
    }

    fn found(image: &Image, user: &str, client_id: &str) -> Option<(Sharers, f64)> {
        Limits::of(image).find(Resource::Produce, &user.into(), &client_id.into())
    }

    #[test]
    fn the_most_specific_quota_is_in_force() {
        // From the least specific on, each takes over from those before it.
        let order = [
            ("", "*", None, Some("c")),
            ("", "c", None, Some("c")),
            ("*", "", Some("u"), None),
            ("*", "*", Some("u"), Some("c")),
            ("*", "c", Some("u"), Some("c")),
            ("u", "", Some("u"), None),
            ("u", "*", Some("u"), Some("c")),
            ("u", "c", Some("u"), Some("c")),
        ];
        let mut image = Image::default();
        assert_eq!(found(&image, "u", "c"), None);
        for (place, (user, client_id, shared_user, shared_client)) in order.into_iter().enumerate() {
            let limit = (place + 1) as f64;
            set(&mut image, entity(user, client_id), "producer_byte_rate", limit);
            let sharers = Sharers { user: shared_user.map(Arc::from), client_id: shared_client.map(Arc::from) };
            assert_eq!(found(&image, "u", "c"), Some((sharers, limit)), "{user}/{client_id}");
        }
        assert_eq!(found(&image, "u", "other").unwrap().1, 7.0);
        assert_eq!(found(&image, "other", "c").unwrap().1, 5.0);
        assert_eq!(found(&image, "other", "other").unwrap().1, 4.0);
        assert_eq!(Limits::of(&image).find(Resource::Fetch, &"u".into(), &"c".into()), None);
    }

    #[test]
    fn who_has_no_client_id_has_no_quota_by_it() {
        let mut image = Image::default();
        for (user, client_id) in [("", "*"), ("*", "*"), ("u", "*")] {
            set(&mut image, entity(user, client_id), "producer_byte_rate", 1.0);
        }
        assert_eq!(found(&image, "u", ""), None);
        set(&mut image, entity("*", ""), "producer_byte_rate", 2.0);
        assert_eq!(found(&image, "u", "").unwrap().1, 2.0);
    }

    #[test]
    fn an_address_has_its_own_rate_or_that_of_all_others() {
        let mut image = Image::default();
        let of = |name: Option<&str>| QuotaEntity(BTreeMap::from([(IP.to_owned(), name.map(str::to_owned))]));
        let (one, other): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        assert!(!Limits::of(&image).has_connection_rates());
        set(&mut image, of(Some("::ffff:127.0.0.1")), CONNECTION_RATE, 3.0);
        let rates = |image: &Image| (Limits::of(image).connection_rate(one), Limits::of(image).connection_rate(other));
        assert_eq!(rates(&image), (Some(3.0), None));
        set(&mut image, of(None), CONNECTION_RATE, 9.0);
        assert_eq!(rates(&image), (Some(3.0), Some(9.0)));
    }
}
