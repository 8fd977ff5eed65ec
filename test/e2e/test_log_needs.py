#!/usr/bin/env python3
"""Goal: who wonders why retention keeps records is told what needs them. Method: tables, streams before and after a checkpoint, replays that wait for an
error to pass, open transactions; after each, kappa.partitions."""
import json

import harness

from test_transactions import Producer


def needs(sql, topic):
    return sql.rows(f"SELECT needed_from, needed_by FROM kappa.partitions WHERE topic = '{topic}' ORDER BY partition")


def test_needs(scratch):
    """A table keeps all; a stream what a restart reads, the least of two over one topic; a topic that nothing reads nothing, but for its open transactions."""
    instance = scratch.server("data", "--checkpoint-interval-ms", "3600000").start()
    sql = instance.connect()
    sql.rows("CREATE TABLE t (k int PRIMARY KEY)")
    sql.rows("CREATE STREAM s (n int)")
    sql.rows("INSERT INTO s VALUES (1), (2), (3)")
    instance.run("topic", "create", "unread")
    harness.equal(needs(sql, "t"), [["0", "table t"]])
    harness.equal(needs(sql, "unread"), [[None, None]])
    shown = [json.loads(instance.run("topic", "describe", name, "--json")[1])["partitions"] for name in ("t", "unread")]
    harness.equal(shown, [[{"partition": 0, "earliest": 0, "latest": 0, "needed_from": 0, "needed_by": "table t"}],
                          [{"partition": 0, "earliest": 0, "latest": 0, "needed_from": None, "needed_by": None}]])
    lines = instance.run("topic", "describe", "t")[1].splitlines()
    harness.equal([[cell.strip() for cell in line.split("|")] for line in (lines[2], lines[4])],
                  [["partition", "earliest", "latest", "records", "needed from", "needed by"], ["0", "0", "0", "0", "0", "table t"]])
    elsewhere = instance.run("topic", "describe", "t", "--json", "--broker", instance.endpoints["kafka"])[1]
    harness.equal(json.loads(elsewhere)["partitions"], [{"partition": 0, "earliest": 0, "latest": 0}], "a broker of which no more is known")
    one = Producer(instance.endpoints["kafka"], "one", "unread")
    one.write(1)
    one.end(True)
    harness.equal(needs(sql, "unread"), [[None, None]], "after a transaction")
    one.write(2)
    harness.equal(needs(sql, "unread"), [["2", "a transaction that is open"]], "the record and the marker before it may go")
    instance.stop()  # with a checkpoint
    instance.start()
    sql = instance.connect()
    harness.equal(needs(sql, "s"), [["3", "a restart, until the next checkpoint"]])
    harness.equal(needs(sql, "t"), [["0", "table t"]])
    harness.equal(needs(sql, "unread"), [["2", "a transaction that is open"]], "after a restart")
    sql.rows("INSERT INTO s VALUES (4), (5)")
    sql.rows("CREATE STREAM again (n int) WITH (topic = 's')")
    harness.equal(needs(sql, "s"), [["0", "a restart, until the next checkpoint"]], "the new stream is in no checkpoint yet")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
