#!/usr/bin/env python3
"""Goal: rows leave as time passes, by conditions on now() and by ttl, without any new record, and a replay agrees. Method: the real program, waited for."""
import time

import harness
from harness import equal, eventually


def test_rows_leave_as_time_passes(scratch):
    """A row of this moment is there, then gone; the one of next year stays."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query("CREATE STREAM events (id int, at timestamptz)")
    connection.query("CREATE MATERIALIZED VIEW recent AS SELECT id FROM events WHERE at > now() - INTERVAL '2 seconds'")
    connection.query("CREATE MATERIALIZED VIEW many AS SELECT count(*) AS n FROM recent")
    connection.query("INSERT INTO events SELECT 1, now() UNION ALL SELECT 2, now() + INTERVAL '365 days' UNION ALL SELECT 3, now() - INTERVAL '1 day'")
    assert ("2",) in [tuple(row) for row in connection.rows("SELECT id FROM recent")]
    eventually(lambda: [tuple(row) for row in connection.rows("SELECT id FROM recent")] == [("2",)], "row 1 leaves")
    equal([tuple(row) for row in connection.rows("SELECT n FROM many")], [("1",)], "the view above follows")
    code, out, err = instance.run("verify", "--all", check=False)
    equal(code, 0, out + err)
    connection.close()
    instance.kill()
    instance.start()
    equal([tuple(row) for row in instance.connect().rows("SELECT id FROM recent")], [("2",)], "after a crash")
    instance.stop()


def test_what_nothing_comes_to_leaves(scratch):
    """Rows of a table, groups and rows of views leave after their ttl; what changes meanwhile stays, and begins anew when it comes again."""
    instance = scratch.server("data", "--threads", "2", "--batch-rows", "7").start()
    connection = instance.connect()
    rows = lambda sql: sorted(tuple(row) for row in connection.rows(sql))  # noqa: E731
    connection.query("CREATE STREAM s (k text, v int) WITH (partitions = 2)")
    connection.query("CREATE TABLE t (k text PRIMARY KEY, v int) WITH (ttl = '4 seconds')")
    views = {
        "groups": "SELECT k, count(*) AS n, sum(v) AS total FROM s GROUP BY k",
        "sets": "SELECT k, count(DISTINCT v) AS n, array_agg(v) AS all_v FROM s GROUP BY k",
        "matches": "SELECT a.k, b.v FROM s a JOIN s b ON a.k = b.k AND b.v > a.v",
        "kept": "SELECT s.k, t.v FROM s LEFT JOIN t ON t.k = s.k",
    }
    for name, query in views.items():
        connection.query(f"CREATE MATERIALIZED VIEW {name} WITH (ttl = '4 seconds') AS {query}")
    connection.query("CREATE MATERIALIZED VIEW keys AS SELECT count(*) AS n FROM t")
    connection.query("INSERT INTO t VALUES ('a', 1), ('b', 1)")
    connection.query("INSERT INTO s VALUES ('a', 1), ('a', 2), ('b', 1)")
    equal(rows("SELECT k, n FROM groups"), [("a", "2"), ("b", "1")])
    # 'a' goes on, longer than any of its rows lives.
    alive, came = time.monotonic() + 6, 2
    while time.monotonic() < alive:
        connection.query(f"INSERT INTO s VALUES ('a', {came})")
        connection.query(f"UPDATE t SET v = {came} WHERE k = 'a'")
        came += 1
        time.sleep(0.1)
    equal(rows("SELECT k, n FROM groups"), [("a", str(came))], "the group that goes on has all its rows, the other is gone")
    equal(rows("SELECT k FROM t"), [("a",)], "so has the table")
    assert 1 < int(rows("SELECT count(*) FROM kept")[0][0]) < came, "rows of the stream leave one by one"
    equal(rows("SELECT n FROM keys"), [("1",)], "a view over the table follows")
    equal(instance.run("verify", "--all", check=False)[0], 0, "a replay agrees")
    eventually(lambda: [rows(f"SELECT count(*) FROM {name}") for name in (*views, "t")] == [[("0",)]] * 5, "all is gone")
    connection.query("INSERT INTO s VALUES ('a', 7)")
    equal(rows("SELECT k, n, total FROM groups"), [("a", "1", "7")], "it begins anew")
    connection.query("INSERT INTO t VALUES ('b', 5)")
    for name, query in views.items():
        connection.query(f"CREATE OR REPLACE MATERIALIZED VIEW {name} WITH (ttl = '4 seconds') AS {query} -- again")
    connection.close()
    instance.kill()
    instance.start()
    connection = instance.connect()
    eventually(lambda: [rows(f"SELECT count(*) FROM {name}") for name in (*views, "t")] == [[("0",)]] * 5, "all is gone after a crash too")
    equal(instance.run("verify", "--all", check=False)[0], 0, "a replay agrees")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
