"""kappa run beside batch engines, query by query, over one Parquet file of events: 1,000 a second and up to 2 s out of order, a million users of whom
few are busy, 100 categories, 200 bytes as JSON."""
import statistics
import subprocess

import engines

ENGINES = ("duckdb", "datafusion", "polars", "chdb")
PACKAGES = ("duckdb==2.0.0", "datafusion==55.0.0", "polars==2.1.0", "chdb==4.4.0", "pyarrow==26.0.1")

MAKE_FILES = """
import sys, duckdb
rows, folder = int(sys.argv[1]), sys.argv[2]
connection = duckdb.connect()
connection.execute("SET threads = 2; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
random = lambda salt, below: f"(hash(i * 8 + {salt}) % {below})::BIGINT"
connection.execute(f'''COPY (SELECT i AS event_id, to_timestamp(1767225600 + (i + {random(1, 2000)}) / 1000.0) AS ts,
  ((power(1e6, {random(2, 1 << 32)} / {1 << 32}.0)::BIGINT * 7919 + 13) % 1000003)::INTEGER AS user_id,
  'cat_' || lpad(({random(3, 1000)} * {random(4, 1000)} // 10000)::VARCHAR, 3, '0') AS category, ({random(5, 1000000)} / 100)::DECIMAL(12,2) AS amount,
  printf('%016x', (hash(i // 8) // 2)::BIGINT) AS session, '/shop/' || {random(6, 100000)} || '/item?ref=' || {random(7, 1 << 32)} || '&campaign=spring' AS url
  FROM range({rows}) t(i)) TO '{folder}/events.parquet' (FORMAT parquet, COMPRESSION snappy)''')
connection.execute(f'''COPY (SELECT i AS dim_id, 'name_' || i AS name, 'region_' || (i % 50) AS region, {random(8, 10000)} / 100.0 AS rate
  FROM range(100000) t(i)) TO '{folder}/dim.parquet' (FORMAT parquet)''')
connection.execute(f'''COPY (SELECT 'cat_' || lpad((i % 100)::VARCHAR, 3, '0') AS category, to_timestamp(1767225590 + i // 100 * 10) AS ts,
  (1 + {random(9, 1000)} / 1000.0)::DECIMAL(10,4) AS rate FROM range({rows // 10000 + 1} * 100) t(i)) TO '{folder}/rates.parquet' (FORMAT parquet)''')
"""

DECLARE = """
CREATE STREAM events (event_id bigint, ts timestamptz, user_id int, category text, amount numeric(12,2), session text, url text,
  WATERMARK FOR ts AS ts - INTERVAL '2 seconds');
CREATE TABLE dim (dim_id bigint PRIMARY KEY, name text, region text, rate float8);
CREATE STREAM rates (category text, ts timestamptz, rate numeric(10,4), WATERMARK FOR ts AS ts);
"""
SESSIONS = ("SELECT user_id, window_start, window_end, count(*) AS n FROM SESSION(events PARTITION BY user_id, ts, INTERVAL '30 seconds') "
            "GROUP BY user_id, window_start, window_end")


def warm_file(path):
    """Brings a file into the page cache: the other engines run a query again and again, and the kernel may take pages back meanwhile."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 22):
            pass


def query_of_kappa(name):
    return SESSIONS if name == "session" else engines.SQL[name].format(events="events", dim="dim", rates="rates")


class Analytics:
    """`bench` gives the folder, the program and how memory is warmed."""

    def __init__(self, bench, folder, python):
        self.bench, self.folder, self.python = bench, folder, python
        subprocess.run([python, "-c", MAKE_FILES, str(bench.events), str(folder)], check=True)

    def kappa(self, query, output):
        sql = self.folder / "query.sql"
        sql.write_text(f"{DECLARE}CREATE MATERIALIZED VIEW result AS {query_of_kappa(query)};\n")
        inputs = ["--input", f"events={self.folder}/events.parquet"]
        for name in ("dim", "rates"):
            if f"{name} " in query_of_kappa(query):
                inputs += ["--input", f"{name}={self.folder}/{name}.parquet"]
        runs = []
        for _ in range(3):
            for option in inputs[1::2]:
                warm_file(option.split("=", 1)[1])
            runs.append(self.bench.stats_of_run(sql, *inputs, "--output", f"result={output}", "--threads", "2"))
        return statistics.median(run["seconds"] for run in runs), runs[-1]

    def other(self, engine, query):
        self.bench.warm_memory()
        command = [self.python, str(engines.__file__), engine, str(self.folder), query]
        seconds, rows, version = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return float(seconds), int(rows), version

    def run(self, queries):
        ratios, versions = [], {}
        for query in queries or engines.SQL:
            dropped, _ = self.kappa(query, "blackhole:")
            kept, stats = self.kappa(query, self.folder / "result.parquet")
            rates = {}
            for engine in ENGINES:
                if query not in engines.QUERIES[engine]:
                    continue
                seconds, rows, versions[engine] = self.other(engine, query)
                rates[engine] = self.bench.events / seconds / 1e6
                # Sessions are cut alike, but the engines' own query gives bounds of events, not of windows.
                if engine == "duckdb" and rows != stats["views"]["result"]["rows"]:
                    raise SystemExit(f"bench: {query} gave {stats['views']['result']['rows']} rows, {engine} {rows}")
            best = max(rates, key=rates.get)
            ours = self.bench.events / dropped / 1e6
            ratios.append(ours / rates[best])
            others = ", ".join(f"{engine} {rate:.1f}" for engine, rate in rates.items())
            self.bench.note(f"{query:<9} kappa {ours:6.2f} M rows/s dropped, {self.bench.events / kept / 1e6:6.2f} kept, {stats['peak_rss_bytes'] >> 20} MiB; "
                            f"{others}; {ratios[-1]:.2f} of {best}")
        self.bench.note(f"geometric mean {statistics.geometric_mean(ratios):.2f} of the best; {', '.join(f'{e} {v}' for e, v in versions.items())}")
