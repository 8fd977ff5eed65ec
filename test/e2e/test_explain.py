#!/usr/bin/env python3
"""Goal: EXPLAIN (ANALYZE) tells what each operator of a query, or of a live view, did and keeps. Method: the real program, rows that can be counted."""
import json
import re

import harness

SETUP = """
CREATE STREAM s (id int, k int, x int);
CREATE TABLE t (k int PRIMARY KEY, name text);
CREATE MATERIALIZED VIEW v AS SELECT t.name, count(*) AS n, sum(10 / s.x) AS tenths FROM s JOIN t ON s.k = t.k WHERE s.id / s.x >= 0 GROUP BY t.name;
INSERT INTO t VALUES (1, 'one'), (2, 'two');
"""


def lines(connection, sql):
    return [row[0] for row in connection.query(sql)[-1].rows]


def figures(connection, sql):
    """Operator -> what it did, of FORMAT JSON's document."""
    document = json.loads("".join(lines(connection, sql)))
    found = {}

    def visit(node):
        found.setdefault(node["text"].split(" [")[0], node)
        for below in node["inputs"]:
            visit(below)

    visit(document["plan"])
    return document, found


def test_a_live_view_tells_its_operators(scratch):
    """Rows in and out, batches, time, errors and state of each operator of a live view, as JSON and as text in the order of the plan."""
    instance = scratch.server()
    instance.start()
    connection = instance.connect()
    connection.query(SETUP)
    for values in ("(1, 1, 5), (2, 1, 2), (3, 2, 1), (4, 3, 1)", "(5, 1, 0), (6, 1, 1)"):
        connection.query(f"INSERT INTO s VALUES {values}")
    document, found = figures(connection, "EXPLAIN (ANALYZE, FORMAT JSON) MATERIALIZED VIEW v")
    harness.equal((document["view"], document["version"], document["rows"]), ("v", 1, 2), "document")
    scan, table = found["Scan stream s"], found["Scan table t"]
    harness.equal((scan["rows_in"], scan["rows_out"], scan["errors"]), (6, 5, 1), "scan of s: the row with x = 0 fails its condition")
    harness.equal((table["rows_in"], table["rows_out"], table["state_rows"]), (2, 2, 0), "scan of t")
    join = next(node for text, node in found.items() if text.startswith("Join"))
    harness.equal((join["operator"], join["rows_in"], join["rows_out"], join["state_rows"]), ("Join", 7, 4, 7), "join")
    aggregate = next(node for text, node in found.items() if text.startswith("Aggregate"))
    harness.equal((aggregate["state_rows"], aggregate["rows_in"]), (2, 4), "aggregate")
    for node in found.values():
        assert node["ms"] >= 0 and node["batches"] >= 1, node
        assert (node["state_bytes"] > 0) == (node["state_rows"] > 0), node

    plan = lines(connection, "EXPLAIN MATERIALIZED VIEW v")
    analyzed = lines(connection, "EXPLAIN ANALYZE MATERIALIZED VIEW v$1")
    harness.equal(len(analyzed), len(plan) + 1, "lines")
    for line, with_figures in zip(plan, analyzed):
        assert with_figures.startswith(line + "  (rows in "), (line, with_figures)
    assert re.fullmatch(r"version 1 of v: 2 rows, epoch \d+", analyzed[-1]), analyzed[-1]
    assert any("errors 1" in line for line in analyzed), analyzed


def test_a_query_tells_its_operators(scratch):
    """The same for a query that is run for it."""
    instance = scratch.server()
    instance.start()
    connection = instance.connect()
    connection.query(SETUP)
    connection.query("INSERT INTO s VALUES (1, 1, 5), (2, 2, 2), (3, 2, 1)")
    query = "SELECT t.name, count(*) FROM s JOIN t ON s.k = t.k GROUP BY t.name"
    document, found = figures(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    harness.equal(document["rows"], 2, "rows")
    harness.equal(found["Scan stream s"]["rows_out"], 3, "rows of s")
    plan, analyzed = lines(connection, f"EXPLAIN {query}"), lines(connection, f"EXPLAIN ANALYZE {query}")
    for line, with_figures in zip(plan, analyzed):
        assert with_figures.startswith(line + "  (rows in "), (line, with_figures)
    assert re.fullmatch(r"2 rows in [\d.]+ ms, epoch \d+", analyzed[-1]), analyzed[-1]


if __name__ == "__main__":
    harness.main(globals())
