#!/bin/bash
# Runs node/kafkajs_test.js with KafkaJS from npm, in build/kafkajs. Usage: kafkajs.sh HOST:PORT
set -eu
folder=$(cd "$(dirname "$0")/../.." && pwd)
place=$folder/build/kafkajs
if [ ! -e "$place/ready" ]; then
  mkdir -p "$place"
  cp "$folder/test/clients/node/package.json" "$place/"
  (cd "$place" && npm install --silent --no-fund --no-audit)
  touch "$place/ready"
fi
NODE_PATH=$place/node_modules KAFKAJS_NO_PARTITIONER_WARNING=1 exec node "$folder/test/clients/node/kafkajs_test.js" "$@"
