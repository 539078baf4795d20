# Sourced by every run script, which is then called in one of three ways:
#   run              starts $OTTLA_BIN (default target/fast/ottla) on a free loopback port with a fresh directory
#   run kafka        starts Apache Kafka in its place, KAFKA_VERSION picks the release
#   run HOST:PORT    talks to a broker that runs already
# It leaves the address in $broker, a scratch directory in $work, and ends what it started when the script ends.
# restart_broker kills it with SIGKILL and starts it on the same port and directory.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
suite=$(basename "$here")
work=${CARGO_TARGET_DIR:-$root/target}/clients/$suite
mkdir -p "$work"
broker= broker_pid= broker_dir= broker_command=()

# start_broker [HOST:PORT|kafka] [key=value...]: the pairs are configuration on top of the defaults.
start_broker() {
  local where=$1
  shift
  case $where in
    "" ) ;;
    kafka)
      export SETTLE_MS=400 # it acknowledges a topic before it knows it
      broker_dir=$work/kafka.$$
      rm -rf "$broker_dir"
      trap 'stop_broker' EXIT
      trap 'exit 143' TERM INT
      broker_command=(cargo xtask oracle start "$broker_dir" --heap 512m "$@")
      broker=$(cd "$root" && "${broker_command[@]}")
      return ;;
    *) broker=$where; return ;;
  esac
  local binary=${OTTLA_BIN:-$root/target/fast/ottla} pair port
  [ -x "$binary" ] || { echo "$suite: no broker at $binary; build it: cargo build --profile fast" >&2; exit 1; }
  broker_dir=$work/ottla.$$
  rm -rf "$broker_dir"
  mkdir -p "$broker_dir"
  port=$(free_port)
  local arguments=(--set "listeners=PLAINTEXT://127.0.0.1:$port" --set "log.dirs=$broker_dir/data" --set ottla.http.listener=none)
  for pair in "$@"; do arguments+=(--set "$pair"); done
  trap 'stop_broker' EXIT
  trap 'exit 143' TERM INT
  broker_command=(env -u OTTLA_BIN "$binary" "${arguments[@]}")
  broker=127.0.0.1:$port
  launch_broker
}

launch_broker() {
  local tries=0 before
  : >>"$broker_dir/out.log"
  before=$(grep -c ' INFO ready ' "$broker_dir/out.log") || true # none is a failure to grep
  "${broker_command[@]}" >>"$broker_dir/out.log" 2>&1 &
  broker_pid=$!
  # A connection says nothing: the kernel takes it before the broker has opened its logs.
  until [ "$(grep -c ' INFO ready ' "$broker_dir/out.log")" -gt "$before" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 1200 ] || ! kill -0 $broker_pid 2>/dev/null; then
      echo "$suite: the broker did not start" >&2
      cat "$broker_dir/out.log" >&2
      exit 1
    fi
    sleep 0.05
  done
}

restart_broker() {
  if [ -n "$broker_pid" ]; then
    { kill -9 "$broker_pid" && wait "$broker_pid"; } 2>/dev/null || true
    launch_broker
  elif [ -n "$broker_dir" ]; then
    (cd "$root" && cargo xtask oracle kill "$broker_dir" 1)
    while (exec 3<>"/dev/tcp/127.0.0.1/${broker#*:}") 2>/dev/null; do sleep 0.05; done
    (cd "$root" && "${broker_command[@]}" --port "${broker#*:}") >/dev/null
  else
    echo "$suite: $broker was not started here and is not restarted" >&2
    return 1
  fi
}

# Keeps the directory of a run that failed: its log tells what the broker saw. A panic is a failure whatever the client says.
stop_broker() {
  local status=$?
  trap - EXIT
  if [ -n "$broker_pid" ]; then
    kill "$broker_pid" 2>/dev/null || true
    local tries=0
    while kill -0 "$broker_pid" 2>/dev/null; do
      tries=$((tries + 1))
      [ $tries -lt 1200 ] || { echo "$suite: the broker did not stop within 60 s" >&2; kill -9 "$broker_pid" 2>/dev/null || true; status=1; }
      sleep 0.05
    done
    if grep -n 'panicked at' "$broker_dir/out.log" >&2; then status=1; fi
  elif [ -n "$broker_dir" ]; then
    (cd "$root" && cargo xtask oracle stop "$broker_dir") || true
  fi
  if [ -n "$broker_dir" ]; then
    if [ $status -eq 0 ]; then rm -rf "$broker_dir"; else echo "$suite: the broker's log is under $broker_dir" >&2; fi
  fi
  exit $status
}

# A port below the range the kernel hands out to outgoing connections, on which nobody listens now.
free_port() {
  local port tries
  for tries in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; return; }
  done
  echo "$suite: no free port" >&2
  exit 1
}

# go_result LOG: the line that counts, from the output of go test -v.
go_result() {
  awk '/^ *--- PASS:/ {p++} /^ *--- FAIL:/ {f++} /^ *--- SKIP:/ {s++}
       END {printf "RESULT passed=%d failed=%d skipped=%d\n", p, f, s}' "$@"
}
