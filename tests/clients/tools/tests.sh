# The tests; each runs in a directory of its own, with errexit on. A tool's streams are left in the files out and err.

fresh() { printf '%s-%08x' "$1" $((RANDOM * 65536 + RANDOM)); }

# tool NAME ARGS...: must exit with 0 and log nothing above INFO.
tool() {
  run_tool 0 "$@"
  if grep -E ' (WARN|ERROR|FATAL) ' err; then
    echo "kafka-$1 logged trouble"
    return 1
  fi
}

# refused NAME ARGS...: must exit with 1; what it logs is the test's business.
refused() { run_tool 1 "$@"; }

run_tool() {
  local wanted=$1 name=$2 code=0
  shift 2
  timeout 60 "$xtask" oracle tool "$name" --bootstrap-server "$broker" "$@" >out 2>err || code=$?
  if [ $code -ne "$wanted" ]; then
    printf 'kafka-%s %s: exit code %s, not %s\n' "$name" "$*" "$code" "$wanted"
    cat out err
    return 1
  fi
}

# A broker without read-your-writes needs a moment after each change.
settle() { sleep "$(printf '%d.%03d' $((${SETTLE_MS:-0} / 1000)) $((${SETTLE_MS:-0} % 1000)))"; }

prints() { # PATTERN: a line of out matches the extended regular expression as a whole
  if ! grep -qxE "$1" out; then
    printf 'no line "%s" in\n' "$1"
    cat out err
    return 1
  fi
}

prints_no() {
  if grep -E "$1" out; then
    printf 'a line "%s" too many\n' "$1"
    return 1
  fi
}

logs() {
  if ! grep -qE "$1" err; then
    printf 'no line "%s" on stderr:\n' "$1"
    cat err
    return 1
  fi
}

equals() {
  if [ "$1" != "$2" ]; then
    printf 'expected\n%s\ngot\n%s\n' "$1" "$2"
    return 1
  fi
}

create() { # TOPIC PARTITIONS [ARGS...]
  tool topics --create --topic "$1" --partitions "$2" --replication-factor 1 "${@:3}"
  settle
}

produce() { # TOPIC, lines of key:value on stdin
  tool console-producer --topic "$1" --reader-property parse.key=true --reader-property key.separator=:
}

tab=$'\t'

test_topics() {
  local topic
  topic=$(fresh topic)
  create "$topic" 3 --config retention.ms=3600000
  prints "Created topic $topic\."
  tool topics --list
  prints "$topic"
  tool topics --describe --topic "$topic"
  prints "Topic: $topic${tab}TopicId: [A-Za-z0-9_-]{22}${tab}PartitionCount: 3${tab}ReplicationFactor: 1${tab}Configs: .*retention\.ms=3600000.*"
  prints "${tab}Topic: $topic${tab}Partition: 2${tab}Leader: ([0-9]+)${tab}Replicas: \1${tab}Isr: \1(${tab}.*)?"
  tool topics --alter --topic "$topic" --partitions 5
  settle
  tool topics --describe --topic "$topic"
  prints ".*${tab}PartitionCount: 5${tab}.*"
  tool topics --describe --topic "$topic" --under-replicated-partitions
  equals "" "$(cat out)"
  tool topics --delete --topic "$topic"
  settle
  tool topics --list
  prints_no "$topic"
}

test_topics_refusals() {
  local topic
  topic=$(fresh topic)
  create "$topic" 1
  refused topics --create --topic "$topic"
  prints "Error while executing topic command : Topic '$topic' already exists\."
  tool topics --create --topic "$topic" --if-not-exists
  refused topics --describe --topic "$(fresh absent)"
  prints "Error while executing topic command : Topic 'absent-[0-9a-f]+' does not exist as expected"
  refused topics --create --topic "$(fresh topic)" --replication-factor 3
  prints "Error while executing topic command : .*[Rr]eplication factor.*"
  refused topics --create --topic "$(fresh topic)" --config cleanup.policy=burn
  prints "Error while executing topic command : .*burn.*cleanup.policy.*"
}

test_console_producer_and_consumer() {
  local topic
  topic=$(fresh console)
  create "$topic" 1
  printf 'a:one\nb:two\nc:three\n' | produce "$topic"
  tool console-consumer --topic "$topic" --from-beginning --max-messages 3 --formatter-property print.key=true \
    --formatter-property print.offset=true --formatter-property print.partition=true
  equals "Partition:0${tab}Offset:0${tab}a${tab}one
Partition:0${tab}Offset:1${tab}b${tab}two
Partition:0${tab}Offset:2${tab}c${tab}three" "$(cat out)"
  logs "^Processed a total of 3 messages"
  tool console-consumer --topic "$topic" --partition 0 --offset 1 --max-messages 1
  equals two "$(cat out)"
}

test_console_codecs_and_headers() {
  local topic codec
  topic=$(fresh console)
  create "$topic" 1
  for codec in gzip zstd; do
    echo "$codec" | tool console-producer --topic "$topic" --compression-codec "$codec"
  done
  printf 'colour:blue,size:3\tk\tv\n' | tool console-producer --topic "$topic" --reader-property parse.key=true \
    --reader-property parse.headers=true --request-required-acks 1
  tool console-consumer --topic "$topic" --from-beginning --max-messages 3 --formatter-property print.headers=true \
    --formatter-property print.timestamp=true --isolation-level read_committed
  prints "CreateTime:[0-9]{13}${tab}NO_HEADERS${tab}gzip"
  prints "CreateTime:[0-9]{13}${tab}NO_HEADERS${tab}zstd"
  prints "CreateTime:[0-9]{13}${tab}colour:blue,size:3${tab}v"
}

test_consumer_groups() {
  local topic group
  topic=$(fresh groups) group=$(fresh group)
  create "$topic" 2
  printf 'a:1\nb:2\nc:3\n' | produce "$topic"
  tool console-consumer --topic "$topic" --from-beginning --max-messages 3 --group "$group"
  tool consumer-groups --list
  prints "$group"
  tool consumer-groups --describe --group "$group"
  logs "Consumer group '$group' has no active members\."
  prints "GROUP +TOPIC +PARTITION +CURRENT-OFFSET +LOG-END-OFFSET +LAG +CONSUMER-ID +HOST +CLIENT-ID *"
  prints "$group +$topic +0 +([0-9]+) +\1 +0 +- +- +- *"
  tool consumer-groups --describe --group "$group" --state
  prints "$group +[^ ]+:[0-9]+ +\([0-9]+\) +(- +)?Empty +0 *"
  tool consumer-groups --group "$group" --topic "$topic" --reset-offsets --to-earliest --dry-run
  prints "$group +$topic +0 +0 *"
  tool consumer-groups --group "$group" --topic "$topic" --reset-offsets --to-earliest --execute
  prints "$group +$topic +1 +0 *"
  tool consumer-groups --group "$group" --topic "$topic:0" --reset-offsets --shift-by 1 --execute --export
  prints "\"?$topic\"?,0,1"
  tool consumer-groups --group "$group" --topic "$topic" --delete-offsets
  prints "$topic +0 +Successful *"
}

test_consumer_group_with_a_member() {
  local topic group consumer
  topic=$(fresh member) group=$(fresh group)
  create "$topic" 1
  echo a:1 | produce "$topic"
  "$xtask" oracle tool console-consumer --bootstrap-server "$broker" --topic "$topic" --from-beginning --group "$group" \
    >consumed 2>consumer.log &
  consumer=$!
  local tries=0
  until [ -s consumed ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { echo "nothing consumed"; cat consumer.log; return 1; }
    sleep 0.1
  done
  tool consumer-groups --describe --group "$group" --members --verbose
  prints "$group +console-consumer-[^ ]+ +/127\.0\.0\.1 +console-consumer +1 +.*$topic.*"
  run_tool 0 consumer-groups --delete --group "$group" # it tells of the failure and exits with 0
  prints "\* Group '$group' could not be deleted due to: .*GroupNotEmptyException.*"
  kill "$(pgrep -P $consumer)"
  wait $consumer || true
  tool consumer-groups --delete --group "$group"
  prints "Deletion of requested consumer groups \('$group'\) was successful\."
  tool consumer-groups --list
  prints_no "$group"
}

test_configs() {
  local topic
  topic=$(fresh configs)
  create "$topic" 1
  tool configs --alter --entity-type topics --entity-name "$topic" --add-config 'cleanup.policy=[compact,delete],retention.ms=500000'
  prints "Completed updating config for topic $topic\."
  settle
  tool configs --describe --entity-type topics --entity-name "$topic"
  prints "Dynamic configs for topic $topic are:"
  prints "  cleanup\.policy=compact,delete sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:cleanup\.policy=compact,delete, DEFAULT_CONFIG:log\.cleanup\.policy=delete\}"
  prints "  retention\.ms=500000 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:retention\.ms=500000.*\}"
  tool configs --alter --entity-type topics --entity-name "$topic" --delete-config retention.ms
  settle
  tool configs --describe --entity-type topics --entity-name "$topic" --all
  prints "All configs for topic $topic are:"
  prints "  retention\.ms=604800000 sensitive=false synonyms=\{.*\}"
  refused configs --alter --entity-type topics --entity-name "$topic" --add-config retention.ms=soon
  grep -q "retention.ms" out err
}

test_client_metrics() {
  local name
  name=$(fresh subscription)
  tool client-metrics --alter --name "$name" --metrics org.apache.kafka.producer. --interval 5000 --match 'client_id=a.*,client_software_name=java'
  prints "Altered client metrics config for $name\."
  settle
  tool client-metrics --list
  prints "$name"
  tool client-metrics --describe --name "$name"
  prints "Client metrics configs for $name are:"
  prints "  interval\.ms=5000"
  prints "  metrics=org\.apache\.kafka\.producer\."
  prints "  match=client_id=a\.\*,client_software_name=java"
  tool configs --describe --entity-type client-metrics --entity-name "$name"
  prints "Dynamic configs for client-metric $name are:"
  prints "  interval\.ms=5000 sensitive=false synonyms=\{DYNAMIC_CLIENT_METRICS_CONFIG:interval\.ms=5000\}"
  tool configs --alter --entity-type client-metrics --entity-name "$name" --add-config interval.ms=1000
  settle
  refused client-metrics --alter --name "$name" --interval 99
  prints "Error while executing client metrics command : .*interval must be between 100 and 3600000 \(1 hour\)"
  refused client-metrics --alter --name "$name" --match user=me
  prints "Error while executing client metrics command : Illegal client matching pattern: user=me"
  tool client-metrics --delete --name "$name"
  prints "Deleted client metrics config for $name\."
  settle
  tool client-metrics --list
  prints_no "$name"
  tool client-metrics --alter --generate-name --metrics a
  prints 'Altered client metrics config for [A-Za-z0-9_-]{22}\.'
  name=$(sed -n 's/^Altered client metrics config for \(.*\)\.$/\1/p' out)
  tool client-metrics --delete --name "$name"
}

# What Kafka's own producer measures of itself arrives, at a broker that was started here; Kafka needs a plug-in for that.
# It produces until that is seen: what a push holds that came too early is lost, on a busy machine.
test_client_metrics_are_pushed() {
  local topic name number total
  [ -n "$metrics_http" ] || return 0
  topic=$(fresh pushed)
  name=$(fresh subscription)
  create "$topic" 1
  tool client-metrics --alter --name "$name" --metrics org.apache.kafka.producer. --interval 500 --match "client_id=$name"
  for number in $(seq 60); do
    echo "k:$number"
    sleep 0.5
    total=$(metrics_page | sed -n "s/^ottla_client_producer_record_send_total{client_id=\"$name\",.*} //p")
    if [ "${total:-0}" -ge 3 ]; then break; fi
  done | tool console-producer --topic "$topic" --reader-property parse.key=true --reader-property key.separator=: \
    --command-property client.id="$name"
  metrics_page >page
  grep -E "^ottla_client_producer_record_send_total\{client_id=\"$name\",client_instance_id=\"[A-Za-z0-9_-]{22}\"\} [1-9][0-9]*$" page
  grep -E "^ottla_client_producer_topic_record_send_total\{client_id=\"$name\",client_instance_id=\"[A-Za-z0-9_-]{22}\",topic=\"$topic\"\} [1-9][0-9]*$" page
  grep -E "^ottla_client_producer_buffer_total_bytes\{client_id=\"$name\",.*\} 33554432$" page
  grep -qx "# TYPE ottla_client_producer_record_send_total counter" page
  tool client-metrics --delete --name "$name"
}

metrics_page() {
  exec 3<>"/dev/tcp/127.0.0.1/${metrics_http#*:}"
  printf 'GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$metrics_http" >&3
  cat <&3
  exec 3>&-
}

test_quotas() {
  local client
  client=$(fresh client)
  tool configs --alter --entity-type clients --entity-name "$client" --add-config producer_byte_rate=1000000000
  prints "Completed updating config for client $client\."
  tool configs --alter --entity-type users --entity-default --add-config consumer_byte_rate=1000000000
  prints "Completed updating default config for users in the cluster\."
  tool configs --alter --entity-type ips --entity-name 192.0.2.1 --add-config connection_creation_rate=100
  settle
  tool configs --describe --entity-type clients --entity-name "$client"
  prints "Quota configs for client-id '$client' are producer_byte_rate=1\.0E9"
  tool configs --describe --entity-type users
  prints "Quota configs for the default user-principal are consumer_byte_rate=1\.0E9"
  tool configs --describe --entity-type ips
  prints "Quota configs for ip '192\.0\.2\.1' are connection_creation_rate=100\.0"
  tool configs --alter --entity-type users --entity-default --delete-config consumer_byte_rate
  tool configs --alter --entity-type ips --entity-name 192.0.2.1 --delete-config connection_creation_rate
  refused configs --alter --entity-type clients --entity-name "$client" --add-config producer_byte_rate=0
  grep -q "producer_byte_rate" out err
}

test_broker_configs() {
  tool configs --describe --entity-type brokers --entity-name 1 --all
  prints "  num\.partitions=1 sensitive=false synonyms=\{.*\}"
  prints "  log\.retention\.hours=168 .*"
}

test_get_offsets() {
  local topic
  topic=$(fresh offsets)
  create "$topic" 2
  printf 'a:1\nb:2\nc:3\nd:4\n' | produce "$topic"
  tool get-offsets --topic "$topic"
  equals 4 "$(awk -F: '{sum += $3} END {print sum}' out)"
  prints "$topic:0:[0-9]+"
  tool get-offsets --topic "$topic" --time earliest
  equals "$topic:0:0
$topic:1:0" "$(cat out)"
  tool get-offsets --topic "$topic" --time max-timestamp
  equals 2 "$(wc -l <out)"
  tool get-offsets --topic-partitions "$topic:1" --time 1
  equals 1 "$(wc -l <out)"
}

test_delete_records() {
  local topic
  topic=$(fresh delete)
  create "$topic" 1
  printf 'a:1\nb:2\nc:3\n' | produce "$topic"
  echo '{"partitions":[{"topic":"'"$topic"'","partition":0,"offset":2}],"version":1}' >offsets.json
  tool delete-records --offset-json-file offsets.json
  prints "partition: $topic-0${tab}low_watermark: 2"
  tool get-offsets --topic "$topic" --time earliest
  equals "$topic:0:2" "$(cat out)"
  tool console-consumer --topic "$topic" --from-beginning --max-messages 1
  equals 3 "$(cat out)"
}

test_log_dirs() {
  local topic
  topic=$(fresh dirs)
  create "$topic" 1
  echo a:1 | produce "$topic"
  tool log-dirs --describe --topic-list "$topic"
  prints "Received log directory information from brokers [0-9]+"
  prints "\{.*\"logDirs\":\[\{.*\"partition\":\"$topic-0\",\"size\":[1-9][0-9]*,\"offsetLag\":0,\"isFuture\":false.*"
  prints ".*\"error\":null.*"
}

test_broker_api_versions() {
  tool broker-api-versions
  prints "$broker \(id: [0-9]+ rack: null( isFenced: false)?\) -> \("
  prints "${tab}Produce\(0\): 0 to [0-9]+ \[usable: [0-9]+\],"
  prints "${tab}ApiVersions\(18\): 0 to [0-9]+ \[usable: [0-9]+\],"
  prints "${tab}Metadata\(3\): 0 to [0-9]+ \[usable: [0-9]+\],"
  prints "\)"
}

test_perf_tests() {
  local topic
  topic=$(fresh perf)
  create "$topic" 1
  local server=(--producer-props "bootstrap.servers=$broker")
  timeout 60 "$xtask" oracle tool producer-perf-test --topic "$topic" --num-records 20000 --record-size 200 --throughput -1 \
    "${server[@]}" acks=all compression.type=lz4 >out 2>err
  prints "20000 records sent, [0-9.]+ records/sec \([0-9.]+ MB/sec\), [0-9.]+ ms avg latency, .*99\.9th\."
  tool consumer-perf-test --topic "$topic" --num-records 20000
  prints "start\.time, end\.time, data\.consumed\.in\.MB, MB\.sec, data\.consumed\.in\.nMsg, .*"
  prints "20[0-9-]+ [0-9:]+, 20[0-9-]+ [0-9:]+, 3\.[0-9]+, [0-9.]+, 20000, .*"
}

test_verifiable_producer_and_consumer() {
  local topic
  topic=$(fresh verifiable)
  create "$topic" 1
  tool verifiable-producer --topic "$topic" --max-messages 50 --throughput 1000
  prints ".*\"name\":\"tool_data\",\"sent\":50,\"acked\":50,.*"
  equals 50 "$(grep -c producer_send_success out)"
  tool verifiable-consumer --topic "$topic" --group-id "$(fresh group)" --max-messages 50 --reset-policy earliest
  prints ".*\"name\":\"records_consumed\",\"count\":[0-9]+,.*"
  prints ".*\"name\":\"offsets_committed\",.*\"offset\":50.*\"success\":true.*"
}

# leave_open TOPIC ID: a producer that keeps a transaction open, whose process is in $producer; out tells of the transaction.
leave_open() {
  local tries=0
  "$xtask" oracle tool producer-perf-test --topic "$1" --num-records 100000 --record-size 10 --throughput 20 \
    --transactional-id "$2" --transaction-duration-ms 600000 --reporting-interval 60000 \
    --bootstrap-server "$broker" --command-property linger.ms=0 >producer.log 2>&1 &
  producer=$!
  until tool transactions describe --transactional-id "$2" 2>/dev/null >described && grep -q "$1-0" out; do
    tries=$((tries + 1))
    [ $tries -lt 30 ] || { echo "no transaction"; cat described producer.log; return 1; }
    sleep 0.2
  done
  tool transactions describe --transactional-id "$2"
}

stop_producer() {
  pkill -KILL -P "$producer" || true
  wait "$producer" 2>/dev/null || true
}

test_transactions() {
  local topic id producer
  topic=$(fresh transactions) id=$(fresh id)
  create "$topic" 1
  leave_open "$topic" "$id"
  stop_producer
  prints "CoordinatorId *${tab}TransactionalId *${tab}ProducerId *${tab}ProducerEpoch *${tab}TransactionState *${tab}TransactionTimeoutMs *${tab}CurrentTransactionStartTimeMs *${tab}TransactionDurationMs *${tab}TopicPartitions *${tab}"
  prints "[0-9]+ *${tab}$id *${tab}[0-9]+ *${tab}[0-9]+ *${tab}Ongoing *${tab}[0-9]+ *${tab}[0-9]{13} *${tab}[0-9]+ *${tab}$topic-0 *${tab}"
  tool transactions list
  prints "$id *${tab}[0-9]+ *${tab}[0-9]+ *${tab}Ongoing *${tab}"
  tool transactions list --transactional-id-pattern "${id%?}."
  equals 2 "$(wc -l <out)"
  tool transactions list --transactional-id-pattern "x$id"
  equals 1 "$(wc -l <out)"
  tool transactions list --duration-filter 600000
  prints_no "$id"
  refused transactions describe --transactional-id "$(fresh absent)"
  logs "^Failed to describe transaction state of transactional-id \`absent-[0-9a-f]+\`: .*could not be found"
  tool transactions describe-producers --topic "$topic" --partition 0
  prints "ProducerId *${tab}ProducerEpoch *${tab}LatestCoordinatorEpoch *${tab}LastSequence *${tab}LastTimestamp *${tab}CurrentTransactionStartOffset *${tab}"
  prints "[0-9]+ *${tab}[0-9]+ *${tab}-?[0-9]+ *${tab}[0-9]+ *${tab}[0-9]{13} *${tab}0 *${tab}"
  tool transactions find-hanging --topic "$topic" --max-transaction-timeout 0
  equals 1 "$(wc -l <out)"
  refused transactions abort --topic "$topic" --partition 0 --start-offset 7777
  logs "^Could not find any open transactions starting at offset 7777 on partition $topic-0"
  tool transactions abort --topic "$topic" --partition 0 --start-offset 0
  equals "" "$(cat out)"
  tool transactions describe-producers --topic "$topic" --partition 0
  prints "[0-9]+ *${tab}.*${tab}None *${tab}"
  echo a:after | produce "$topic"
  tool console-consumer --topic "$topic" --from-beginning --max-messages 1 --isolation-level read_committed
  equals after "$(cat out)"
}

test_transactions_are_aborted_by_producer_and_by_id() {
  local topic id producer producer_id epoch
  topic=$(fresh transactions) id=$(fresh id)
  create "$topic" 1
  leave_open "$topic" "$id"
  stop_producer
  tool transactions describe-producers --topic "$topic" --partition 0
  producer_id=$(awk -F "[ $tab]+" 'NR == 2 {print $1}' out)
  epoch=$(awk -F "[ $tab]+" 'NR == 2 {print $2}' out)
  refused transactions abort --topic "$topic" --partition 0 --producer-id "$producer_id" --producer-epoch "$epoch"
  logs "^Missing required argument --coordinator-epoch"
  tool transactions abort --topic "$topic" --partition 0 --producer-id "$producer_id" --producer-epoch "$epoch" \
    --coordinator-epoch 0
  tool transactions describe-producers --topic "$topic" --partition 0
  prints "$producer_id *${tab}.*${tab}None *${tab}"
  tool transactions forceTerminateTransaction --transactionalId "$id"
  tool transactions describe --transactional-id "$id"
  prints "[0-9]+ *${tab}$id *${tab}[0-9]+ *${tab}[0-9]+ *${tab}Empty *${tab}[0-9]+ *${tab}None *${tab}None *${tab} *${tab}"
}

test_cluster_id() {
  timeout 60 "$xtask" oracle tool cluster cluster-id --bootstrap-server "$broker" >out 2>err
  prints "Cluster ID: [A-Za-z0-9_-]{22}"
}
