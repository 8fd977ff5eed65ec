#!/usr/bin/env python3
"""Goal: state that is ten times --state-memory gives the same answers, in bounded memory, also after kill -9; a full disk is told
and waited for. Method: wide keys under small bounds; memory as the system counts it; a limit on file sizes stands for a full disk."""
import contextlib
import filecmp
import json
import os
import random
import re
import resource
import subprocess
import threading
import time
import urllib.request

import harness
from harness import equal, eventually

MIB = 1 << 20
LIMIT = 16 * MIB
SLACK = 24 * MIB  # an eighth of the bound and some slabs before work waits for the disk; what is fetched at that moment
SQL = ("CREATE STREAM e (k text, v int); CREATE MATERIALIZED VIEW t AS "
       "SELECT k, count(*) AS n, sum(v) AS s, max(v) AS m FROM e GROUP BY k;")
ANSWER = "SELECT count(*), sum(n), sum(s), sum(m), sum(length(k)) FROM t"


def write_events(path, keys, events, width):
    random.seed(7)
    with open(path, "w") as file:
        for i in range(events):
            key = i if i < keys else random.randrange(keys)
            at = "2026-01-01T00:%02d:%02dZ" % (i * 60 // events, i % 60)
            file.write('{"k":"%d%s","v":%d,"ts":"%s"}\n' % (key, chr(97 + key % 26) * width, random.randrange(1000), at))
    return path


def status(instance):
    with urllib.request.urlopen(f"http://{instance.endpoints['http']}/v1/status") as answer:
        return json.load(answer)


def digest(instance):
    return status(instance)["views"][0]["versions"][0]["digest"]


# Huge pages for slabs alone, so that they can be told from other memory.
os.environ["MALLOC_CONF"] = "thp:default"


def state_resident(pid):
    """Bytes of the spill file and of slabs in memory, from the system."""
    total = name = rss = 0
    for line in open(f"/proc/{pid}/smaps"):
        words = line.split()
        if "-" in words[0] and ":" not in words[0]:
            name = " ".join(words[5:])
        elif words[0] == "Rss:":
            rss = int(words[1]) * 1024
        elif words[0] == "VmFlags:" and ("hg" in words or "(deleted)" in name):
            total += rss
    return total


def resident(pid):
    return int(open(f"/proc/{pid}/statm").read().split()[1]) * 4096


def anonymous(pid):
    """Bytes in memory that are of no file."""
    return next(int(line.split()[1]) * 1024 for line in open(f"/proc/{pid}/status") if line.startswith("RssAnon"))


@contextlib.contextmanager
def watching(look):
    """What `look` gives again and again meanwhile."""
    seen, stop = [look()], threading.Event()

    def watch():
        while not stop.wait(0.05):
            seen.append(look())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def run(scratch, sql, path, *flags, **options):
    return subprocess.run([scratch.kappa, "run", str(sql), "--input", f"e={path}", "--output", "t=blackhole:" if "--drop" in flags else f"t={scratch.folder}/t.csv",
                           "--stats", f"{scratch.folder}/stats.json", *[flag for flag in flags if flag != "--drop"]],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **options)


def held_in_columns(scratch, query, events):
    """A run keeps the rows of some operators in columns; when those reach their share of the bound, they go to pages, which may spill."""
    path = write_events(scratch.folder / "e.jsonl", 500, events, 6)
    sql = scratch.folder / "t.sql"
    sql.write_text(f"CREATE STREAM e (k text, v int); CREATE MATERIALIZED VIEW t AS {query};")
    figures = []
    for flags in ([], ["--state-memory", "8MB", "--spill-dir", str(scratch.folder)]):
        done = run(scratch, sql, path, *flags)
        equal(done.returncode, 0, done.stdout)
        figures.append(json.loads((scratch.folder / "stats.json").read_text()))
    equal(figures[0]["views"]["t"], figures[1]["views"]["t"])
    assert figures[0]["state_bytes"] < 4 * MIB < 8 * MIB < figures[1]["state_bytes"], figures


def test_window_functions_of_a_run(scratch):
    held_in_columns(scratch, "SELECT k, v, sum(v) OVER (PARTITION BY k ORDER BY v ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS s, "
                             "row_number() OVER (PARTITION BY k ORDER BY v) AS n FROM e", 150_000)


def test_as_of_joins_of_a_run(scratch):
    held_in_columns(scratch, "SELECT count(*) AS n, sum(r.v) AS s, max(r.k) AS m FROM e AS l ASOF JOIN e AS r ON l.k = r.k AND l.v >= r.v", 120_000)


# What operators keep, each under a bound of a tenth of it: events, and a query.
SHAPES = {
    "groups": (18_000, "SELECT k, count(*) AS n, sum(v) AS s FROM e GROUP BY k"),
    "groups of groups": (45_000, "SELECT right(k, 900) AS g, count(*) AS n, max(s) AS m FROM (SELECT k, sum(v) AS s FROM e GROUP BY k) x GROUP BY 1"),
    "distinct": (18_000, "SELECT DISTINCT k, v FROM e"),
    "distinct values": (36_000, "SELECT v % 100 AS g, count(DISTINCT k) AS n FROM e GROUP BY 1"),
    "inner join": (10_000, "SELECT l.k, l.v, r.v AS w FROM e l JOIN f r ON l.k = r.k"),
    "left join": (10_000, "SELECT l.k, r.k AS w FROM e l LEFT JOIN f r ON l.k = r.k AND l.v = r.v + 1"),
    "semi join": (10_000, "SELECT l.k, l.v FROM e l WHERE EXISTS (SELECT 1 FROM f r WHERE r.k = l.k AND r.v = l.v)"),
    "top-n": (15_000, "SELECT k, v FROM (SELECT *, row_number() OVER (PARTITION BY v % 5000 ORDER BY v, k) AS n FROM e) x WHERE n <= 50"),
    "window functions": (12_000, "SELECT k, v, sum(v) OVER (PARTITION BY v % 5000 ORDER BY v, k) AS s FROM e"),
    "as-of join": (12_000, "SELECT l.k, l.v, r.v AS w FROM e l ASOF LEFT JOIN f r ON l.k = r.k AND l.v > r.v"),
    "sessions": (18_000, "SELECT window_start, k, count(*) AS n FROM SESSION(e PARTITION BY k, ts, INTERVAL '1 second') GROUP BY k, window_start, window_end"),
    "collected": (12_000, "SELECT v % 5000 AS g, string_agg(k, ',' ORDER BY v, k) AS s FROM e GROUP BY 1"),
    "percentiles": (12_000, "SELECT k, percentile_disc(0.5) WITHIN GROUP (ORDER BY k) AS h FROM e GROUP BY k"),
    "rows alone": (18_000, "SELECT k, v FROM e"),
}
STREAMS = "CREATE STREAM e (k text, v int8, ts timestamptz, WATERMARK FOR ts AS ts - INTERVAL '1 hour'); CREATE STREAM f (k text, v int8); "


def test_every_shape_of_a_run(scratch):
    """Ten times more state than memory, for each operator that keeps some, and for the rows that are written: equal rows, in bounded memory."""
    limit = 6 * MIB
    for events in {events for events, _ in SHAPES.values()}:
        write_events(scratch.folder / f"{events}.jsonl", events * 5 // 6, events, 1700)
    wanted, given = scratch.folder / "wanted.csv", scratch.folder / "given.csv"

    def measure(events, query, output, *flags):
        """Memory at its peak, and of state at the end."""
        sql, stats = scratch.folder / "t.sql", scratch.folder / "stats.json"
        sql.write_text(STREAMS + f"CREATE MATERIALIZED VIEW t AS {query};")
        inputs = [f"--input={stream}={scratch.folder}/{events}.jsonl" for stream in set(re.findall(r"(?:FROM|JOIN|SESSION\() ?([ef])\b", query))]
        done = subprocess.run([scratch.kappa, "run", str(sql), *inputs, f"--output=t={output}", f"--stats={stats}", "--threads=2", *flags],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                              env={**os.environ, "MALLOC_CONF": "thp:default,dirty_decay_ms:0"})
        equal(done.returncode, 0, f"{query}: {done.stdout}")
        figures = json.loads(stats.read_text())
        return figures["peak_rss_bytes"], figures["state_bytes"]

    bound = [f"--state-memory={limit}", f"--spill-dir={scratch.folder}"]
    nothing = [measure(18_000, query, given, *bound)[0]
               for query in ("SELECT k FROM e WHERE v < 0", "SELECT l.k FROM e l JOIN f r ON l.k = r.k AND l.v < 0 AND r.v < 0")]
    missed = []
    for name, (events, query) in SHAPES.items():
        measure(events, query, wanted)
        peak, state = measure(events, query, given, *bound)
        more = peak - nothing["JOIN f" in query]
        figures = f"{name}: {state >> 20} MiB of state, {more >> 20} MiB above a run that keeps nothing"
        if not filecmp.cmp(wanted, given, shallow=False): missed.append(f"{name}: other rows")
        if state < 10 * limit or more > limit + 64 * MIB: missed.append(figures)
    equal(missed, [])


def test_operators_live(scratch):
    """Views side by side, with more than ten times more state than memory: the rows of a run, live and after kill -9, in bounded memory."""
    events = 6_000
    path = write_events(scratch.folder / "e.jsonl", events * 5 // 6, events, 1700)
    views = [f"CREATE MATERIALIZED VIEW t{i} AS {query}" for i, (_, query) in enumerate(SHAPES.values())]
    (scratch.folder / "t.sql").write_text(STREAMS + ";".join(views))
    subprocess.run([scratch.kappa, "run", str(scratch.folder / "t.sql"), f"--input=e={path}", f"--input=f={path}", f"--stats={scratch.folder}/stats.json"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    wanted = {name: view["digest"] for name, view in json.loads((scratch.folder / "stats.json").read_text())["views"].items()}

    def digests():
        return {view["name"]: view["versions"][0]["digest"] for view in status(instance)["views"]}

    instance = scratch.server("data", "--state-memory", "16MB", "--threads", "2").start()
    connection = instance.connect()
    for statement in [*STREAMS.split("; ")[:2], *views]: connection.query(statement)
    before = anonymous(instance.process.pid)
    with watching(lambda: anonymous(instance.process.pid)) as seen:
        for stream in "ef": instance.run("topic", "produce", stream, str(path))
        eventually(lambda: all(stream["partitions"][0]["visible"] == events for stream in status(instance)["streams"]), "all events are in the views", 300)
    used = status(instance)["state_memory"]["used_bytes"]
    assert used > 10 * LIMIT, f"{used >> 20} MiB of state"
    # What an epoch touched in each view is in no pages.
    assert max(seen) - before < LIMIT + len(views) * 16 * MIB < used, f"{(max(seen) - before) >> 20} MiB more with {used >> 20} MiB of state"
    equal(digests(), wanted, "live under the bound")
    instance.kill()
    instance.start()
    equal(digests(), wanted, "after kill -9")


def test_a_replay_gives_its_changes_as_it_goes(scratch):
    """Beyond the bound a replay does not collect until its end: what it would give then, at once, is in no pages."""
    events, width = 20_000, 1800
    path = write_events(scratch.folder / "e.jsonl", events, events, width)
    instance = scratch.server("data", "--state-memory", "16MB", "--threads", "1", "--step-records", "500").start()
    connection = instance.connect()
    stream, view = SQL.split("; ")
    connection.query(stream)
    instance.run("topic", "produce", "e", str(path))
    eventually(lambda: status(instance)["streams"][0]["partitions"][0]["visible"] == events, "all events are there", 120)
    with watching(lambda: anonymous(instance.process.pid)) as seen:
        connection.query(view)
        eventually(lambda: status(instance)["views"][0]["versions"][0]["state"] == "serving", "the view is there", 300)
    equal(connection.rows("SELECT count(*), sum(n) FROM t"), [[str(events), str(events)]])
    assert max(seen) - seen[0] < LIMIT + SLACK, f"{seen[0] >> 20} MiB, then {max(seen) >> 20} MiB"
    instance.stop()


def test_a_recovery_gives_its_changes_as_it_goes(scratch):
    """The same for what a server runs again at its start, which no checkpoint holds: not more is in memory after many epochs than after few."""
    width, peaks, keys = 1800, [], 0
    flags = ["--state-memory", "16MB", "--threads", "1", "--checkpoint-interval-ms", "3600000", "--step-records", "300"]
    instance = scratch.server("data", *flags).start()
    instance.connect().query(SQL)
    path = scratch.folder / "e.jsonl"
    for epochs in (8, 24):
        for _ in range(epochs):
            with open(path, "w") as file:
                for key in range(keys, keys := keys + 1500): file.write('{"k":"%d%s","v":1}\n' % (key, "x" * width))
            instance.run("topic", "produce", "e", str(path))
        eventually(lambda: status(instance)["streams"][0]["partitions"][0]["visible"] == keys, "all events are there", 120)
        wanted = digest(instance)
        instance.kill()
        instance.start()
        peaks.append(next(int(line.split()[1]) * 1024 for line in open(f"/proc/{instance.process.pid}/status") if line.startswith("VmHWM")))
        equal(digest(instance), wanted)
    assert peaks[1] - peaks[0] < 24 * MIB, f"{peaks[0] >> 20} MiB at the peak, then {peaks[1] >> 20} MiB"


def test_ten_times_the_bound(scratch):
    """160 MiB of state under a bound of 16 MiB: live, batch, and after kill -9 the digest of batch mode without a bound."""
    events = 32_000
    path = write_events(scratch.folder / "e.jsonl", 27_000, events, 1800)
    sql = scratch.folder / "t.sql"
    sql.write_text(SQL)
    done = run(scratch, sql, path)
    equal(done.returncode, 0, done.stdout)
    wanted = json.loads((scratch.folder / "stats.json").read_text())["views"]["t"]["digest"]
    done = run(scratch, sql, path, "--state-memory", "16MB", "--spill-dir", str(scratch.folder))
    equal(done.returncode, 0, done.stdout)
    equal(json.loads((scratch.folder / "stats.json").read_text())["views"]["t"]["digest"], wanted, "batch mode under the bound")

    instance = scratch.server("data", "--state-memory", "16MB", "--threads", "2").start()
    connection = instance.connect()
    with watching(lambda: state_resident(instance.process.pid)) as seen:
        connection.query(SQL)
        instance.run("topic", "produce", "e", str(path))
        eventually(lambda: status(instance)["streams"][0]["partitions"][0]["visible"] == events, "all events are in the view", 300)
        answer = connection.rows(ANSWER)
    most = max(seen)
    equal(answer[0][:2], ["27000", str(events)])
    equal(digest(instance), wanted, "live under the bound")
    memory = status(instance)["state_memory"]
    equal(memory["limit_bytes"], LIMIT)
    assert memory["used_bytes"] >= 9.5 * LIMIT, memory
    assert memory["spill_bytes"] >= 8.5 * LIMIT, memory
    assert LIMIT / 2 < most <= LIMIT + SLACK, f"{most >> 20} MiB of state in memory"
    eventually(lambda: resident(instance.process.pid) < LIMIT + 128 * MIB, f"memory is given back, {resident(instance.process.pid) >> 20} MiB", 20)

    instance.kill()
    instance.start()
    equal(digest(instance), wanted, "after kill -9")
    assert state_resident(instance.process.pid) <= LIMIT + SLACK
    eventually(lambda: resident(instance.process.pid) < LIMIT + 128 * MIB, "memory is given back after recovery", 20)
    connection = instance.connect()
    equal(connection.rows(ANSWER), answer)
    connection.query("INSERT INTO e VALUES ('one more', 1)")
    equal(connection.rows("SELECT n FROM t WHERE k = 'one more'"), [["1"]])
    equal(instance.run("verify", "t")[0], 0)


def test_full_disk_waits(scratch):
    """When the spill file cannot grow, epochs wait, health says why, readers go on; with room again everything goes on."""
    events = 12_000
    path = write_events(scratch.folder / "e.jsonl", events, events, 1000)
    instance = scratch.server("data", "--state-memory", "16MB", "--threads", "1").start()
    connection = instance.connect()
    connection.query(SQL)
    connection.query("INSERT INTO e VALUES ('first', 1)")
    pid = instance.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (18 * MIB, hard))
    instance.run("topic", "produce", "e", str(path))
    eventually(lambda: "53100" in instance.log.read_text(), "the server says that it waits")
    text = instance.log.read_text()
    assert "epochs wait: state reached its bound of 16 MB and cannot spill" in text and str(instance.folder) in text, text
    try:
        urllib.request.urlopen(f"http://{instance.endpoints['http']}/healthz")
        raise AssertionError("healthy without room")
    except urllib.error.HTTPError as error:
        equal(error.code, 503)
        assert "bound of 16 MB" in (body := error.read().decode()), body
    equal(instance.connect().rows("SELECT n FROM t WHERE k = 'first'"), [["1"]])
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    eventually(lambda: status(instance)["streams"][0]["partitions"][0]["visible"] == events + 1, "it went on", 120)
    eventually(lambda: "state has room again" in instance.log.read_text(), "the server says that it goes on")
    equal(connection.rows("SELECT count(*), sum(n) FROM t"), [[str(events + 1), str(events + 1)]])
    instance.stop()


def test_refusals(scratch):
    """A folder that cannot be used, a full disk in batch mode, and a size that is none are errors with words."""
    path = write_events(scratch.folder / "e.jsonl", 40_000, 40_000, 1800)
    sql = scratch.folder / "t.sql"
    sql.write_text(SQL)
    done = run(scratch, sql, path, "--state-memory", "16MB", "--spill-dir", str(scratch.folder / "nowhere"))
    equal(done.returncode, 1, done.stdout)
    assert f'could not make a spill file in "{scratch.folder}/nowhere": No such file or directory' in done.stdout, done.stdout
    done = run(scratch, sql, path, "--drop", "--state-memory", "16MB", "--spill-dir", str(scratch.folder),
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8 * MIB, 8 * MIB)))
    equal(done.returncode, 1, done.stdout)
    assert "state reached its bound of 16 MB and cannot spill" in done.stdout and "--state-memory" in done.stdout, done.stdout
    done = run(scratch, sql, path, "--state-memory", "much")
    equal(done.returncode, 2 if done.returncode == 2 else 105, done.stdout)


def test_dropped_state_leaves_the_disk(scratch):
    """DROP gives the spill file's space back, and the bound is not in the way of what comes next."""
    path = write_events(scratch.folder / "e.jsonl", 10_000, 10_000, 1800)
    instance = scratch.server("data", "--state-memory", "16MB").start()
    connection = instance.connect()
    connection.query(SQL)
    instance.run("topic", "produce", "e", str(path))
    eventually(lambda: status(instance)["streams"][0]["partitions"][0]["visible"] == 10_000, "all events are in the view", 120)
    assert status(instance)["state_memory"]["spill_bytes"] > 32 * MIB
    connection.query("DROP MATERIALIZED VIEW t")
    eventually(lambda: status(instance)["state_memory"]["spill_bytes"] <= 16 * MIB, "the file shrinks")
    assert status(instance)["state_memory"]["used_bytes"] < 4 * MIB
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
