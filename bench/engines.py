#!/usr/bin/env python3
"""One query of bench.py's analytics by another engine, two threads, over Parquet files: prints the median of some runs in seconds, the rows of
the result and the engine's version. To be run by a Python that has the engines.

usage: engines.py duckdb|datafusion|polars|chdb FOLDER QUERY [RUNS]
"""
import os
import statistics
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "2"

BY_USER = "SELECT user_id, count(*) AS n, sum(amount) AS s, max(amount) AS m FROM {events} GROUP BY user_id"
BY_CATEGORY = "SELECT category, count(*) AS n, sum(amount) AS s, max(amount) AS m FROM {events} GROUP BY category"
TOP = ("SELECT category, event_id, amount FROM (SELECT category, event_id, amount, row_number() OVER (PARTITION BY category ORDER BY amount DESC, "
       "event_id) AS k FROM {events}) AS t WHERE k <= 10")
JOIN = "SELECT d.region, count(*) AS n, sum(e.amount * d.rate) AS s FROM {events} e JOIN {dim} d ON e.user_id % 100000 = d.dim_id GROUP BY 1"
WIDE = "SELECT e.event_id, e.amount, d.name, d.region FROM {events} e JOIN {dim} d ON e.user_id % 100000 = d.dim_id"
# What all understand that have SQL.
SQL = {
    "user": BY_USER,
    "category": BY_CATEGORY,
    "minute": "SELECT date_trunc('minute', ts) AS w, category, count(*) AS n FROM {events} GROUP BY 1, 2",
    "distinct": "SELECT date_trunc('minute', ts) AS w, count(DISTINCT user_id) AS n FROM {events} GROUP BY 1",
    "top10": TOP,
    "join": JOIN,
    "joinwide": WIDE,
    "asof": "SELECT e.category, count(*) AS n, sum(e.amount * r.rate) AS s FROM {events} e ASOF JOIN {rates} r ON e.category = r.category AND e.ts >= r.ts "
            "GROUP BY 1",
    "session": "SELECT user_id, session, min(ts) AS a, max(ts) AS b, count(*) AS n FROM (SELECT user_id, ts, sum(opens) OVER (PARTITION BY user_id ORDER BY ts "
               "ROWS UNBOUNDED PRECEDING) AS session FROM (SELECT user_id, ts, CASE WHEN ts - lag(ts) OVER (PARTITION BY user_id ORDER BY ts) <= "
               "INTERVAL 30 SECOND THEN 0 ELSE 1 END AS opens FROM {events})) GROUP BY 1, 2",
    "sliding": "SELECT event_id, sum(amount) OVER (PARTITION BY user_id ORDER BY ts ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS s FROM {events}",
}
# ClickHouse's own way for what it would do slowly otherwise.
CHDB = SQL | {
    "minute": "SELECT toStartOfMinute(ts) AS w, category, count() AS n FROM {events} GROUP BY w, category",
    "distinct": "SELECT toStartOfMinute(ts) AS w, uniqExact(user_id) AS n FROM {events} GROUP BY w",
    "top10": "SELECT category, event_id, amount FROM {events} ORDER BY category, amount DESC, event_id LIMIT 10 BY category",
    "join": "SELECT d.region, count(*) AS n, sum(e.amount * d.rate) AS s FROM (SELECT amount, user_id % 100000 AS k FROM {events}) e "
            "JOIN {dim} d ON e.k = d.dim_id GROUP BY 1",
}


def duckdb_runner(folder, query):
    import duckdb
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    names = {name: f"'{folder}/{name}.parquet'" for name in ("events", "dim", "rates")}
    text = f"CREATE OR REPLACE TEMP TABLE result AS {SQL[query].format(**names)}"
    return duckdb.__version__, lambda: connection.execute(text).fetchone()[0]


def datafusion_runner(folder, query):
    import datafusion
    context = datafusion.SessionContext(datafusion.SessionConfig({"datafusion.execution.target_partitions": "2", "datafusion.execution.time_zone": "UTC"}))
    for name in ("events", "dim"):
        context.register_parquet(name, f"{folder}/{name}.parquet")
    text = SQL[query].format(events="events", dim="dim")
    return datafusion.__version__, lambda: sum(batch.to_pyarrow().num_rows for batch in context.sql(text).execute_stream())


def chdb_runner(folder, query):
    import chdb
    from chdb import session
    connection = session.Session()
    names = {name: f"file('{folder}/{name}.parquet', Parquet)" for name in ("events", "dim")}

    def run():
        connection.query("DROP TABLE IF EXISTS result")
        connection.query(f"CREATE TEMPORARY TABLE result ENGINE = Memory AS {CHDB[query].format(**names)} SETTINGS max_threads = 2")
        return int(str(connection.query("SELECT count() FROM result")).strip())
    return chdb.__version__, run


def polars_runner(folder, query):
    import polars
    column = polars.col
    events, dim = polars.scan_parquet(f"{folder}/events.parquet"), polars.scan_parquet(f"{folder}/dim.parquet")
    totals = [polars.len().alias("n"), column("amount").sum().alias("s"), column("amount").max().alias("m")]
    minute = column("ts").dt.truncate("1m").alias("w")
    joined = events.with_columns((column("user_id") % 100000).cast(polars.Int64).alias("dim_id")).join(dim, on="dim_id")
    plans = {
        "user": lambda: events.group_by("user_id").agg(totals),
        "category": lambda: events.group_by("category").agg(totals),
        "minute": lambda: events.group_by(minute, "category").agg(polars.len()),
        "distinct": lambda: events.group_by(minute).agg(column("user_id").n_unique()),
        "top10": lambda: events.group_by("category").agg(polars.struct("amount", "event_id").top_k_by("amount", 10)).explode("amount"),
        "join": lambda: joined.group_by("region").agg(polars.len(), (column("amount").cast(polars.Float64) * column("rate")).sum()),
        "joinwide": lambda: joined.select("event_id", "amount", "name", "region"),
    }
    return polars.__version__, lambda: plans[query]().collect(engine="streaming").height


RUNNERS = {"duckdb": duckdb_runner, "datafusion": datafusion_runner, "polars": polars_runner, "chdb": chdb_runner}
# What each was given; the others have no as-of join or no window functions that are nearly as fast.
QUERIES = {"duckdb": list(SQL)} | {name: ["user", "category", "minute", "distinct", "top10", "join"] for name in ("datafusion", "polars", "chdb")}


def main():
    engine, folder, query = sys.argv[1:4]
    version, run = RUNNERS[engine](folder, query)
    seconds = []
    for _ in range(int(sys.argv[4]) if len(sys.argv) > 4 else 3):
        begin = time.monotonic()
        rows = run()
        seconds.append(time.monotonic() - begin)
    print(statistics.median(seconds), rows, version)


if __name__ == "__main__":
    main()
