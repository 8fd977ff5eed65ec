#!/usr/bin/env python3
"""Measures kappa on this machine. Every figure is printed with what it was measured on; nothing is asserted.

  run        kappa run: totals per user over a 10 M event file (1 M users, 200 bytes an event), into blackhole: and kept
  live       the same events through the Kafka wire from one librdkafka producer, with fsync, into a live view
  freshness  50,000 events/s: from durable to visible, as the server's own histogram tells
  recovery   kill -9 with 1 M groups: time until the first right answer
  state      keyed updates with all state in memory, with twice and ten times more state than --state-memory; memory of a row
  keyed      updates of groups in memory on one core, with up to ten million keys
  startup    time from start to serving, empty folder
  nexmark    every Nexmark query in batch mode, two partitions, two threads, its view computed and dropped
  duckdb     totals per user over the same JSON file, kappa run and DuckDB in turn
  analytics  group-by, distinct, top-N, joins, as-of, sessions and sliding sums over a Parquet file: kappa run, DuckDB, DataFusion, Polars, chDB
  log        the broker beside Apache Kafka with and without fsync: append, latency, consume, start, recovery, idle memory, connections
  disk       4 KiB write + fdatasync of this disk, the limit of everything above

usage: bench.py --kappa PROGRAM [--events N] [--queries q0,q1,..] [--format json|parquet] [--flink KIT] [NAME..]
       bench.py --kappa PROGRAM log [--parts append,latency,..] [--cells REGEX] [--full] [--seconds S] [--brokers kappa,kafka,kafka-fsync] [--gigabytes N]
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))
import analytics  # noqa: E402
import log_bench  # noqa: E402
import server  # noqa: E402

STREAM = ("CREATE STREAM events (event_id bigint, user_id text, category text, amount numeric(12,2), quantity int, ts timestamptz, "
          "WATERMARK FOR ts AS ts - INTERVAL '5 seconds');")
VIEW = "CREATE MATERIALIZED VIEW totals AS SELECT user_id, count(*) AS events, sum(amount) AS spent, max(ts) AS last FROM events GROUP BY user_id;"


# M events/s of Flink 2.3 SQL, best of several settings, on a machine of this kind (2 cores of AMD EPYC): what its kit reached. For the ratio where
# Flink is not run beside kappa (--flink).
FLINK_JSON = {"q0": 1.42, "q1": 1.42, "q2": 1.91, "q3": 5.38, "q4": 0.48, "q5": 0.91, "q7": 0.28, "q8": 4.06, "q9": 0.26, "q10": 0.55, "q11": 0.68, "q12": 1.15,
              "q13": 1.50, "q14": 1.26, "q15": 1.19, "q16": 0.40, "q17": 0.89, "q18": 0.53, "q19": 0.44, "q20": 0.42, "q21": 0.63, "q22": 1.21, "q23": 0.33}
FLINK_PARQUET = {"q0": 4.4, "q3": 15.5, "q4": 0.53, "q5": 1.45, "q7": 0.32, "q9": 0.26, "q11": 1.3, "q15": 2.0, "q16": 0.40, "q17": 1.6, "q18": 0.62, "q19": 0.50,
                 "q20": 0.38, "q21": 0.72, "q23": 0.35}
# The JSON lines as Parquet with the same rows in the same order, times as timestamps.
NEXMARK_PARQUET = """
import sys, duckdb
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'; SET threads = 2; SET enable_progress_bar = false")
for path in sys.argv[1:]:
    read = f"read_json('{path}', format = 'newline_delimited')"
    columns = [row[0] for row in connection.execute(f"DESCRIBE FROM {read}").fetchall()]
    chosen = ", ".join(f'make_timestamp("{name}" * 1000) AS "{name}"' if name in ("dateTime", "expires") else f'"{name}"' for name in columns)
    connection.execute(f"COPY (SELECT {chosen} FROM {read}) TO '{path.removesuffix('.jsonl')}.parquet' (FORMAT parquet)")
"""
DUCKDB = """
import sys, time, duckdb
connection = duckdb.connect()
connection.execute("SET threads = 2; SET enable_progress_bar = false")
columns = "{event_id: 'BIGINT', user_id: 'VARCHAR', category: 'VARCHAR', amount: 'DECIMAL(12,2)', quantity: 'INTEGER', ts: 'TIMESTAMPTZ'}"
begin = time.monotonic()
rows = connection.execute(f"SELECT count(*), sum(events) FROM (SELECT user_id, count(*) AS events, sum(amount) AS spent, max(ts) AS last FROM "
                          f"read_json('{sys.argv[1]}', format = 'newline_delimited', columns = {columns}) GROUP BY user_id)").fetchall()
print(time.monotonic() - begin, rows[0][0], rows[0][1], duckdb.__version__)
"""


TOUCH = """
import ctypes, mmap
available = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemAvailable")) << 10
size = min(3 << 30, available // 2) >> 21 << 21
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_HUGEPAGE)
ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(memory)), 1, size)
"""


class Bench:
    def __init__(self, kappa, events):
        self.kappa, self.events = str(pathlib.Path(kappa).resolve()), events
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-bench-", dir=os.environ.get("KAPPA_BENCH_DIR")))

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def input(self, events=None):
        events = events or self.events
        path = self.folder / f"events-{events}.jsonl"
        if not path.exists():
            subprocess.run([self.kappa, "generate", str(path), "--events", str(events), "--users", "1000000"], check=True)
        return path

    @staticmethod
    def wait_rows(connection, events, seconds=300):
        deadline = time.monotonic() + seconds
        while (rows := int(connection.rows("SELECT rows FROM kappa.streams")[0][0])) < events:
            if time.monotonic() > deadline:
                sys.exit(f"bench: only {rows} of {events} events are in the view after {seconds} s")
            time.sleep(0.005)

    def note(self, text):
        print(f"  {text}", flush=True)

    def server(self, name):
        return server.Server(self.kappa, self.folder / name)

    def run(self):
        path = self.input()
        sql = self.folder / "totals.sql"
        sql.write_text(STREAM + "\n" + VIEW + "\n")
        for threads in (1, 2):
            for output in ("totals=blackhole:", f"totals={self.folder}/totals.csv"):
                rates = []
                for _ in range(3):
                    figures = self.stats_of_run(sql, "--input", f"events={path}", "--output", output, "--threads", str(threads))
                    rates.append(figures["events_per_second"])
                kind = "dropped" if "blackhole" in output else "kept   "
                self.note(f"{threads} thread{'s' if threads > 1 else ' '} view {kind}: median {statistics.median(rates) / 1e6:.2f} M events/s "
                          f"(min {min(rates) / 1e6:.2f}, max {max(rates) / 1e6:.2f}), peak memory {figures['peak_rss_bytes'] >> 20} MiB")

    @staticmethod
    def warm_memory():
        """Touches free memory, for all programs that are measured alike: in a virtual machine the first touch of a page may have to wait for
        the host, at a tenth of the usual speed, and what a run measures then is the host."""
        subprocess.run([sys.executable, "-c", TOUCH], check=True)  # not here: a child's peak memory begins with its parent's

    def stats_of_run(self, sql, *arguments):
        """The figures that `kappa run` writes."""
        self.warm_memory()
        stats = self.folder / "stats.json"
        subprocess.run([self.kappa, "run", str(sql), *arguments, "--stats", str(stats)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.loads(stats.read_text())

    def nexmark(self):
        folder = self.folder / "nexmark"
        subprocess.run([self.kappa, "generate", "--nexmark", str(folder), "--events", str(self.events), "--parts", "2"], check=True)
        flink_figures = FLINK_JSON
        if self.format == "parquet":
            flink_figures = FLINK_PARQUET
            lines = sorted(folder.glob("*.jsonl"))
            subprocess.run([self.duckdb_python(), "-c", NEXMARK_PARQUET, *map(str, lines)], check=True)
            for path in lines:
                path.unlink()
        suffix = "parquet" if self.format == "parquet" else "jsonl"
        queries = ROOT / "test/sql/nexmark"
        ratios = []
        for path in sorted(queries.glob("q*.sql"), key=lambda path: int(path.stem[1:])):
            if self.queries and path.stem not in self.queries:
                continue
            name, text = path.stem, path.read_text().strip().rstrip(";")
            sql = self.folder / f"{name}.sql"
            sql.write_text((queries / "schema.sql").read_text() + f"CREATE MATERIALIZED VIEW {name} AS\n{text};\n")
            inputs = [f"{kind}={folder}/{kind}-0.{suffix},{folder}/{kind}-1.{suffix}" for kind in ("person", "auction", "bid") if re.search(rf"(FROM|JOIN|,|\()\s*{kind}\b", text)]
            arguments = [word for one in [*inputs, f"side_input={folder}/side_input.csv"] for word in ("--input", one)]
            figures = [self.stats_of_run(sql, *arguments, "--output", f"{name}=blackhole:", "--threads", "2") for _ in range(3)]
            rates = [self.events / one["seconds"] / 1e6 for one in figures]
            flink = self.flink_rate(folder, name) if self.flink else flink_figures.get(name)
            if flink:
                ratios.append(statistics.median(rates) / flink)
            self.note(f"{name:<4} median {statistics.median(rates):6.2f} M events/s (min {min(rates):.2f}, max {max(rates):.2f}), peak memory "
                      f"{max(one['peak_rss_bytes'] for one in figures) >> 20:5} MiB" + (f", {ratios[-1]:5.1f} times Flink's {flink:.2f}" if flink else ""))
        if ratios:
            self.note(f"geometric mean of the ratios to Flink: {statistics.geometric_mean(ratios):.1f}")

    def flink_rate(self, folder, name):
        """M events/s of Flink SQL over the same files, by a kit whose `flink-nexmark DATA QUERY json hashmap` prints a line of tab-separated figures,
        the sixth of them events/s; None for what Flink cannot run. The kit warms its JVM and takes the median of three runs by itself."""
        def kit_folder(files, path, events):
            for kind in ("person", "auction", "bid"):
                (path / kind).mkdir(parents=True, exist_ok=True)
                for part in (0, 1):
                    target = path / kind / f"part-{part}.jsonl"
                    if not target.exists():
                        target.symlink_to(files / f"{kind}-{part}.jsonl") if files else target.touch()
            if files:  # the kit's has no header
                (path / "side_input.csv").write_text((files / "side_input.csv").read_text().split("\n", 1)[1])
            (path / "events.count").write_text(f"{events}\n")
            return path

        warm = self.folder / "warm"
        if not warm.exists():
            subprocess.run([self.kappa, "generate", "--nexmark", str(warm), "--events", "1000000", "--parts", "2"], check=True)
        data = kit_folder(folder, self.folder / "flink/data", self.events)
        empty = kit_folder(None, self.folder / "flink/empty", 0)
        shutil.copy(data / "side_input.csv", empty)
        environment = os.environ | {"WARM_DIR": str(kit_folder(warm, self.folder / "flink/warm", 1_000_000)), "EMPTY_DIR": str(empty), "TMP_DIR": str(self.folder)}
        run = subprocess.run([self.flink / "flink-nexmark", str(data), name, "json", "hashmap"], env=environment, check=True, capture_output=True, text=True)
        figures = run.stdout.split("\t")
        return float(figures[5]) / 1e6 if len(figures) > 5 else None

    @staticmethod
    def python_with(name, *packages):
        """The Python of an environment in build/ that has these packages."""
        venv = ROOT / "build" / name
        done = venv / ".done"
        if not done.exists() or done.read_text() != "\n".join(packages):
            shutil.rmtree(venv, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
            subprocess.run([str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check", *packages], check=True)
            done.write_text("\n".join(packages))
        return str(venv / "bin/python")

    def duckdb_python(self):
        return self.python_with("duckdb", "duckdb==2.0.0")

    def analytics(self):
        python = self.python_with("engines", *analytics.PACKAGES)
        folder = self.folder / "analytics"
        folder.mkdir(exist_ok=True)
        analytics.Analytics(self, folder, python).run(self.queries)

    def duckdb(self):
        python = self.duckdb_python()
        path = self.input()
        sql = self.folder / "totals.sql"
        sql.write_text(STREAM + "\n" + VIEW + "\n")
        ours, theirs = [], []
        for _ in range(3):
            ours.append(self.stats_of_run(sql, "--input", f"events={path}", "--output", f"totals={self.folder}/totals.csv", "--threads", "2")["events_per_second"])
            self.warm_memory()
            seconds, groups, events, version = subprocess.run([python, "-c", DUCKDB, str(path)], check=True, capture_output=True, text=True).stdout.split()
            theirs.append(float(events) / float(seconds))
        self.note(f"kappa {statistics.median(ours) / 1e6:.2f} M events/s (view kept), DuckDB {version} {statistics.median(theirs) / 1e6:.2f} M events/s, {groups} groups: "
                  f"{statistics.median(ours) / statistics.median(theirs):.2f} times")

    def live(self):
        events = min(self.events, 3_000_000)
        path = self.input(events)
        instance = self.server("live").start()
        instance.run("sql", "-c", STREAM + VIEW)
        begin = time.monotonic()
        out = json.loads(instance.run("topic", "produce", "events", str(path), "--json")[1].strip().splitlines()[-1])
        connection = instance.connect()
        self.wait_rows(connection, events)
        seconds = time.monotonic() - begin
        self.note(f"one producer, fsync'd: {out['records_per_second'] / 1e3:.0f} K events/s acknowledged, {events / seconds / 1e3:.0f} K events/s until all {events} were in the view")
        sql = self.folder / "totals.sql"
        sql.write_text(STREAM + "\n" + VIEW + "\n")
        replays, batches = [], []
        for turn in range(3):
            self.warm_memory()
            begin = time.monotonic()
            instance.run("sql", "-c", VIEW.replace("totals", f"totals{turn}"))  # comes back when the log has been replayed
            replays.append(events / (time.monotonic() - begin))
            instance.run("sql", "-c", f"DROP MATERIALIZED VIEW totals{turn}")
            batches.append(self.stats_of_run(sql, "--input", f"events={path}", "--output", f"totals={self.folder}/totals.csv", "--threads", "2")["events_per_second"])
        ours, batch = statistics.median(replays), statistics.median(batches)
        self.note(f"a new view over the log: {ours / 1e6:.2f} M events/s replayed; kappa run on the file, view kept: {batch / 1e6:.2f}; {ours / batch:.2f} times")
        instance.stop()

    def freshness(self):
        seconds = 20
        path = self.input(50_000 * seconds)
        instance = self.server("fresh").start()
        instance.run("sql", "-c", STREAM + VIEW)
        instance.run("topic", "produce", "events", str(path), "--rate", "50000", "--json")
        with urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics") as answer:
            metrics = answer.read().decode()
        buckets = [(float(m[1].replace("+Inf", "inf")), int(m[2])) for m in re.finditer(r'kappa_freshness_seconds_bucket{le="([^"]+)"} (\d+)', metrics)]
        total = buckets[-1][1]
        figure = {share: next(bound for bound, count in buckets if count >= share * total) * 1000 for share in (0.5, 0.99, 0.999)}
        self.note(f"50 K events/s for {seconds} s, {total} epochs: durable to visible p50 <= {figure[0.5]:.2f} ms, p99 <= {figure[0.99]:.2f} ms, p99.9 <= {figure[0.999]:.2f} ms (bucket bounds)")
        instance.stop()

    def recovery(self):
        events = min(self.events, 4_000_000)
        path = self.input(events)
        instance = self.server("recover").start()
        instance.run("sql", "-c", STREAM + VIEW)
        instance.run("topic", "produce", "events", str(path), "--json")
        connection = instance.connect()
        self.wait_rows(connection, events)
        answer = connection.rows("SELECT count(*), sum(events) FROM totals")
        for case, pause in (("right after the load", 0), ("after a checkpoint", 25)):
            time.sleep(pause)
            instance.kill()
            begin = time.monotonic()
            instance.start()
            again = instance.connect().rows("SELECT count(*), sum(events) FROM totals")
            seconds = time.monotonic() - begin
            status = json.loads(urllib.request.urlopen(f"http://{instance.endpoints['http']}/v1/status").read())
            self.note(f"kill -9 {case}, {answer[0][0]} groups: right answer after {seconds * 1000:.0f} ms (engine recovered in {status['recovery_ms']:.0f} ms), {'equal' if again == answer else f'DIFFERENT: {answer} before, {again} after'}")
        instance.stop()

    def state(self):
        events = min(self.events, 3_000_000)
        path = self.folder / f"state-{events}.jsonl"
        subprocess.run([self.kappa, "generate", str(path), "--events", str(events), "--users", str(events // 3 * 2)], check=True)

        def run(query, limit=0, output="blackhole:"):
            sql = self.folder / "state.sql"
            sql.write_text(f"{STREAM}\nCREATE MATERIALIZED VIEW v AS {query};\n")
            return self.stats_of_run(sql, "--input", f"events={path}", "--output", f"v={output}", "--threads", "2", "--state-memory", str(limit), "--spill-dir", str(self.folder))

        totals = "SELECT user_id, count(*) AS events, sum(amount) AS spent, max(ts) AS last FROM events GROUP BY user_id"
        whole = run(totals)
        groups, size = whole["views"]["v"]["changes"], whole["state_bytes"]
        self.note(f"{events} events of {groups} keys, {size >> 20} MiB of state, all in memory: {whole['events_per_second'] / 1e3:.0f} K events/s")
        for times in (2, 10):
            one = run(totals, limit=size // times)
            self.note(f"state {times:2} times --state-memory ({size // times >> 20} MiB): {one['events_per_second'] / 1e3:.0f} K events/s, peak memory {one['peak_rss_bytes'] >> 20} MiB")
        rows = self.bytes_of_rows(path, {
            "a group": (f"SELECT count(*) AS c, max(spent) AS m FROM ({totals}) x", groups),
            "a row of a view of four columns": ("SELECT user_id, event_id, amount, ts FROM events", events),
            "a row of a join's side": ("SELECT count(*) AS c FROM events a JOIN events b ON a.event_id = b.event_id + 1000000000", events * 2),
            "a row of an as-of join's side": ("SELECT count(*) AS c, max(b.amount) AS m FROM events a ASOF JOIN events b ON a.user_id = b.user_id AND a.event_id > b.event_id", events * 2),
            "a row of a top-N": ("SELECT count(*) AS c, max(amount) AS m FROM (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY amount DESC) AS r FROM events) x WHERE r <= 3", events),
            "a row of window functions": ("SELECT count(*) AS c, max(s) AS m FROM (SELECT sum(amount) OVER (PARTITION BY user_id ORDER BY event_id) AS s FROM events) x", events),
            "a value of string_agg": ("SELECT count(*) AS c, max(length(s)) AS m FROM (SELECT string_agg(category, ',' ORDER BY event_id) AS s FROM events GROUP BY user_id) x", events),
        })
        self.note("bytes of state: " + ", ".join(f"{name} {size:.0f}" for name, size in rows.items()))

    def bytes_of_rows(self, path, queries):
        """Bytes that the state of each query's view takes, by the number of rows that it keeps."""
        instance = self.server("rows").start()
        instance.run("sql", "-c", STREAM)
        instance.run("topic", "produce", "events", str(path))
        connection = instance.connect()

        def status():
            with urllib.request.urlopen(f"http://{instance.endpoints['http']}/v1/status") as answer:
                return json.load(answer)

        sizes, empty = {}, status()["state_memory"]["used_bytes"]
        for name, (query, rows) in queries.items():
            connection.query(f"CREATE MATERIALIZED VIEW rows AS {query}")
            while (now := status())["views"][0]["versions"][0]["state"] != "serving": time.sleep(0.05)
            sizes[name] = (now["state_memory"]["used_bytes"] - empty) / rows
            connection.query("DROP MATERIALIZED VIEW rows")
            while status()["state_memory"]["used_bytes"] > empty + (1 << 20): time.sleep(0.05)
        instance.stop()
        return sizes

    def keyed(self):
        program = pathlib.Path(self.kappa).parent / "src/hash_aggregate_bench"
        for groups in (100, 1_000_000, 10_000_000):
            self.warm_memory()
            out = subprocess.run([program, str(max(self.events, 2 * groups)), str(groups)], check=True, capture_output=True, text=True).stdout
            first, again = re.findall(r"([\d.]+) M rows/s", out)
            self.note(f"{groups:>10} text keys, one core, count and two sums: {first} M rows/s while they are new, {again} afterwards")

    def startup(self):
        times = []
        for turn in range(5):
            instance = self.server(f"empty{turn}")
            begin = time.monotonic()
            instance.start()
            times.append((time.monotonic() - begin) * 1000)
            instance.stop()
        self.note(f"start to serving, empty folder: median {statistics.median(times):.0f} ms (min {min(times):.0f}, max {max(times):.0f})")

    def log(self):
        log_bench.LogBench(self.kappa, self.folder, self.note, self.log_options).run()

    def disk(self):
        path = self.folder / "disk"
        with open(path, "wb", buffering=0) as file:
            times = []
            for _ in range(500):
                begin = time.monotonic()
                file.write(b"\0" * 4096)
                os.fdatasync(file.fileno())
                times.append((time.monotonic() - begin) * 1000)
        times.sort()
        self.note(f"4 KiB append + fdatasync: p50 {times[250]:.2f} ms, p99 {times[495]:.2f} ms")


def main():
    parser = argparse.ArgumentParser(description="Measures kappa on this machine.")
    parser.add_argument("--kappa", required=True)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--queries", help="of nexmark, as q0,q5, or of analytics; all unless given")
    parser.add_argument("--format", choices=["json", "parquet"], default="json", help="of nexmark's files")
    parser.add_argument("--flink", type=pathlib.Path, help="folder of a kit that runs Flink: nexmark runs it over the same JSON files, in turn")
    log = parser.add_argument_group("log")
    log.add_argument("--parts", type=lambda text: text.split(","), default=list(log_bench.PARTS), help=f"of {', '.join(log_bench.PARTS)}")
    log.add_argument("--cells", help="only points whose name matches: 2x4x200-lz4 of append (producers x partitions x bytes), 50000 or half of latency, 200-none of consume")
    log.add_argument("--full", action="store_true", help="all 24 cells of append")
    log.add_argument("--seconds", type=float, default=4, help="for each point, after one to warm up")
    log.add_argument("--brokers", type=lambda text: text.split(","), default=["kappa", "kafka", "kafka-fsync"])
    log.add_argument("--gigabytes", type=float, default=10, help="of log for start")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    every = ["disk", "startup", "run", "live", "freshness", "recovery", "state", "keyed", "duckdb", "analytics", "log", "nexmark"]
    names = arguments.names or every
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    print(f"{os.cpu_count()} cores of {processor}, load {os.getloadavg()[0]:.1f} before", flush=True)
    bench = Bench(arguments.kappa, arguments.events)
    bench.queries = arguments.queries.split(",") if arguments.queries else []
    bench.format = arguments.format
    bench.flink = arguments.flink
    bench.log_options = arguments
    if bench.flink and (bench.format != "json" or not os.access(bench.flink / "flink-nexmark", os.X_OK)):
        sys.exit(f"bench: --flink takes a folder with the program flink-nexmark, and JSON files; {bench.flink} has none" if bench.format == "json"
                 else "bench: --flink compares over JSON files only")
    try:
        for name in names:
            if name not in every:
                sys.exit(f"bench: there is no {name!r}; there are {', '.join(every)}")
            print(name, flush=True)
            getattr(bench, name)()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
