//! The one table: a line per API, with its versions, how it runs, and its handler.
//!
//! ApiVersions, COMPAT.md and the decision what to do with a request all come from here, so an API cannot be
//! advertised without a handler, nor handled without being advertised.

use std::future::Future;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::api::Request;
use protocol::frame::{self, RequestHeader};
use protocol::messages::*;
use protocol::wire::Decoder;
use tracing::{debug, warn};

use crate::broker::Broker;
use crate::context::Context;
use crate::handlers;
use crate::metrics::{ApiStats, ClientLatency};
use crate::quota::{Meter, Throttle};
use crate::server::{ConnectionInfo, Frame};

/// An answer that waits, of whatever kind.
type Waits<R> = Pin<Box<dyn Future<Output = R> + Send>>;

/// What a handler that may wait says.
pub(crate) enum Later<R, W = Waits<R>> {
    /// The answer.
    Now(R),
    /// Its effects are ordered; the answer comes when something else has happened.
    Wait(W),
    /// The client expects no answer (produce with acks=0).
    Silent,
    /// The connection ends: the only way to tell a client that expects no answer of a failure.
    Close,
}

impl<R> Later<R> {
    /// An answer that waits for `future`.
    pub(crate) fn wait(future: impl Future<Output = R> + Send + 'static) -> Later<R> {
        Later::Wait(Box::pin(future))
    }
}

/// What a handler says that need not wait as a rule.
pub(crate) enum Handled<R, F> {
    /// Its effects are ordered.
    Known(Later<R>),
    /// They will be.
    Going(F),
}

/// What becomes of a frame.
pub(crate) enum Step {
    Reply(Vec<Bytes>),
    Wait(Pin<Box<dyn Future<Output = Vec<Bytes>> + Send>>),
    Silent,
    Close,
}

/// What becomes of a request: known, or in a while.
enum Started {
    Known(Step),
    Going(Pin<Box<dyn Future<Output = Step> + Send>>),
}

type Run = dyn Fn(Context, Bytes) -> Started + Send + Sync;

/// A row of the table.
pub(crate) struct Route {
    pub(crate) key: i16,
    pub(crate) name: &'static str,
    pub(crate) versions: RangeInclusive<i16>,
    pub(crate) stats: Arc<ApiStats>,
    run: Box<Run>,
}

/// The table, sorted by key.
pub(crate) static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes = vec![
        mostly_at_once::<ProduceRequest, _, _>(0..=13, handlers::produce::handle),
        at_once::<FetchRequest, _, _>(0..=18, handlers::fetch::handle),
        now::<ListOffsetsRequest, _, _>(0..=11, handlers::list_offsets::handle),
        now::<MetadataRequest, _, _>(0..=13, handlers::metadata::handle),
        later::<OffsetCommitRequest, _, _>(0..=10, handlers::offset_commit::handle),
        later::<OffsetFetchRequest, _, _>(0..=10, handlers::offset_fetch::handle),
        now::<FindCoordinatorRequest, _, _>(0..=6, handlers::find_coordinator::handle),
        later::<JoinGroupRequest, _, _>(0..=9, handlers::join_group::handle),
        later::<HeartbeatRequest, _, _>(0..=4, handlers::heartbeat::handle),
        later::<LeaveGroupRequest, _, _>(0..=5, handlers::leave_group::handle),
        later::<SyncGroupRequest, _, _>(0..=5, handlers::sync_group::handle),
        later::<DescribeGroupsRequest, _, _>(0..=6, handlers::describe_groups::handle),
        later::<ListGroupsRequest, _, _>(0..=5, handlers::list_groups::handle),
        now::<ApiVersionsRequest, _, _>(0..=4, handlers::api_versions::handle),
        now::<CreateTopicsRequest, _, _>(0..=7, handlers::create_topics::handle),
        now::<DeleteTopicsRequest, _, _>(0..=6, handlers::delete_topics::handle),
        now::<DeleteRecordsRequest, _, _>(0..=2, handlers::delete_records::handle),
        later::<InitProducerIdRequest, _, _>(0..=5, handlers::init_producer_id::handle),
        now::<OffsetForLeaderEpochRequest, _, _>(0..=4, handlers::offset_for_leader_epoch::handle),
        later::<AddPartitionsToTxnRequest, _, _>(0..=5, handlers::add_partitions_to_txn::handle),
        later::<AddOffsetsToTxnRequest, _, _>(0..=4, handlers::add_offsets_to_txn::handle),
        later::<EndTxnRequest, _, _>(0..=5, handlers::end_txn::handle),
        later::<WriteTxnMarkersRequest, _, _>(0..=2, handlers::write_txn_markers::handle),
        later::<TxnOffsetCommitRequest, _, _>(0..=5, handlers::txn_offset_commit::handle),
        now::<DescribeAclsRequest, _, _>(0..=3, handlers::acls::describe),
        now::<CreateAclsRequest, _, _>(0..=3, handlers::acls::create),
        now::<DeleteAclsRequest, _, _>(0..=3, handlers::acls::delete),
        now::<DescribeConfigsRequest, _, _>(0..=4, handlers::describe_configs::handle),
        now::<AlterConfigsRequest, _, _>(0..=2, handlers::alter_configs::handle),
        now::<AlterReplicaLogDirsRequest, _, _>(0..=2, handlers::alter_replica_log_dirs::handle),
        now::<DescribeLogDirsRequest, _, _>(0..=5, handlers::describe_log_dirs::handle),
        now::<CreatePartitionsRequest, _, _>(0..=3, handlers::create_partitions::handle),
        later::<DeleteGroupsRequest, _, _>(0..=2, handlers::delete_groups::handle),
        now::<ElectLeadersRequest, _, _>(0..=2, handlers::elect_leaders::handle),
        now::<IncrementalAlterConfigsRequest, _, _>(0..=1, handlers::incremental_alter_configs::handle),
        now::<AlterPartitionReassignmentsRequest, _, _>(0..=1, handlers::alter_partition_reassignments::handle),
        now::<ListPartitionReassignmentsRequest, _, _>(0..=0, handlers::list_partition_reassignments::handle),
        later::<OffsetDeleteRequest, _, _>(0..=0, handlers::offset_delete::handle),
        now::<DescribeQuorumRequest, _, _>(0..=2, handlers::describe_quorum::handle),
        now::<UpdateFeaturesRequest, _, _>(0..=2, handlers::update_features::handle),
        now::<DescribeProducersRequest, _, _>(0..=0, handlers::describe_producers::handle),
        later::<DescribeTransactionsRequest, _, _>(0..=0, handlers::describe_transactions::handle),
        later::<ListTransactionsRequest, _, _>(0..=2, handlers::list_transactions::handle),
        now::<DescribeClientQuotasRequest, _, _>(0..=1, handlers::describe_client_quotas::handle),
        now::<AlterClientQuotasRequest, _, _>(0..=1, handlers::alter_client_quotas::handle),
        now::<DescribeUserScramCredentialsRequest, _, _>(0..=0, handlers::describe_user_scram_credentials::handle),
        now::<AlterUserScramCredentialsRequest, _, _>(0..=0, handlers::alter_user_scram_credentials::handle),
        now::<DescribeClusterRequest, _, _>(0..=2, handlers::describe_cluster::handle),
        now::<UnregisterBrokerRequest, _, _>(0..=0, handlers::unregister_broker::handle),
        now::<GetTelemetrySubscriptionsRequest, _, _>(0..=0, handlers::get_telemetry_subscriptions::handle),
        now::<PushTelemetryRequest, _, _>(0..=0, handlers::push_telemetry::handle),
        now::<ListConfigResourcesRequest, _, _>(0..=1, handlers::list_config_resources::handle),
        later::<ConsumerGroupHeartbeatRequest, _, _>(0..=1, handlers::consumer_group_heartbeat::handle),
        later::<ConsumerGroupDescribeRequest, _, _>(0..=1, handlers::consumer_group_describe::handle),
        now::<DescribeTopicPartitionsRequest, _, _>(0..=0, handlers::describe_topic_partitions::handle),
    ];
    routes.sort_by_key(|route| route.key);
    routes
});

/// An API whose handler answers before the next request of the connection starts.
fn now<R, H, F>(versions: RangeInclusive<i16>, handler: H) -> Route
where
    R: Request + Send + 'static,
    R::Response: Send + 'static,
    H: Fn(Context, R) -> F + Send + Sync + Copy + 'static,
    F: Future<Output = R::Response> + Send + 'static,
{
    later::<R, _, _>(versions, move |context, request| {
        let answer = handler(context, request);
        async move { Later::Now(answer.await) }
    })
}

/// An API whose handler orders its effects first, and may then wait while later requests start.
fn later<R, H, F>(versions: RangeInclusive<i16>, handler: H) -> Route
where
    R: Request + Send + 'static,
    R::Response: Send + 'static,
    H: Fn(Context, R) -> F + Send + Sync + Copy + 'static,
    F: Future<Output = Later<R::Response>> + Send + 'static,
{
    route::<R>(versions, move |stats, context, body| {
        let stats = Arc::clone(stats);
        Started::Going(Box::pin(async move {
            let Some((call, request)) = Call::begin::<R>(stats, &context, body) else { return Step::Close };
            let answer = handler(context, request).await;
            call.goes_on::<R, _>(answer)
        }))
    })
}

/// The same when ordering its effects takes no time, which spares a request its own future.
fn at_once<R, H, W>(versions: RangeInclusive<i16>, handler: H) -> Route
where
    R: Request + Send + 'static,
    R::Response: Send + 'static,
    H: Fn(Context, R) -> Later<R::Response, W> + Send + Sync + Copy + 'static,
    W: Future<Output = R::Response> + Send + 'static,
{
    route::<R>(versions, move |stats, context, body| {
        let begun = Call::begin::<R>(Arc::clone(stats), &context, body);
        Started::Known(match begun {
            Some((call, request)) => call.goes_on::<R, _>(handler(context, request)),
            None => Step::Close,
        })
    })
}

/// The same when it takes no time as a rule.
fn mostly_at_once<R, H, F>(versions: RangeInclusive<i16>, handler: H) -> Route
where
    R: Request + Send + 'static,
    R::Response: Send + 'static,
    H: Fn(Context, R) -> Handled<R::Response, F> + Send + Sync + Copy + 'static,
    F: Future<Output = Later<R::Response>> + Send + 'static,
{
    route::<R>(versions, move |stats, context, body| {
        let Some((call, request)) = Call::begin::<R>(Arc::clone(stats), &context, body) else {
            return Started::Known(Step::Close);
        };
        match handler(context, request) {
            Handled::Known(answer) => Started::Known(call.goes_on::<R, _>(answer)),
            Handled::Going(going) => Started::Going(Box::pin(async move { call.goes_on::<R, _>(going.await) })),
        }
    })
}

fn route<R: Request>(
    versions: RangeInclusive<i16>,
    run: impl Fn(&Arc<ApiStats>, Context, Bytes) -> Started + Send + Sync + 'static,
) -> Route {
    let stats = ApiStats::new(&versions);
    let counted = Arc::clone(&stats);
    let run = Box::new(move |context: Context, body: Bytes| run(&counted, context, body));
    Route { key: R::KEY, name: R::NAME, versions, stats, run }
}

/// A request on its way, as it is counted and timed.
struct Call {
    stats: Arc<ApiStats>,
    begun: Instant,
    producer: Option<Arc<ClientLatency>>,
    /// While anybody has quotas.
    throttle: Option<Box<Throttle>>,
    version: i16,
    correlation_id: i32,
}

impl Call {
    /// Reads the request. `None` when it cannot be read.
    fn begin<R: Request>(stats: Arc<ApiStats>, context: &Context, body: Bytes) -> Option<(Call, R)> {
        let begun = Instant::now();
        let producer = (R::KEY == ProduceRequest::KEY).then(|| context.producer());
        let (version, correlation_id) = (context.version, context.correlation_id);
        match R::decode(&mut Decoder::new(body), version) {
            Ok(request) => {
                stats.came(version);
                let throttle = Throttle::of::<R>(context);
                Some((Call { stats, begun, producer, throttle, version, correlation_id }, request))
            }
            Err(error) => {
                let (client, client_id) = (context.connection.peer, &*context.client_id);
                warn!(%client, client_id, api = R::NAME, version, %error, "connection closed: a request could not be read; the client and this broker disagree about its layout");
                None
            }
        }
    }

    /// Its effects are ordered.
    fn goes_on<R, W>(self, answer: Later<R::Response, W>) -> Step
    where
        R: Request,
        R::Response: Send + 'static,
        W: Future<Output = R::Response> + Send + 'static,
    {
        let local = self.begun.elapsed();
        let pending = match answer {
            Later::Wait(pending) => pending,
            answer => {
                self.stats.answered(local);
                timed(self.producer.as_ref(), local);
                return match answer {
                    Later::Now(response) => Step::Reply(self.encode::<R>(response)),
                    Later::Silent => Step::Silent,
                    Later::Close | Later::Wait(_) => Step::Close,
                };
            }
        };
        let waiting = self.stats.waits(local);
        Step::Wait(Box::pin(async move {
            let response = pending.await;
            let answer = self.encode::<R>(response);
            let total = self.begun.elapsed();
            waiting.answered(total, total.saturating_sub(local));
            timed(self.producer.as_ref(), total);
            answer
        }))
    }

    fn encode<R: Request>(&self, mut response: R::Response) -> Vec<Bytes> {
        if let Some(throttle) = &self.throttle {
            throttle.tell(&mut response);
        }
        self.stats.answers(&response);
        frame::encode_response(R::KEY, self.version, self.correlation_id, &response)
    }
}

/// Tells the producer's client id how long its request took, if it was a producer's.
fn timed(producer: Option<&Arc<ClientLatency>>, total: Duration) {
    if let Some(producer) = producer {
        producer.record(total);
    }
}

/// Starts one request. Returns when its effects are ordered before those of the next.
pub(crate) async fn start(broker: &Arc<Broker>, connection: &Arc<ConnectionInfo>, frame: Frame) -> Step {
    let (client, buffer_bytes, request_bytes) = (connection.peer, frame.buffer_bytes, frame.bytes.len());
    let (header, body) = match RequestHeader::decode_known(frame.bytes, connection.client_id.get()) {
        Ok(parsed) => parsed,
        Err(error) => {
            warn!(%client, %error, "connection closed: a request header could not be read; is this a Kafka client?");
            return Step::Close;
        }
    };
    let (key, version, correlation_id) = (header.api_key, header.api_version, header.correlation_id);
    let route = ROUTES.binary_search_by_key(&key, |route| route.key).ok().map(|index| &ROUTES[index]);
    let context = Context::new(broker, connection, header, buffer_bytes, request_bytes);
    match route {
        Some(route) if route.versions.contains(&version) => {
            debug!(%client, api = route.name, version, correlation_id, "request");
            let step = match Meter::of(&context) {
                Some(meter) => Box::pin(metered(route, meter, context, body)).await,
                None => match (route.run)(context, body) {
                    Started::Known(step) => step,
                    Started::Going(going) => going.await,
                },
            };
            drop(frame.permit);
            step
        }
        // The one request that is answered in any version, because its answer is how the versions are learned.
        Some(_) if key == ApiVersionsRequest::KEY => Step::Reply(handlers::api_versions::unsupported(&context)),
        Some(route) => {
            let (api, client_id, supported) = (route.name, &*context.client_id, format!("{:?}", route.versions));
            warn!(%client, client_id, api, version, supported, "connection closed: this version of the API is not served; use a client release that asks ApiVersions, or upgrade Ottla");
            Step::Close
        }
        None => {
            let (api, client_id) = (api_name(key), &*context.client_id);
            warn!(%client, client_id, key, api, version, "connection closed: this API is not served; upgrade Ottla, or switch off the client's feature that needs it");
            Step::Close
        }
    }
}

/// The same while its client's time is limited.
async fn metered(route: &Route, mut meter: Meter, context: Context, body: Bytes) -> Step {
    let step = match meter.time(|| (route.run)(context, body)) {
        Started::Known(step) => step,
        Started::Going(going) => meter.drive(going).await,
    };
    match step {
        Step::Wait(pending) => Step::Wait(Box::pin(async move { meter.drive(pending).await })),
        step => step,
    }
}
