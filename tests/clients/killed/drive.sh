# Sourced after broker.sh: how a suite runs a Java program that kills others, and the broker by way of its caller.

# drive CLASSPATH SCRATCH CLASS ARGS...: compiles the suite's sources and ours, and lets the class run.
drive() {
  local jars=$1 scratch=$2 class=$3 line pid answers orders
  shift 3
  rm -rf "$scratch"
  mkdir -p "$scratch/classes"
  javac -nowarn -Xlint:none -proc:none -d "$scratch/classes" -cp "$jars" "$here"/src/*.java "$here"/../killed/*.java
  coproc driver { java -Xmx256m -XX:TieredStopAtLevel=1 -cp "$scratch/classes:$jars" "$class" "$broker" "$scratch" "$@" \
    2>"$scratch/driver.log"; }
  pid=$driver_PID
  exec {answers}<&"${driver[0]}" {orders}>&"${driver[1]}"
  while read -r line <&"$answers"; do
    echo "$line"
    if [ "$line" = "RESTART BROKER" ]; then
      restart_broker
      echo >&"$orders"
    fi
  done
  exec {answers}<&- {orders}>&-
  wait "$pid"
}
