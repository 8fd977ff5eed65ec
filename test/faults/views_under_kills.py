"""kill -9 while views are at work: after every restart the views are their queries over the log, which holds every acknowledged record once.

A producer writes numbered records and reports how many were acknowledged; the server is killed at a random moment; after the restart the
topic must hold exactly the numbers 0 .. n-1 with n at least the acknowledged count, views must agree with their query over the log, and
`kappa verify` must say equal. State of many rounds is kept, so checkpoints, tails and replays mix.
"""
import json
import random
import subprocess
import time

import server

from faults.workload import require

SQL = """
CREATE STREAM events (n bigint NOT NULL, k text, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 second');
CREATE TABLE names (k text PRIMARY KEY, name text);
CREATE MATERIALIZED VIEW per_key AS SELECT k, count(*) AS c, sum(n) AS s, max(n) AS m, count(DISTINCT n % 10) AS d FROM events GROUP BY k;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS keys, sum(c) AS events, sum(s) AS total FROM per_key;
CREATE MATERIALIZED VIEW closed AS SELECT window_start, count(*) AS c FROM TUMBLE(events, at, INTERVAL '1 second') GROUP BY window_start EMIT ON WINDOW CLOSE;
CREATE MATERIALIZED VIEW named AS SELECT e.n, t.name FROM events e JOIN names t ON t.k = e.k;
INSERT INTO names VALUES ('k1', 'one'), ('k2', 'two');
"""
BURST = 5_000


def event(n):
    return json.dumps({"n": n, "k": f"k{n % 97}", "at": 1_767_225_600_000 + n // 3}) + "\n"


def produce(instance, lines):
    return subprocess.Popen([instance.kappa, "topic", "produce", "events", str(lines), "--rate", str(BURST * 2), "--json", "--broker", instance.endpoints["kafka"]],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def check(instance, turn, acknowledged):
    connection = instance.connect()
    count, distinct, low, high = (int(value or 0) for value in connection.rows("SELECT count(*), count(DISTINCT n), min(n), max(n) FROM events")[0])
    require(count >= acknowledged, f"round {turn}: {acknowledged} records were acknowledged, {count} are there")
    require(count == distinct and (count == 0 or (low, high) == (0, count - 1)), f"round {turn}: {count} records, {distinct} distinct, from {low} to {high}")
    for view in ("per_key", "totals", "named"):
        query = connection.rows(f"SELECT query FROM kappa.versions WHERE view = '{view}'")[0][0]
        live, whole = sorted(connection.rows(f"SELECT * FROM {view}"), key=str), sorted(connection.rows(query), key=str)
        if live != whole:
            extra, missing = [row for row in live if row not in whole][:5], [row for row in whole if row not in live][:5]
            require(False, f"round {turn}: view {view} is not its query over the log: {len(live)} rows live, {len(whole)} by the query; only live {extra}, only by the query {missing}")
    connection.close()
    code, out, err = instance.run("verify", "--all", check=False)
    require(code == 0, f"round {turn}: {out}{err}")


def run(kappa, folder, rounds):
    """Kills the server `rounds` times; fails with Violation. What was done, in words."""
    instance = server.Server(kappa, folder / "data", "--checkpoint-interval-ms", "200", "--step-records", str(random.choice((10, 500, 32_000))))
    recoveries = []
    try:
        instance.start()
        instance.run("sql", "-c", SQL.replace("- INTERVAL '1 second')", "- INTERVAL '1 second') WITH (json_timestamps = 'ms')", 1))
        acknowledged = 0
        for turn in range(rounds):
            lines = folder / "burst.jsonl"
            connection = instance.connect()
            first = int(connection.rows("SELECT count(*) FROM events")[0][0])
            connection.close()
            lines.write_text("".join(event(n) for n in range(first, first + BURST)))
            producer = produce(instance, lines)
            time.sleep(random.uniform(0.02, 0.6))
            instance.kill()
            producer.send_signal(2)
            try:
                output = producer.communicate(timeout=15)[0]
                acknowledged = first + json.loads(output.strip().splitlines()[-1])["acknowledged"]
            except (subprocess.TimeoutExpired, ValueError, IndexError, KeyError):
                producer.kill()  # what it had acknowledged is not known: only the lower bound of before holds
                producer.wait()
            begin = time.monotonic()
            if random.random() < 0.3:  # a crash during recovery
                instance.start(wait=False)
                time.sleep(random.uniform(0.0, 0.15))
                instance.kill()
            instance.start()
            recoveries.append(time.monotonic() - begin)
            check(instance, turn, acknowledged)
        instance.stop()
    finally:
        instance.kill()
    recoveries.sort()
    return f"{rounds} kills with views, median restart {recoveries[len(recoveries) // 2] * 1000:.0f} ms"
