#!/bin/bash
# Kafka Connect in standalone mode against a running broker: a file becomes a topic, which becomes a file again; after a stop both go on where they were.
# Usage: kafka_connect.sh HOST:PORT. Needs a JDK and mvn.
set -euo pipefail
broker=${1:?usage: kafka_connect.sh HOST:PORT}
. "$(dirname "$0")/kafka_jars.sh"
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2> /dev/null || true; rm -rf "$work"' EXIT
topic=connect-$RANDOM
fail() { echo "kafka_connect.sh: $1" >&2; tail -n 20 "$work/log" >&2; exit 1; }

cat > "$work/worker.properties" << END
bootstrap.servers=$broker
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
offset.storage.file.filename=$work/offsets
offset.flush.interval.ms=500
listeners=http://127.0.0.1:0
consumer.heartbeat.interval.ms=300
END
codec() {  # NAME: the codec of the source's producer
  sed -i '/^producer.compression.type/d' "$work/worker.properties"
  echo "producer.compression.type=$1" >> "$work/worker.properties"
}
printf 'name=%s-in\nconnector.class=FileStreamSource\ntasks.max=1\nfile=%s\ntopic=%s\n' "$topic" "$work/in" "$topic" > "$work/source.properties"
printf 'name=%s-out\nconnector.class=FileStreamSink\ntasks.max=1\nfile=%s\ntopics=%s\n' "$topic" "$work/out" "$topic" > "$work/sink.properties"
start() { "${java[@]}" org.apache.kafka.connect.cli.ConnectStandalone "$work/worker.properties" "$work/source.properties" "$work/sink.properties" >> "$work/log" 2>&1 & worker=$!; }
stop() { kill "$worker"; wait "$worker" || true; }
same() {
  for _ in $(seq 300); do
    [ -e "$work/out" ] && [ "$(wc -l < "$work/out")" -ge "$(wc -l < "$work/in")" ] && break
    kill -0 "$worker" 2> /dev/null || fail "the worker ended"
    sleep 0.2
  done
  cmp -s "$work/in" "$work/out" || fail "$1: $(wc -l < "$work/out") lines of $(wc -l < "$work/in"), or others"
}

: > "$work/in"
for codec in none gzip snappy lz4 zstd; do
  codec $codec
  seq -f "line %g of $codec" 1000 >> "$work/in"
  start
  same "a source and a sink with $codec"
  stop
done
ok "Kafka Connect: file source with every codec and file sink, which go on where they were after a stop"

"${java[@]}" org.apache.kafka.tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$broker" --describe --group "connect-$topic-out" > "$work/group" 2>&1
[ "$(awk -v t="$topic" '$2 == t { read += $4; lag += $6 } END { print read ":" lag }' "$work/group")" = 5000:0 ] || fail "the sink's group has other offsets: $(cat "$work/group")"
ok "Kafka Connect: the sink's offsets"
