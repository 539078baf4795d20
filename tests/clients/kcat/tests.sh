# The tests; each runs in a directory of its own, with errexit on. Whatever kcat says on stderr is kept in log.*, and a
# line of trouble in it fails the test.

fresh() { printf '%s-%08x' "$1" $((RANDOM * 65536 + RANDOM)); }

# kc LOG ARGS...: kcat on the broker, never longer than 40 s, stderr into log.LOG.
kc() {
  local log=$1
  shift
  timeout 40 kcat -b "$broker" -m 20 "$@" 2>>"log.$log"
}

equals() {
  if [ "$1" != "$2" ]; then
    printf '%s: expected\n%s\ngot\n%s\n' "${3:-difference}" "$1" "$2"
    return 1
  fi
}

contains() {
  case $2 in
    *"$1"*) ;;
    *) printf 'no "%s" in\n%s\n' "$1" "$2"; return 1 ;;
  esac
}

# Lines that only look like trouble; a test that knows why they come says so here.
harmless='^$'

# librdkafka's own lines carry a syslog level, 5 is a notice; kcat's own begin with "% ". Tests that provoke an error
# keep it in a file that is not called log.*.
no_trouble() {
  local found
  found=$(grep -HE '^%[0-5]\||ERROR|Delivery failed|Broker: |terminat' log.* 2>/dev/null | grep -vE "$harmless") || true
  if [ -n "$found" ]; then
    echo "$found"
    echo "the client's log tells of trouble"
    return 1
  fi
}

end_children() {
  local pids
  pids=$(jobs -p)
  if [ -n "$pids" ]; then kill $pids 2>/dev/null || true; fi
  wait 2>/dev/null || true
}

# until_true SECONDS COMMAND...
until_true() {
  local tries=$(($1 * 10))
  shift
  until "$@"; do
    tries=$((tries - 1))
    if [ $tries -le 0 ]; then
      echo "never true: $*"
      return 1
    fi
    sleep 0.1
  done
}

has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

read_until=(-e) # the end that there is now

round_trip() { # CODEC [kcat arguments...]
  local codec=$1 topic
  shift
  topic=$(fresh "codec-$codec")
  seq 500 | sed 's/\(.*\)/key-\1:value \1 of the same old words/' >in
  kc produce -P -t "$topic" -K: -z "$codec" -X linger.ms=50 "$@" <in
  equals "$(sed 's/:/=/' in)" "$(kc consume -C -t "$topic" -o beginning "${read_until[@]}" -q -f '%k=%s\n')" "$codec"
}

test_codec_none() { round_trip none; }
test_codec_gzip() { round_trip gzip; }
test_codec_snappy() { round_trip snappy; }
test_codec_lz4() { round_trip lz4; }
test_codec_zstd() { round_trip zstd; }
test_acks_0() {
  read_until=(-c 500) # the client has ended before the broker has them
  round_trip none -X acks=0 -X linger.ms=0
}
test_acks_1() { round_trip none -X acks=1; }
test_idempotent_producer() { round_trip lz4 -X enable.idempotence=true; }
test_crc_checked_by_the_client() {
  local topic
  topic=$(fresh crc)
  seq 100 | kc produce -P -t "$topic" -z gzip
  equals "$(seq 100)" "$(kc consume -C -t "$topic" -o beginning -e -q -X check.crcs=true)"
}

test_null_and_empty_values() {
  local topic
  topic=$(fresh null)
  printf 'a:1\nb:\nc:3\n' | kc produce -P -t "$topic" -K: -Z
  equals "a 1 1
b -1 
c 1 3" "$(kc consume -C -t "$topic" -o beginning -e -q -f '%k %S %s\n')"
  topic=$(fresh empty)
  printf 'a:1\nb:\n' | kc produce -P -t "$topic" -K:
  equals "a 1
b 0" "$(kc consume -C -t "$topic" -o beginning -e -q -f '%k %S\n')"
}

test_headers() {
  local topic
  topic=$(fresh headers)
  echo value | kc produce -P -t "$topic" -H colour=blue -H size=3 -H colour=red
  equals "colour=blue,size=3,colour=red value" "$(kc consume -C -t "$topic" -o beginning -e -q -f '%h %s\n')"
}

test_timestamps() {
  local topic before after stamp
  topic=$(fresh stamp)
  before=$(date +%s%3N)
  echo value | kc produce -P -t "$topic"
  after=$(date +%s%3N)
  stamp=$(kc consume -C -t "$topic" -o beginning -e -q -f '%T\n')
  [ "$stamp" -ge "$before" ] && [ "$stamp" -le "$after" ] || { echo "$stamp not in $before to $after"; return 1; }
}

test_json_envelope() {
  local topic got
  topic=$(fresh json)
  echo 'k:v' | kc produce -P -t "$topic" -K:
  got=$(kc consume -C -t "$topic" -o beginning -e -q -J)
  contains "\"topic\":\"$topic\",\"partition\":0,\"offset\":0,\"tstype\":\"create\"" "$got"
  contains '"key":"k","payload":"v"' "$got"
}

test_large_message() {
  local topic
  topic=$(fresh large)
  head -c 900000 /dev/zero | tr '\0' x >in
  kc produce -P -t "$topic" in
  equals 900000 "$(kc consume -C -t "$topic" -o beginning -e -q -f '%S\n')"
}

test_message_too_large_is_refused() {
  local topic
  topic=$(fresh refused)
  head -c 1500000 /dev/zero | tr '\0' x >in
  if timeout 40 kcat -b "$broker" -m 20 -P -t "$topic" -X message.max.bytes=2000000 in 2>refusal; then
    echo "it was accepted"
    return 1
  fi
  contains "Broker: Message size too large" "$(cat refusal)"
}

test_offsets_to_start_from() {
  local topic
  topic=$(fresh offsets)
  seq 0 99 | kc produce -P -t "$topic"
  equals "$(seq 90 99)" "$(kc tail -C -t "$topic" -p 0 -o -10 -e -q)" "the last ten"
  equals "$(seq 40 99)" "$(kc from -C -t "$topic" -p 0 -o 40 -e -q)" "from 40"
  equals "$(seq 40 44)" "$(kc count -C -t "$topic" -p 0 -o 40 -c 5 -q)" "five from 40"
  equals "" "$(kc end -C -t "$topic" -p 0 -o end -e -q)" "the end"
}

test_offset_out_of_range() {
  local topic
  topic=$(fresh range)
  seq 0 9 | kc produce -P -t "$topic"
  equals "$(seq 0 9)" "$(timeout 40 kcat -b "$broker" -m 20 -C -t "$topic" -p 0 -o 5000 -e -q -X auto.offset.reset=earliest 2>expected)"
  if timeout 40 kcat -b "$broker" -m 20 -C -t "$topic" -p 0 -o 5000 -e -q -X auto.offset.reset=error 2>refusal; then
    echo "it was accepted"
    return 1
  fi
  contains "out of range" "$(cat refusal)"
}

test_offsets_by_timestamp() {
  local topic first second
  topic=$(fresh query)
  echo one | kc produce -P -t "$topic"
  sleep 0.05
  echo two | kc produce -P -t "$topic"
  first=$(kc consume -C -t "$topic" -o 0 -c 1 -q -f '%T')
  second=$(kc consume -C -t "$topic" -o 1 -c 1 -q -f '%T')
  equals "$topic [0] offset 0" "$(kc query -Q -t "$topic:0:$first")"
  equals "$topic [0] offset 1" "$(kc query -Q -t "$topic:0:$second")"
  equals "$topic [0] offset 1" "$(kc query -Q -t "$topic:0:$((first + 1))")"
  equals "$topic [0] offset 2" "$(kc query -Q -t "$topic:0:-1")" "latest"
  equals "$topic [0] offset 0" "$(kc query -Q -t "$topic:0:-2")" "earliest"
  equals "$topic [0] offset -1" "$(kc query -Q -t "$topic:0:$((second + 100000))")" "later than all"
}

test_consume_a_span_of_time() {
  local topic second
  topic=$(fresh span)
  for word in one two three; do
    echo $word | kc produce -P -t "$topic"
    sleep 0.05
  done
  second=$(kc consume -C -t "$topic" -o 1 -c 1 -q -f '%T')
  equals "two
three" "$(kc span -C -t "$topic" -o "s@$second" -e -q)"
}

test_metadata() {
  local topic got
  topic=$(fresh metadata)
  echo x | kc produce -P -t "$topic"
  got=$(kc list -L)
  contains "1 brokers:" "$got"
  contains " at $broker (controller)" "$got"
  contains "topic \"$topic\" with 1 partitions:" "$got"
  got=$(kc list -L -t "$topic")
  contains " 1 topics:" "$got"
  contains "    partition 0, leader " "$got"
  got=$(kc list -L -J -t "$topic")
  contains "\"topics\":[{\"topic\":\"$topic\",\"partitions\":[{\"partition\":0,\"leader\":" "$got"
  case $got in *'"error"'*) echo "$got"; return 1 ;; esac
}

lists() { case $(kc list -L) in *"\"$1\""*) ;; *) return 1 ;; esac; }

# Metadata asks with the rights of a producer, so with auto-creation the topic is there soon after the first answer.
test_metadata_creates_the_topic() {
  local topic
  topic=$(fresh absent)
  contains "topic \"$topic\" with" "$(kc list -L -t "$topic")"
  until_true 10 lists "$topic"
}

test_consumer_waits_for_records() {
  local topic
  topic=$(fresh live)
  echo first | kc produce -P -t "$topic"
  timeout 40 kcat -b "$broker" -m 20 -C -t "$topic" -o beginning -u -q >out 2>log.live &
  until_true 20 has_lines out 1
  echo second | kc produce -P -t "$topic"
  until_true 20 has_lines out 2
  equals "first
second" "$(cat out)"
}

# member NAME GROUP TOPIC...: reads until it is told to end, which makes it commit and leave.
extra=()
member() {
  : >"out.$1"
  kcat -b "$broker" -u -X auto.offset.reset=earliest -X session.timeout.ms=45000 -X heartbeat.interval.ms=500 \
    -X partition.assignment.strategy="${strategy:-range}" "${extra[@]}" -f '%p %s\n' -G "${@:2}" >"out.$1" 2>"log.$1" &
}

quit() { # PID: as Ctrl-C does
  kill -INT "$1"
  wait "$1"
}

test_group_resumes() {
  local topic group
  topic=$(fresh resume) group=$(fresh group)
  seq 0 99 | kc produce -P -t "$topic"
  member first "$group" "$topic"
  until_true 30 has_lines out.first 100
  quit $!
  seq 100 149 | kc produce -P -t "$topic"
  member second "$group" "$topic"
  until_true 30 has_lines out.second 50
  quit $!
  equals "$(seq 0 99 | sed 's/^/0 /')" "$(cat out.first)" "before the restart"
  equals "$(seq 100 149 | sed 's/^/0 /')" "$(cat out.second)" "after the restart"
}

assigned() { grep -q "assign.*\[0\]" "log.$1"; }

# Two topics of one partition: each of the two members ends up with one of them where the assignor spreads.
shared_by_two() {
  local one two group first second
  one=$(fresh one) two=$(fresh two) group=$(fresh group)
  seq 0 9 | kc produce -P -t "$one"
  seq 0 9 | kc produce -P -t "$two"
  strategy=$1
  member first "$group" "$one" "$two"
  first=$!
  until_true 30 has_lines out.first 20
  member second "$group" "$one" "$two"
  second=$!
  until_true 30 assigned second
  seq 10 19 | kc produce -P -t "$one"
  seq 10 19 | kc produce -P -t "$two"
  until_true 30 has_lines out.second 10
  until_true 30 has_lines out.first 30
  quit $second
  seq 20 29 | kc produce -P -t "$one"
  seq 20 29 | kc produce -P -t "$two"
  until_true 30 has_lines out.first 50
  quit $first
  equals 60 "$(cat out.first out.second | wc -l)" "records delivered"
}

test_group_of_two_round_robin() { shared_by_two roundrobin; }
test_group_of_two_cooperative() { shared_by_two cooperative-sticky; }

test_static_member_returns() {
  local topic group
  topic=$(fresh static) group=$(fresh group)
  seq 0 9 | kc produce -P -t "$topic"
  extra=(-X group.instance.id=left)
  member first "$group" "$topic"
  until_true 30 has_lines out.first 10
  quit $!
  seq 10 19 | kc produce -P -t "$topic"
  member second "$group" "$topic"
  until_true 30 has_lines out.second 10
  quit $!
  equals "$(seq 10 19 | sed 's/^/0 /')" "$(cat out.second)"
}

test_transaction() {
  local topic
  # The markers of the first are written behind the answer to it; who comes before them is asked to come again.
  harmless='\|GETPID\|.*another concurrent operation on the same transaction'
  topic=$(fresh transaction)
  seq 10 | kc produce -P -t "$topic" -X transactional.id="$topic"
  seq 11 20 | kc produce -P -t "$topic" -X transactional.id="$topic"
  equals "$(seq 20)" "$(kc consume -C -t "$topic" -o beginning -e -q -X isolation.level=read_committed)"
}

# legacy VERSION ARGS...: no ApiVersions request, the protocol of that release instead.
legacy() {
  local version=$1
  shift
  kc "legacy" -X api.version.request=false -X broker.version.fallback="$version" "$@"
}

legacy_produce() { # VERSION CODEC
  local topic
  topic=$(fresh legacy)
  echo now | kc produce -P -t "$topic" # auto-creation, with today's protocol
  seq 200 | legacy "$1" -P -t "$topic" -z "$2" -X linger.ms=50
  equals "now
$(seq 200)" "$(kc today -C -t "$topic" -o beginning -e -q)" "read with today's"
}

legacy_read() { # VERSION CODEC
  local topic
  topic=$(fresh legacy)
  seq 200 | kc produce -P -t "$topic" -z "$2" -X linger.ms=50
  equals "$(seq 200)" "$(legacy "$1" -C -t "$topic" -o beginning -e -q)" "read with that of $1"
}

test_legacy_produce_0_8_2() { legacy_produce 0.8.2.2 none; }
test_legacy_produce_0_8_2_gzip() { legacy_produce 0.8.2.2 gzip; }
test_legacy_produce_0_8_2_snappy() { legacy_produce 0.8.2.2 snappy; }
test_legacy_produce_0_9() { legacy_produce 0.9.0.1 none; }
test_legacy_produce_0_9_lz4() { legacy_produce 0.9.0.1 lz4; }
test_legacy_read_0_8_2() { legacy_read 0.8.2.2 none; }
test_legacy_read_0_9_gzip() { legacy_read 0.9.0.1 gzip; }
test_legacy_read_0_9_lz4() { legacy_read 0.9.0.1 lz4; }

# A batch of today's is converted for a client of old, from the middle of the batch too.
test_legacy_reads_from_the_middle() {
  local topic codec
  for codec in none gzip snappy; do
    topic=$(fresh middle)
    seq 0 99 | kc produce -P -t "$topic" -z "$codec" -X linger.ms=100
    equals "$(seq 37 99)" "$(legacy 0.9.0.1 -C -t "$topic" -p 0 -o 37 -e -q)" "$codec"
    equals "$(seq 90 99)" "$(legacy 0.9.0.1 -C -t "$topic" -p 0 -o -10 -e -q)" "$codec, the last ten"
  done
}

test_legacy_group_resumes() {
  local topic group
  topic=$(fresh resume) group=$(fresh group)
  seq 0 9 | kc produce -P -t "$topic"
  # Before 0.10.1 the session is the longest time between two polls, and the client says so where the two differ.
  extra=(-X api.version.request=false -X broker.version.fallback=0.9.0.1 -X max.poll.interval.ms=45000)
  member first "$group" "$topic"
  until_true 30 has_lines out.first 10
  quit $!
  seq 10 19 | kc produce -P -t "$topic"
  member second "$group" "$topic"
  until_true 30 has_lines out.second 10
  quit $!
  extra=()
  member third "$group" "$topic"
  seq 20 29 | kc produce -P -t "$topic"
  until_true 30 has_lines out.third 10
  quit $!
  equals "$(seq 10 19 | sed 's/^/0 /')" "$(cat out.second)" "after the restart"
  equals "$(seq 20 29 | sed 's/^/0 /')" "$(cat out.third)" "after the upgrade"
}
