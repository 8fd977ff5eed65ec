#!/bin/bash
# Runs kafka_security.py with the clients of kafka_clients.sh. Usage: kafka_security.sh HOST:PORT ..
KAFKA_CLIENTS=kafka_security.py exec bash "$(dirname "$0")/kafka_clients.sh" "$@"
