#!/bin/bash
# Runs kafka_transactions.py with the clients of kafka_clients.sh. Usage: kafka_transactions.sh HOST:PORT ..
KAFKA_CLIENTS=kafka_transactions.py exec bash "$(dirname "$0")/kafka_clients.sh" "$@"
