#!/usr/bin/env python3
"""Goal: what the watermark, the clock, a ttl or a rank bounds stays bounded: state does not grow with the length of the stream.
Method: rounds of events with keys that never come again; the state of every view after each round, beside one that must grow."""
import json
import time
import urllib.request

import harness
from harness import equal, eventually

ROUNDS, WARM = 9, 4  # measured from round WARM on: by then what will be freed has been freed once
ROWS = 6_000         # of a round and stream: a minute of event time

SCHEMA = """
CREATE STREAM a (k text, g int, v int, ts timestamptz, seen timestamptz, WATERMARK FOR ts AS ts - INTERVAL '5 seconds') WITH (late = 'drop');
CREATE STREAM b (k text, g int, v int, ts timestamptz, seen timestamptz, WATERMARK FOR ts AS ts - INTERVAL '5 seconds') WITH (late = 'drop');
"""
TTL = "WITH (ttl = '1 second')"
# None of them keeps many rows in the view itself: state is what the operators keep.
VIEWS = {
    "closing": "SELECT k, window_start, count(*) AS n, max(v) AS m FROM TUMBLE(a, ts, INTERVAL '10 seconds') GROUP BY k, window_start, window_end HAVING count(*) > 1000000 EMIT ON WINDOW CLOSE",
    "hopping": "SELECT k, window_start, count(DISTINCT v) AS n FROM HOP(a, ts, INTERVAL '5 seconds', INTERVAL '10 seconds') GROUP BY k, window_start, window_end HAVING count(*) > 1000000 EMIT ON WINDOW CLOSE",
    "sessions": "SELECT k, window_start, window_end, count(*) AS n FROM SESSION(a PARTITION BY k, ts, INTERVAL '5 seconds') GROUP BY k, window_start, window_end HAVING count(*) > 1000000 EMIT ON WINDOW CLOSE",
    "interval_join": "SELECT a.k, b.v FROM a JOIN b ON a.k = b.k AND a.ts BETWEEN b.ts - INTERVAL '5 seconds' AND b.ts + INTERVAL '5 seconds'",
    "last_second": "SELECT k, v FROM a WHERE seen > now() - INTERVAL '1 second'",
    "windows_of_last_second": "SELECT k, window_start, count(*) AS n FROM TUMBLE(a, ts, INTERVAL '10 seconds') WHERE seen > now() - INTERVAL '1 second' GROUP BY k, window_start",
    "top": "SELECT g, k, v FROM (SELECT *, row_number() OVER (PARTITION BY g ORDER BY v DESC, k) AS r FROM a) x WHERE r <= 3",
    "latest": "SELECT DISTINCT ON (g) g, k, v FROM a ORDER BY g, ts DESC, k",
    "idle_groups": "SELECT k, count(*) AS n, max(v) AS m FROM a GROUP BY k HAVING count(*) > 1000000",
    "idle_lists": "SELECT k, count(DISTINCT v) AS n, array_agg(v) AS all_v FROM b GROUP BY k HAVING count(*) > 1000000",
    "idle_join": "SELECT a.k, b.v FROM a JOIN b ON a.k = b.k",
    "growing": "SELECT k, count(*) AS n FROM a GROUP BY k HAVING count(*) > 1000000",
}


def status(instance):
    with urllib.request.urlopen(f"http://{instance.endpoints['http']}/v1/status") as answer:
        return json.load(answer)


def state_bytes(instance):
    return {view["name"]: view["versions"][0]["state_bytes"] for view in status(instance)["views"]}


def write_round(path, stream, number):
    now = time.time()
    stamp = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"  # noqa: E731
    with open(path, "w") as file:
        for i in range(ROWS):
            n = number * ROWS + i
            row = {"k": f"{stream}{n:040}", "g": n % 40, "v": n * 7919 % 100_003, "ts": stamp(1_700_000_000 + n * 60 / ROWS), "seen": stamp(now)}
            file.write(json.dumps(row) + "\n")
    return path


def test_state_stays_flat(scratch):
    """Nine minutes of events whose keys never come again, in closing windows, sessions, joins, filters on now() and ranks."""
    instance = scratch.server("data", "--threads", "1").start()
    connection = instance.connect()
    connection.query(SCHEMA + "".join(f"CREATE MATERIALIZED VIEW {name} {TTL if name.startswith('idle') else ''} AS {query};\n" for name, query in VIEWS.items()))
    seen = {name: [] for name in VIEWS}
    for number in range(ROUNDS):
        begin = time.monotonic()
        for stream in "ab":
            instance.run("topic", "produce", stream, str(write_round(scratch.folder / f"{stream}.jsonl", stream, number)))
        eventually(lambda: all(s["partitions"][0]["visible"] == (number + 1) * ROWS for s in status(instance)["streams"]), "the round is in the views")
        # Figures are renewed once a second; what is older than a second has left the views on now() when the next round comes.
        time.sleep(max(0.0, begin + 2.2 - time.monotonic()))
        for name, size in state_bytes(instance).items():
            seen[name].append(size)
    figures = "\n".join(f"  {name:<24} {[size >> 10 for size in sizes]} KiB" for name, sizes in seen.items())
    for name, sizes in seen.items():
        late = max(sizes[WARM:]) / max(sizes[:WARM])
        if name == "growing":
            assert late > 1.8, f"{name} did not grow: nothing was measured\n{figures}"
        else:
            assert late <= 1.1, f"{name} grows\n{figures}"
            assert max(sizes) > 64 << 10, f"{name} has no state: nothing was measured\n{figures}"
    equal([int(view["versions"][0]["errors"]) for view in status(instance)["views"]], [0] * len(VIEWS))
    print(figures)
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
