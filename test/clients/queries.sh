#!/bin/bash
# Runs the catalog queries that clients were seen to send (queries/*.sql) against a running kappa; every one must work.
# Usage: queries.sh HOST PORT
set -u
host=${1:?usage: queries.sh HOST PORT}
port=${2:?usage: queries.sh HOST PORT}
status=0
for file in "$(dirname "$0")"/queries/*.sql; do
  if output=$(psql -X -q -h "$host" -p "$port" -U kappa -d kappa -v ON_ERROR_STOP=1 -f "$file" 2>&1 >/dev/null); then
    echo "$(basename "$file" .sql): all run"
  else
    printf 'FAILED %s\n%s\n' "$file" "$output"
    status=1
  fi
done
exit $status
