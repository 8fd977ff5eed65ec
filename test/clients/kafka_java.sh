#!/bin/bash
# Kafka's own Java clients and command-line tools against a running broker. Usage: kafka_java.sh HOST:PORT
# Needs a JDK and mvn.
set -euo pipefail
broker=${1:?usage: kafka_java.sh HOST:PORT}
. "$(dirname "$0")/kafka_jars.sh"
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2> /dev/null || true; rm -rf "$work"' EXIT
run=java-$RANDOM
tools=org.apache.kafka.tools

fail() { echo "kafka_java.sh: $1" >&2; for file in "$work"/*; do echo "--- $file" >&2; tail -n 5 "$file" >&2; done; exit 1; }
topic() { java_run $tools.TopicCommand --bootstrap-server "$broker" "$@"; }
config() { java_run kafka.admin.ConfigCommand --bootstrap-server "$broker" "$@"; }
group() { java_run $tools.consumer.group.ConsumerGroupCommand --bootstrap-server "$broker" "$@"; }

# Topics and their settings.
topic --create --topic "$run" --partitions 3 --config retention.ms=3600000 > "$work/create"
topic --alter --topic "$run" --partitions 4 > "$work/grow"
topic --describe --topic "$run" > "$work/describe"
[ "$(grep -c 'Leader: 0' "$work/describe")" = 4 ] || fail "kafka-topics: the topic has not 4 partitions"
config --alter --entity-type topics --entity-name "$run" --add-config max.message.bytes=2000000 > "$work/alter"
config --describe --entity-type topics --entity-name "$run" > "$work/config"
grep -q 'max.message.bytes=2000000' "$work/config" && grep -q 'retention.ms=3600000' "$work/config" || fail "kafka-configs: settings are not what was set"
ok "kafka-topics and kafka-configs: create, add partitions, alter, describe"

# Quotas of clients and users.
config --alter --entity-type clients --entity-name "$run" --add-config producer_byte_rate=1000000,consumer_byte_rate=2000000 > "$work/quota" 2>&1 || fail "kafka-configs: quota of a client"
config --alter --entity-type users --entity-default --entity-type clients --entity-name "$run" --add-config request_percentage=200 > "$work/quota-both" 2>&1 || fail "kafka-configs: quota of a client of any user"
config --alter --entity-type ips --entity-name 10.9.8.7 --add-config connection_creation_rate=5 > "$work/quota-ip" 2>&1 || fail "kafka-configs: quota of an address"
config --describe --entity-type clients --entity-name "$run" > "$work/quota-client" 2>&1
grep -q "client-id '$run' are .*consumer_byte_rate=2000000.*producer_byte_rate=1000000" "$work/quota-client" || fail "kafka-configs: quota of a client is not what was set"
config --describe --entity-type users --entity-type clients > "$work/quota-all" 2>&1
grep -q "client-id '$run', the default user-principal are request_percentage=200\|the default user-principal, client-id '$run' are request_percentage=200" "$work/quota-all" || fail "kafka-configs: quota of a client of any user is not what was set"
config --describe --entity-type users > "$work/quota-users" 2>&1 || fail "kafka-configs: describe users"
config --describe --entity-type ips --entity-name 10.9.8.7 > "$work/quota-address" 2>&1
grep -q "connection_creation_rate=5" "$work/quota-address" || fail "kafka-configs: quota of an address is not what was set"
config --alter --entity-type clients --entity-name "$run" --add-config producer_byte_rate=1.5 > "$work/quota-wrong" 2>&1 && fail "kafka-configs: half a byte was taken"
config --alter --entity-type clients --entity-name "$run" --delete-config producer_byte_rate,consumer_byte_rate > "$work/quota-gone" 2>&1 || fail "kafka-configs: quota cannot be removed"
config --describe --entity-type clients --entity-name "$run" > "$work/quota-none" 2>&1
! grep -q byte_rate "$work/quota-none" || fail "kafka-configs: a removed quota is there"
ok "kafka-configs: quotas of clients, users and addresses set, shown and removed"

# Every codec, an idempotent producer (Java's default), a group.
count=0
for codec in none gzip snappy lz4 zstd; do
  java_run $tools.VerifiableProducer --bootstrap-server "$broker" --topic "$run" --max-messages 500 --acks -1 --value-prefix $((count / 500)) \
    --command-config <(echo "compression.type=$codec") > "$work/producer-$codec" 2>&1 || fail "verifiable producer with $codec"
  grep -q '"acked":500' "$work/producer-$codec" || fail "verifiable producer with $codec: not all were acknowledged"
  count=$((count + 500))
done
java_run $tools.VerifiableConsumer --bootstrap-server "$broker" --topic "$run" --group-id "$run" --max-messages $count --reset-policy earliest > "$work/consumer" 2>&1 ||
  fail "verifiable consumer"
grep -q 'offsets_committed' "$work/consumer" || fail "verifiable consumer: nothing was committed"
ok "producer with every codec, consumer in a group"

# Two members, then one; the second is cooperative as the first.
pids=()
for i in 1 2; do
  "${java[@]}" $tools.VerifiableConsumer --bootstrap-server "$broker" --topic "$run" --group-id "$run-two" --session-timeout 10000 --reset-policy earliest \
    --assignment-strategy org.apache.kafka.clients.consumer.CooperativeStickyAssignor > "$work/member-$i" 2>&1 &
  pids+=($!)
done
# Number of members, and of partitions that each has.
settled() { group --describe --group "$1" --members 2> /dev/null | awk -v g="$1" '$1 == g { n[++k] = $NF } END { print k ":" n[1] ":" n[2] }'; }
for _ in $(seq 30); do [ "$(settled "$run-two")" = 2:2:2 ] && break; sleep 0.3; done
[ "$(settled "$run-two")" = 2:2:2 ] || fail "two members do not share four partitions: $(settled "$run-two")"
kill "${pids[0]}"
for _ in $(seq 30); do [ "$(settled "$run-two")" = 1:4: ] && break; sleep 0.3; done
[ "$(settled "$run-two")" = 1:4: ] || fail "the member that stays has not all partitions: $(settled "$run-two")"
kill "${pids[1]}"
wait "${pids[@]}" 2> /dev/null || true
ok "cooperative rebalance of two members, then one"

# A Java consumer and kcat (librdkafka) in one group.
if command -v kcat > /dev/null; then
  group_two=$run-mixed
  "${java[@]}" $tools.VerifiableConsumer --bootstrap-server "$broker" --topic "$run" --group-id "$group_two" --session-timeout 10000 --reset-policy earliest \
    --assignment-strategy org.apache.kafka.clients.consumer.RangeAssignor > "$work/mixed-java" 2>&1 &
  one=$!
  kcat -b "$broker" -q -X auto.offset.reset=earliest -X partition.assignment.strategy=range -X session.timeout.ms=10000 -G "$group_two" "$run" > "$work/mixed-kcat" 2>&1 &
  two=$!
  for _ in $(seq 30); do [ "$(settled "$group_two")" = 2:2:2 ] && break; sleep 0.3; done
  [ "$(settled "$group_two")" = 2:2:2 ] || fail "a Java consumer and kcat do not share four partitions: $(settled "$group_two")"
  kill $one
  for _ in $(seq 30); do [ "$(settled "$group_two")" = 1:4: ] && break; sleep 0.3; done
  [ "$(settled "$group_two")" = 1:4: ] || fail "kcat does not take over from the Java consumer: $(settled "$group_two")"
  kill $two
  wait $one $two 2> /dev/null || true
  ok "a Java consumer and kcat in one group"
fi

# Offsets: describe, reset, resume, delete.
group --describe --group "$run" > "$work/lag" 2>&1
[ "$(awk -v t="$run" '$2 == t { read += $4; lag += $6 } END { print read ":" lag }' "$work/lag")" = "$count:0" ] || fail "kafka-consumer-groups: offsets or lag are wrong"
group --group "$run" --topic "$run" --reset-offsets --to-earliest --execute > "$work/reset" 2>&1 || fail "offsets cannot be reset"
java_run $tools.consumer.ConsoleConsumer --bootstrap-server "$broker" --topic "$run" --group "$run" --max-messages $count --timeout-ms 20000 > "$work/resumed" 2> "$work/console" ||
  fail "console consumer"
[ "$(wc -l < "$work/resumed")" = $count ] || fail "console consumer: did not begin again where the offsets were set"
group --list --state > "$work/list" 2>&1
grep -q "$run .*Empty" "$work/list" || fail "kafka-consumer-groups --list: the group is missing"
group --delete-offsets --group "$run" --topic "$run" > "$work/delete-offsets" 2>&1 || fail "offsets cannot be deleted"
group --delete --group "$run" > "$work/delete" 2>&1 || fail "the group cannot be deleted"
ok "kafka-consumer-groups: describe, reset, resume, list, delete"

# Records: offsets by time, deletion, folders.
java_run $tools.GetOffsetShell --bootstrap-server "$broker" --topic "$run" --time -1 > "$work/ends" 2>&1
[ "$(awk -F: '{ n += $3 } END { print n }' "$work/ends")" = $count ] || fail "kafka-get-offsets: wrong ends"
java_run $tools.GetOffsetShell --bootstrap-server "$broker" --topic "$run" --time max-timestamp > "$work/newest" 2>&1 || fail "kafka-get-offsets by the highest timestamp"
full=$(awk -F: '$3 >= 5 { print $2; exit }' "$work/ends")  # producers without keys may leave partitions empty
echo "{\"partitions\": [{\"topic\": \"$run\", \"partition\": $full, \"offset\": 5}], \"version\": 1}" > "$work/records.json"
java_run $tools.DeleteRecordsCommand --bootstrap-server "$broker" --offset-json-file "$work/records.json" > "$work/deleted" 2>&1
grep -q 'low_watermark: 5' "$work/deleted" || fail "kafka-delete-records"
java_run $tools.LogDirsCommand --bootstrap-server "$broker" --describe --topic-list "$run" > "$work/folders" 2>&1
grep -q '"partition":"\?'"$run-0" "$work/folders" || fail "kafka-log-dirs"
ok "kafka-get-offsets, kafka-delete-records, kafka-log-dirs"

java_run $tools.ProducerPerformance --bootstrap-server "$broker" --topic "$run" --num-records 20000 --record-size 200 --throughput -1 > "$work/producer-perf" 2>&1 || fail "producer performance test"
java_run $tools.ConsumerPerformance --bootstrap-server "$broker" --topic "$run" --num-records 20000 --timeout 30000 > "$work/consumer-perf" 2>&1 || fail "consumer performance test"
ok "performance tests of producer and consumer"

# Transactions: a producer with them, and a copier that commits its offsets with what it wrote and aborts at random.
committed() {  # TOPIC COUNT: at most so many records that readers of committed ones see
  java_run $tools.consumer.ConsoleConsumer --bootstrap-server "$broker" --topic "$1" --from-beginning --isolation-level read_committed --max-messages "$2" --timeout-ms 8000
}
topic --create --topic "$run-in" --partitions 1 > "$work/create-in"
topic --create --topic "$run-out" --partitions 1 > "$work/create-out"
topic --create --topic "$run-open" --partitions 1 > "$work/create-open"
java_run $tools.ProducerPerformance --bootstrap-server "$broker" --topic "$run" --num-records 2000 --record-size 100 --throughput 4000 --transactional-id "$run-perf" \
  --transaction-duration-ms 100 > "$work/txn-perf" 2>&1 || fail "performance test with transactions"
# The copier takes offsets for a count of records, so there must be no markers in what it reads.
java_run $tools.ProducerPerformance --bootstrap-server "$broker" --topic "$run-in" --num-records 2000 --record-size 100 --throughput -1 > "$work/copier-in" 2>&1 || fail "records to copy"
timeout 100 "${java[@]}" $tools.TransactionalMessageCopier --broker-list "$broker" --consumer-group "$run-copier" --input-topic "$run-in" --input-partition 0 --output-topic "$run-out" \
  --transactional-id "$run-copier" --transaction-size 50 --max-messages 2000 --enable-random-aborts --group-mode --use-group-metadata > "$work/copier" 2>&1 || fail "transactional message copier"
committed "$run-out" 2001 > "$work/copied" 2> "$work/copied-errors" || true
[ "$(wc -l < "$work/copied")" = 2000 ] || fail "transactional message copier: $(wc -l < "$work/copied") of 2000 records"
transactions() { java_run $tools.TransactionsCommand --bootstrap-server "$broker" "$@"; }
transactions list > "$work/transactions" 2>&1
grep -q "$run-copier.*Complete\(Commit\|Abort\)" "$work/transactions" || fail "kafka-transactions list"
transactions describe --transactional-id "$run-copier" > "$work/transaction" 2>&1 || fail "kafka-transactions describe"
transactions describe-producers --topic "$run-out" --partition 0 > "$work/producers" 2>&1 || fail "kafka-transactions describe-producers"
[ "$(wc -l < "$work/producers")" -ge 2 ] || fail "kafka-transactions describe-producers: nobody"
transactions find-hanging --broker-id 0 > "$work/hanging" 2>&1 || fail "kafka-transactions find-hanging"
"${java[@]}" $tools.ProducerPerformance --bootstrap-server "$broker" --topic "$run-open" --num-records 100000 --record-size 10 --throughput 50 --transactional-id "$run-open" \
  --transaction-duration-ms 50000 > "$work/open" 2>&1 &
open=$!
for _ in $(seq 30); do transactions describe-producers --topic "$run-open" --partition 0 2> /dev/null | awk '$6 == "0" { open = 1 } END { exit !open }' && break; sleep 0.2; done
kill -9 $open
transactions abort --topic "$run-open" --partition 0 --start-offset 0 > "$work/abort" 2>&1 || fail "kafka-transactions abort"
transactions describe --transactional-id "$run-open" > "$work/aborted" 2>&1
grep -q CompleteAbort "$work/aborted" || fail "kafka-transactions abort: the transaction is still open"
ok "transactions: performance test, message copier with aborts, kafka-transactions, abort of an open one"

# Kafka Streams, exactly once.
java_run -Djava.io.tmpdir="$work" "$folder/test/clients/java/WordCount.java" "$broker" "$run-words" > "$work/word-count" 2>&1 || fail "Kafka Streams word count with exactly_once_v2"
ok "Kafka Streams: word count with exactly_once_v2"
store() { java_run -Djava.io.tmpdir="$work" "$folder/test/clients/java/WordCountStore.java" "$broker" "$run-store" "$1" > "$work/word-count-$1" 2>&1; }
store die && fail "Kafka Streams with a store: it did not die"
grep -q 'dies after' "$work/word-count-die" || fail "Kafka Streams with a store: first run"
store finish || fail "Kafka Streams with a store: restored after a kill"
ok "Kafka Streams: killed, and its store restored from a compacted changelog"
topic --delete --topic "$run" > "$work/drop"
ok "kafka-topics: delete"
