#!/bin/bash
# Runs kafka_clients.py with released clients from the package index, in a virtual environment under build/. Usage: kafka_clients.sh HOST:PORT ..
set -eu
folder=$(cd "$(dirname "$0")/../.." && pwd)
venv=$folder/build/kafka-venv
if [ ! -e "$venv/ready" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check confluent-kafka==2.16.1 kafka-python==3.0.12 aiokafka==0.14.0 \
    python-snappy==0.7.3 lz4==4.4.5 zstandard==0.25.0 cramjam==2.14.0
  touch "$venv/ready"
fi
exec "$venv/bin/python" "$folder/test/clients/${KAFKA_CLIENTS:-kafka_clients.py}" "$@"
