#!/usr/bin/env python3
"""Goal: compacted topics serve released clients and views. Method: kcat writes and reads one through a compaction and a restart; a table and a view over
it stay what they were, also when they are replayed; what a view still needs is held back."""
import json
import re
import shutil
import subprocess
import urllib.request

import harness

import kafkawire

FLAGS = ("--cleanup-interval-ms", "20", "--checkpoint-interval-ms", "50", "--compaction-rate", "0")
SETTINGS = ("cleanup.policy=compact", "segment.bytes=16384", "min.cleanable.dirty.ratio=0")


def removed(instance):
    """Records that compaction removed since the start."""
    with urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics", timeout=30) as answer:
        return int(re.search(r"^kappa_log_compaction_removed_records_total (\d+)", answer.read().decode(), re.M).group(1))


def kcat(instance, *arguments, lines=None):
    result = subprocess.run(["kcat", "-b", instance.endpoints["kafka"], *arguments], input=lines, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def create(instance, topic, *settings):
    instance.run("topic", "create", topic, *(word for setting in SETTINGS + settings for word in ("--config", setting)))


def test_kcat(scratch):
    """Values through a compaction: the last of each key is read, at its offset, by a consumer that begins anywhere."""
    if shutil.which("kcat") is None:
        print("skipped: kcat is not installed")
        return
    instance = scratch.server("data", *FLAGS).start()
    create(instance, "latest", "delete.retention.ms=0")
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        lines = "".join(f"k{i % 7}:{codec} {i} {'.' * 500}\n" for i in range(100))
        kcat(instance, "-P", "-t", "latest", "-K:", "-z", codec, "-X", "linger.ms=0", "-X", "batch.num.messages=5", lines=lines)
    harness.eventually(lambda: removed(instance) > 400, "compaction removes what is superseded")
    expected = {f"k{i % 7}": f"zstd {i}" for i in range(100)}
    read = ("-C", "-t", "latest", "-e", "-q", "-f", "%o %k %s\n")
    for turn in range(2):
        found = [line.split(" ")[:4] for line in kcat(instance, *read, "-o", "beginning")]
        harness.equal({key: f"{codec} {i}" for _, key, codec, i in found}, expected)
        assert len(found) < 100, len(found)
        offsets = [int(offset) for offset, *_ in found]
        assert offsets == sorted(set(offsets)) and offsets[-1] == 499, offsets
        for begin in (1, 250, offsets[-1]):
            harness.equal([int(line.split(" ")[0]) for line in kcat(instance, *read, "-o", str(begin))], [offset for offset in offsets if offset >= begin])
        instance.run("topic", "verify", "latest")
        instance.kill()
        instance.start()
    refused = subprocess.run(["kcat", "-b", instance.endpoints["kafka"], "-P", "-t", "latest"], input="no key\n", capture_output=True, text=True, timeout=60)
    assert "need" in refused.stderr or "INVALID_RECORD" in refused.stderr or "Broker" in refused.stderr, refused.stderr
    instance.stop()


def test_table(scratch):
    """A table whose topic is compacted, and a view over it, are what they were: live, verified by replay, after kill -9."""
    instance = scratch.server("data", *FLAGS).start()
    create(instance, "stock", "delete.retention.ms=0")
    connection = instance.connect()
    connection.rows("CREATE TABLE stock (item text PRIMARY KEY, n int, pad text)")
    connection.rows("CREATE MATERIALIZED VIEW total AS SELECT n % 3 AS r, count(*) AS c, sum(n) AS s FROM stock GROUP BY n % 3")
    for i in range(300):
        connection.rows(f"INSERT INTO stock VALUES ('i{i}', {i}, repeat('x', 200))")
    for turn in range(3):
        connection.rows(f"UPDATE stock SET n = n + {turn + 1}")
        connection.rows(f"DELETE FROM stock WHERE item LIKE 'i%{turn}'")
    harness.eventually(lambda: removed(instance) > 500, "compaction removes what is superseded")
    expected = [sorted(connection.rows(query)) for query in ("SELECT item, n FROM stock", "SELECT * FROM total")]
    harness.equal(len(expected[0]), 210)
    for turn in range(2):
        instance.run("verify", "--all")
        instance.kill()
        instance.start()
        connection = instance.connect()
        harness.equal([sorted(connection.rows(query)) for query in ("SELECT item, n FROM stock", "SELECT * FROM total")], expected)
    connection.rows("CREATE MATERIALIZED VIEW total_later AS SELECT n % 3 AS r, count(*) AS c, sum(n) AS s FROM stock GROUP BY n % 3")
    harness.equal(sorted(connection.rows("SELECT * FROM total_later")), expected[1])
    instance.stop()


def test_stream(scratch):
    """A stream over a compacted topic: what was read stays in its views; a query and a new view see what is left."""
    instance = scratch.server("data", *FLAGS).start()
    create(instance, "prices")
    connection = instance.connect()
    connection.rows("CREATE STREAM prices (item text, price int, pad text) WITH (topic = 'prices', key = 'item')")
    connection.rows("CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS c FROM prices")
    connection.rows("CREATE MATERIALIZED VIEW newest AS SELECT item, max(price) AS price FROM prices GROUP BY item")
    for i in range(500):
        connection.rows(f"INSERT INTO prices VALUES ('i{i % 9}', {i}, repeat('x', 300))")
    harness.eventually(lambda: removed(instance) > 300, "compaction removes what is superseded")
    harness.equal(connection.rows("SELECT * FROM seen"), [["500"]])
    newest = sorted(connection.rows("SELECT * FROM newest"))
    harness.equal(sorted(connection.rows("SELECT item, max(price) FROM prices GROUP BY item")), newest)
    left = int(connection.rows("SELECT count(*) FROM prices")[0][0])
    assert 9 <= left < 200, left
    connection.rows("CREATE OR REPLACE MATERIALIZED VIEW newest AS SELECT item, max(price) AS price, 'v2' AS v FROM prices GROUP BY item")
    harness.eventually(lambda: "v2" in str(connection.rows("SELECT * FROM newest")), "version 2 serves")
    harness.equal(sorted(list(row[:2]) for row in connection.rows("SELECT * FROM newest")), newest)
    instance.kill()
    instance.start()
    harness.equal(instance.connect().rows("SELECT * FROM seen"), [["500"]])
    instance.stop()


def test_deleted_records(scratch):
    """Records of a stream's topic go at a client's word once a checkpoint covers them; views stay, a table's records too."""
    instance = scratch.server("data", "--checkpoint-interval-ms", "100000000").start()
    connection = instance.connect()
    connection.rows("CREATE STREAM s (n int)")
    connection.rows("CREATE TABLE t (n int PRIMARY KEY)")
    connection.rows("CREATE MATERIALIZED VIEW total AS SELECT count(*) AS c, sum(n) AS s FROM s")
    for i in range(20):
        connection.rows(f"INSERT INTO s VALUES ({i})")
    connection.rows("INSERT INTO t VALUES (1)")
    kafka = kafkawire.Connection(instance.endpoints["kafka"])
    harness.equal(kafka.delete_records("s", 0, 10)[0], 44, "no checkpoint covers them")
    harness.equal(kafka.grow("s", 2)[0], 44)
    instance.stop()  # with a checkpoint
    instance.start()
    kafka, connection = kafkawire.Connection(instance.endpoints["kafka"]), instance.connect()
    harness.equal(kafka.delete_records("s", 0, 10), (0, 10))
    harness.equal(kafka.delete_records("t", 0, 1)[0], 44, "a table's records stay")
    connection.rows("INSERT INTO s VALUES (100)")
    harness.equal(connection.rows("SELECT * FROM total"), [["21", "290"]])
    harness.equal(connection.rows("SELECT count(*), sum(n) FROM s"), [["11", "245"]])
    instance.kill()
    instance.start()
    harness.equal(instance.connect().rows("SELECT * FROM total"), [["21", "290"]])
    instance.stop()


def test_versions_are_held(scratch):
    """A table whose changes are its versions (FOR SYSTEM_TIME AS OF) is never compacted, whatever its topic says."""
    instance = scratch.server("data", *FLAGS).start()
    create(instance, "rates")
    connection = instance.connect()
    connection.rows("CREATE TABLE rates (c text PRIMARY KEY, rate int, at timestamptz, pad text) WITH (version_time = 'at')")
    connection.rows("INSERT INTO rates VALUES ('e', 0, '2026-01-01 00:00:00+00', '')")
    for i in range(1, 200):
        connection.rows(f"UPDATE rates SET rate = {i}, at = at + INTERVAL '1 minute', pad = repeat('x', 300)")
    create(instance, "other")
    lines = "".join(f"k:{i} {'.' * 500}\n" for i in range(200))
    if shutil.which("kcat") is not None:
        kcat(instance, "-P", "-t", "other", "-K:", "-X", "linger.ms=0", "-X", "batch.num.messages=5", lines=lines)
        harness.eventually(lambda: removed(instance) > 100, "the other topic is compacted")
    query = """CREATE MATERIALIZED VIEW converted{} AS SELECT o.id, r.rate FROM orders o JOIN rates FOR SYSTEM_TIME AS OF o.ts r ON r.c = o.c"""
    connection.rows("CREATE STREAM orders (id int, c text, ts timestamptz, WATERMARK FOR ts AS ts)")
    connection.rows("INSERT INTO orders VALUES (1, 'e', '2026-01-01 00:05:30+00'), (2, 'e', '2026-01-01 01:00:00+00')")
    connection.rows(query.format(""))
    harness.equal(sorted(connection.rows("SELECT * FROM converted")), [["1", "5"], ["2", "60"]])
    instance.run("verify", "--all")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
