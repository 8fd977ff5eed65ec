#!/bin/bash
# What a person does with psql against a running kappa: DDL, reads, the backslash commands, errors, cancel.
# Usage: psql.sh HOST PORT. Exit status 1 when something differs.
set -u
host=${1:?usage: psql.sh HOST PORT}
port=${2:?usage: psql.sh HOST PORT}
export PGCONNECT_TIMEOUT=10 PGCLIENTENCODING=UTF8 PAGER=
failures=0
# A topic of its own: records outlive a dropped stream, and the next stream on the topic would show them.
topic=client_orders_$(date +%s%N)

run() { psql -X -h "$host" -p "$port" -U kappa -d kappa "$@" 2>&1; }
# expect NAME TEXT.. -- PSQL ARGUMENTS: every TEXT is a line (or part of one) of the output.
expect() {
  local name=$1 text output wanted=()
  shift
  while [ "$1" != "--" ]; do wanted+=("$1"); shift; done
  shift
  output=$(run "$@")
  for text in "${wanted[@]}"; do
    if ! grep -qF -- "$text" <<<"$output"; then
      printf 'FAILED %s: no line has "%s" in\n%s\n\n' "$name" "$text" "$output"
      failures=$((failures + 1))
    fi
  done
}
# refuse NAME TEXT -- PSQL ARGUMENTS: no line has TEXT.
refuse() {
  local name=$1 text=$2 output
  shift 3
  output=$(run "$@")
  if grep -qF -- "$text" <<<"$output"; then
    printf 'FAILED %s: a line has "%s" in\n%s\n\n' "$name" "$text" "$output"
    failures=$((failures + 1))
  fi
}

run -q -c 'DROP MATERIALIZED VIEW IF EXISTS client_spend' -c 'DROP STREAM IF EXISTS client_orders' -c 'DROP TABLE IF EXISTS client_users' >/dev/null

expect "create" "CREATE STREAM" "CREATE TABLE" "CREATE MATERIALIZED VIEW" -- \
  -c "CREATE STREAM client_orders (order_id text, user_id text, amount numeric(12,2), ts timestamptz, WATERMARK FOR ts AS ts - INTERVAL '30 seconds')
      WITH (topic = '$topic', partitions = 2, key = 'user_id', format = 'json')" \
  -c "CREATE TABLE client_users (user_id text PRIMARY KEY, name text)" \
  -c "CREATE MATERIALIZED VIEW client_spend AS SELECT user_id, count(*) AS orders, sum(amount) AS spent FROM client_orders GROUP BY user_id"
expect "insert" "INSERT 0 3" "INSERT 0 1" -- \
  -c "INSERT INTO client_orders VALUES ('o1', 'ada', 10.50, '2026-01-01 00:00:00Z'), ('o2', 'ada', 4.50, '2026-01-01 00:00:10Z'), ('o3', 'bob', 1, NULL)" \
  -c "INSERT INTO client_users VALUES ('ada', 'Ada')"

expect "read its own writes" "ada|2|15.00" "bob|1|1.00" -- -At -c "SELECT user_id, orders, spent FROM client_spend ORDER BY user_id"
expect "join" "Ada|15.00" -- -At -c "SELECT u.name, s.spent FROM client_spend s JOIN client_users u ON u.user_id = s.user_id"
expect "several statements" "1" "2" -- -At -c "SELECT 1; SELECT 2"
expect "results before an error" "4711" 'ERROR:  column "nothing" does not exist' -- -At -c "SELECT 4711; SELECT nothing FROM client_spend"
expect "position of an error" 'ERROR:  column "nothing" does not exist' "LINE 1: SELECT nothing FROM client_spend" "               ^" -- \
  -c "SELECT nothing FROM client_spend"
expect "SQLSTATE" "42703" -- -v VERBOSITY=verbose -c "SELECT nothing FROM client_spend"

for command in '\d' '\dt' '\dm' '\dv' '\di' '\dn' '\l' '\du' '\df' '\dT' '\d client_orders' '\d client_users' '\d client_spend' '\d+ client_spend' '\d client_users_pkey' \
    '\d pg_class' '\d kappa.views' '\dS pg_type' '\sv client_spend' '\dp' '\dD' '\dx' '\des' '\det'; do
  refuse "$command" "ERROR" -- -c "$command"
done
expect '\d' " public | client_orders" "foreign table" "materialized view" " public | client_users" -- -c '\d'
refuse '\d hides system relations' "pg_class" -- -c '\d'
expect '\dm' "client_spend" -- -c '\dm'
refuse '\dm shows views only' "client_orders" -- -c '\dm'
expect '\dt' "client_users" -- -c '\dt'
expect '\di' "client_users_pkey" -- -c '\di'
expect '\dn' "kappa" "public" -- -c '\dn'
expect '\l' "UTF8" -- -c '\l'
expect '\d STREAM' 'Foreign table "public.client_orders"' "amount   | numeric(12,2)" "ts       | timestamp with time zone" "Server: kappa_log" \
  "topic '$topic'" "partitions '2'" -- -c '\d client_orders'
expect '\d TABLE' 'Table "public.client_users"' "user_id | text |           | not null" '"client_users_pkey" PRIMARY KEY, btree (user_id)' -- -c '\d client_users'
expect '\d VIEW' 'Materialized view "public.client_spend"' "orders  | bigint" "spent   | numeric" -- -c '\d client_spend'
expect '\d+ VIEW' "View definition:" "FROM client_orders" -- -c '\d+ client_spend'
expect '\d of nothing' 'Did not find any relation named "client_nothing".' -- -c '\d client_nothing'
expect "information_schema" "client_spend|orders|bigint" -- -At -c \
  "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name = 'client_spend' AND column_name = 'orders'"
expect "version" "PostgreSQL 15" -- -At -c "SELECT version()"
expect "settings" "Asia/Tokyo" "2026-01-01 09:00:00+09" -- -At -c "SET TimeZone = 'Asia/Tokyo'; SHOW TimeZone" \
  -c "SET TimeZone = 'Asia/Tokyo'; SELECT min(ts) FROM client_orders"

expect "drop" "DROP MATERIALIZED VIEW" "DROP STREAM" "DROP TABLE" -- \
  -c "DROP MATERIALIZED VIEW client_spend" -c "DROP STREAM client_orders" -c "DROP TABLE client_users"

[ "$failures" -eq 0 ] && echo "psql: all as expected"
exit $((failures > 0))
