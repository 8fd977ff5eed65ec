#!/bin/bash
# The stock kcat against a running broker: produce, list, consume, timestamps, codecs, headers, tombstones, large messages.
# usage: kcat.sh HOST:PORT     exits non-zero at the first mismatch. Its topics stay (kcat cannot delete): use a server of the test's own.
set -euo pipefail

broker=${1:?usage: kcat.sh HOST:PORT}
command -v kcat >/dev/null || { echo "kcat.sh: kcat is not installed (apt-get install kcat)" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run=kcat-$$-$RANDOM  # topics of this run alone

same() {  # WHAT EXPECTED-FILE ACTUAL-FILE
  if ! cmp -s "$2" "$3"; then
    echo "kcat.sh: $1: not what was expected" >&2
    diff "$2" "$3" | head -20 >&2 || true
    exit 1
  fi
  echo "ok  $1"
}
produce() { kcat -b "$broker" -P "$@"; }
consume() { kcat -b "$broker" -C -q -e -X check.crcs=true -X fetch.wait.max.ms=50 "$@"; }

# Every codec, many records, in order.
seq 1 20000 | sed 's/$/ some text that compresses/' > "$work/lines"
for codec in none gzip snappy lz4 zstd; do
  produce -t "$run-$codec" -z "$codec" < "$work/lines"
  consume -t "$run-$codec" -o beginning > "$work/out"
  same "codec $codec" "$work/lines" "$work/out"
done

# Both ends of the log, and offsets inside a batch.
consume -t "$run-none" -o 19990 > "$work/out"
tail -n 10 "$work/lines" > "$work/expected"
same "from an offset" "$work/expected" "$work/out"
consume -t "$run-none" -o -5 > "$work/out"
tail -n 5 "$work/lines" > "$work/expected"
same "the last five" "$work/expected" "$work/out"

# Keys, headers, null values, empty values.
printf 'k1:v1\nk2:\n:v3\n' | produce -t "$run-keys" -K : -H name=value -H empty=
printf 'gone:\n' | produce -t "$run-keys" -K : -Z
consume -t "$run-keys" -o beginning -f '%k|%S|%s|%h\n' > "$work/out"
printf 'k1|2|v1|name=value,empty=\nk2|0||name=value,empty=\n|2|v3|name=value,empty=\ngone|-1||\n' > "$work/expected"
same "keys, headers, tombstones" "$work/expected" "$work/out"

# Offsets by time: kcat asks for the first record at or after s@ and before e@.
produce -t "$run-time" <<< "before"
sleep_until=$(( $(date +%s%3N) + 5 ))
while (( $(date +%s%3N) < sleep_until )); do :; done
middle=$(date +%s%3N)
printf 'one\ntwo\n' | produce -t "$run-time"
consume -t "$run-time" -o "s@$middle" > "$work/out"
printf 'one\ntwo\n' > "$work/expected"
same "records since a time" "$work/expected" "$work/out"
consume -t "$run-time" -o beginning -o "s@0" -o "e@$middle" > "$work/out"
echo before > "$work/expected"
same "records until a time" "$work/expected" "$work/out"
consume -t "$run-time" -o beginning -f '%T\n' | awk -v middle="$middle" '{ print (NR == 1) == ($1 < middle) ? "right" : "wrong" }' > "$work/out"
printf 'right\nright\nright\n' > "$work/expected"
same "timestamps of the producer" "$work/expected" "$work/out"
kcat -b "$broker" -Q -t "$run-time:0:$middle" | sed 's/.*offset //' > "$work/out"
echo 1 > "$work/expected"
same "offset of a time" "$work/expected" "$work/out"

# A large message, and an idempotent producer.
head -c 900000 /dev/zero | tr '\0' x > "$work/large"
produce -t "$run-large" "$work/large"
consume -t "$run-large" -o beginning -f '%s' > "$work/out"
same "a message of 900 KB" "$work/large" "$work/out"
produce -t "$run-idempotent" -X enable.idempotence=true -X batch.num.messages=100 < "$work/lines"
consume -t "$run-idempotent" -o beginning > "$work/out"
same "idempotent producer" "$work/lines" "$work/out"

# A group: reads all, and goes on behind what it committed.
member() { timeout 60 kcat -b "$broker" -q -X check.crcs=true -X auto.offset.reset=earliest "$@" -G "$run-group" "$run-none" 2> /dev/null; }
member -c 20000 > "$work/out"
same "all records in a group" "$work/lines" "$work/out"
printf 'a\nb\nc\n' > "$work/expected"
produce -t "$run-none" < "$work/expected"
member -c 3 > "$work/out"
same "the group goes on where it was" "$work/expected" "$work/out"

# Metadata: our topics and no internal one.
kcat -b "$broker" -L > "$work/metadata"
grep -q "topic \"$run-none\" with 1 partitions" "$work/metadata" || { echo "kcat.sh: topic missing from -L" >&2; exit 1; }
if grep -q 'topic "__' "$work/metadata"; then
  echo "kcat.sh: internal topics are listed" >&2
  exit 1
fi
kcat -b "$broker" -L -J | grep -q "\"topic\":\"$run-none\"" || { echo "kcat.sh: topic missing from -L -J" >&2; exit 1; }
echo "ok  metadata"
