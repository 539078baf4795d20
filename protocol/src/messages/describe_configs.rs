//! DescribeConfigs: an admin client reads the configuration of topics, brokers, groups and client metrics, and where
//! each value comes from.

use crate::ErrorCode;
use crate::api::*;

api! {
    /// Reads the configuration of resources.
    DescribeConfigs = 32, versions 0..=4, flexible 4..;

    request DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool [since 1],
        include_documentation: bool [since 3],
    }

    response DescribeConfigsResponse {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    struct DescribeConfigsResource {
        /// 2 topic, 4 broker, 8 broker loggers, 16 client metrics, 32 group.
        resource_type: i8,
        resource_name: String,
        /// Null is all of them.
        configuration_keys: Option<Vec<String>> [nullable 0] = Some(Vec::new()),
    }

    struct DescribeConfigsResult {
        error_code: ErrorCode,
        error_message: Option<String> [nullable 0],
        resource_type: i8,
        resource_name: String,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    struct DescribeConfigsResourceResult {
        name: String,
        value: Option<String> [nullable 0],
        read_only: bool,
        is_default: bool [until 0],
        /// 1 topic, 2 one broker, 3 all brokers, 4 the broker's file, 5 default, 6 broker logger, 7 client metrics, 8
        /// group; 0 unknown.
        config_source: i8 [since 1] = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym> [since 1],
        /// 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password; 0 unknown.
        config_type: i8 [since 3],
        documentation: Option<String> [since 3, nullable 0],
    }

    struct DescribeConfigsSynonym {
        name: String [since 1],
        value: Option<String> [since 1, nullable 0],
        /// 1 topic, 2 one broker, 3 all brokers, 4 the broker's file, 5 default, 6 broker logger, 7 client metrics, 8
        /// group; 0 unknown.
        source: i8 [since 1],
    }
}
