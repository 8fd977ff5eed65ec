#!/usr/bin/env python3
"""Goal: transactions are all or nothing for released clients and for views, also through kill -9. Method: real clients; views over topics with
aborted and open transactions, compared with their replay; a copying client whose broker dies at every step of a commit."""
import pathlib
import random
import socket
import subprocess
import time
import urllib.request

import harness

import kafkawire
import pgwire

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
FAILPOINTS = ["txn_decided:2:abort", "txn_marker:1:abort", "txn_marker:4:abort", "txn_group:2:abort", "txn_complete:2:abort", "append_write:25:abort", "sync:17:abort", ""]


def clients(*arguments):
    return subprocess.run(["bash", str(CLIENTS / "kafka_transactions.sh"), *arguments], capture_output=True, text=True, timeout=600)


def test_clients(scratch):
    """librdkafka, kafka-python, aiokafka: commit, abort, fencing, timeouts, consume-transform-produce."""
    instance = scratch.server().start()
    result = clients(instance.endpoints["kafka"])
    assert result.returncode == 0, f"ended with {result.returncode}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    sql = instance.connect()
    harness.equal(sql.rows("SELECT count(*) FROM kappa.transactions WHERE state IN ('Ongoing', 'PrepareCommit', 'PrepareAbort')"), [["0"]])
    metrics = urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics").read().decode()
    for line in ("kappa_transactions_open 0", "kappa_transaction_oldest_open_seconds 0", "kappa_transaction_timeouts_total 1"):
        assert line + "\n" in metrics, f"{line} is missing in the metrics"
    instance.stop()


class Producer:
    """One transactional producer, step by step."""

    def __init__(self, address, name, topic):
        self.connection, self.name, self.topic = kafkawire.Connection(address), name, topic
        error, self.id, self.epoch = self.connection.init_transactions(name)
        harness.equal((error, self.epoch), (0, 0))
        self.sequence = 0

    def write(self, *numbers):
        harness.equal(self.connection.add_partition(self.name, self.id, self.epoch, self.topic, 0), 0)
        batch = kafkawire.record_batch([b'{"n": %d}' % n for n in numbers], self.id, self.sequence, transactional=True)
        self.connection.send_produce(self.topic, 0, batch, self.name)
        harness.equal(self.connection.produced()[0], 0)
        self.sequence += len(numbers)

    def end(self, commit):
        harness.equal(self.connection.end_transaction(self.name, self.id, self.epoch, commit), 0)


def test_views(scratch):
    """Views see committed records alone, wait for what is not decided, and replay to the same rows; so do tables' and queries' reads, and after a kill."""
    instance = scratch.server().start()
    sql = instance.connect()
    sql.rows("CREATE STREAM s (n int)")
    sql.rows("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS c, sum(n) AS s, max(n) AS last FROM s")
    one, other = (Producer(instance.endpoints["kafka"], name, "s") for name in ("one", "other"))

    def seen():
        return [int(value or 0) for value in sql.rows("SELECT c, s FROM v")[0]]

    one.write(1, 2)
    one.end(True)
    harness.eventually(lambda: seen() == [2, 3], "a committed transaction is seen")
    one.write(100, 200)
    one.end(False)
    other.write(3)
    other.end(True)
    harness.eventually(lambda: seen() == [3, 6], "an aborted one is not")
    one.write(4)
    other.write(1000)
    other.end(False)
    other.write(5)
    other.end(True)
    harness.equal(seen(), [3, 6], "what comes after an open one waits")
    harness.equal(sql.rows("SELECT id, state, partitions, groups FROM kappa.transactions ORDER BY id"), [["one", "Ongoing", "1", "0"], ["other", "CompleteCommit", "0", "0"]])
    harness.equal(sql.rows("SELECT durable_end - stable_end FROM kappa.partitions WHERE topic = 's'"), [["5"]], "a record and a marker twice, and the open one's record")
    sql.rows("SET statement_timeout = 500")
    try:
        sql.rows("INSERT INTO s VALUES (6)")
        raise AssertionError("an INSERT was visible before a transaction that began earlier")
    except pgwire.ServerError as error:
        assert error.sqlstate == "57014" and "once the transactions before them have ended" in error.detail, error
    sql.rows("SET statement_timeout = 0")
    instance.kill()
    instance.start()
    sql = instance.connect()
    harness.equal(seen(), [3, 6], "after a kill the open transaction is still open")
    one.connection = kafkawire.Connection(instance.endpoints["kafka"])
    one.end(True)
    harness.eventually(lambda: seen() == [6, 21], "then all of it is seen")
    harness.equal(sql.rows("SELECT count(*), sum(n) FROM s"), [["6", "21"]], "by a query over the stream too")
    sql.rows("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT count(*) AS c, sum(n) AS s, min(n) AS last FROM s")
    harness.equal(seen(), [6, 21], "by a replay")
    instance.run("verify", "--all")
    instance.stop()


def test_uncommitted(scratch):
    """A stream that reads uncommitted records takes them all at once, and after a kill and by a replay the same ones; one beside it over the same topic does not."""
    instance = scratch.server().start()
    sql = instance.connect()
    sql.rows("CREATE STREAM committed (n int) WITH (topic = 't')")
    sql.rows("CREATE STREAM dirty (n int) WITH (topic = 't', isolation = 'read_uncommitted')")
    for stream in ("committed", "dirty"):
        sql.rows(f"CREATE MATERIALIZED VIEW of_{stream} AS SELECT count(*) AS c, sum(n) AS s FROM {stream}")

    def seen():
        return [[int(value or 0) for value in sql.rows(f"SELECT c, s FROM of_{stream}")[0]] for stream in ("committed", "dirty")]

    one = Producer(instance.endpoints["kafka"], "one", "t")
    one.write(1, 2)
    harness.eventually(lambda: seen() == [[0, 0], [2, 3]], "records of an open transaction")
    one.end(False)
    one.write(10)
    one.end(True)
    harness.eventually(lambda: seen() == [[1, 10], [3, 13]], "records of an aborted and a committed one")
    one.write(100)
    sql.rows("SET statement_timeout = 20000")
    sql.rows("INSERT INTO dirty VALUES (1000)")
    harness.equal(seen(), [[1, 10], [5, 1113]], "an INSERT does not wait for the open transaction")
    instance.kill()
    instance.start()
    sql = instance.connect()
    harness.equal(seen(), [[1, 10], [5, 1113]], "after a kill")
    one.connection = kafkawire.Connection(instance.endpoints["kafka"])
    one.end(False)
    harness.eventually(lambda: seen() == [[2, 1010], [5, 1113]], "in the end")
    harness.equal(sql.rows("SELECT count(*), sum(n) FROM dirty"), [["5", "1113"]], "by a query over the stream")
    sql.rows("CREATE OR REPLACE MATERIALIZED VIEW of_dirty AS SELECT count(*) AS c, sum(n) AS s, max(n) AS m FROM dirty")
    harness.equal(seen()[1], [5, 1113], "by a replay")
    instance.run("verify", "--all")
    instance.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_kills(scratch):
    """A client copies one topic to another in transactions, with its offsets, while the server dies at every step of them: each record comes out once."""
    random.seed(7)
    instance = scratch.server()
    instance.kafka = f"127.0.0.1:{free_port()}"
    instance.start(KAPPA_FAILPOINT="txn_complete:3:abort")
    connection = instance.connect()
    for topic in ("in", "out"):
        instance.run("topic", "create", topic, "--partitions", "2")
    connection.rows("CREATE STREAM copied (n int) WITH (topic = 'out')")
    connection.rows("CREATE MATERIALIZED VIEW counts AS SELECT n, count(*) AS c FROM copied GROUP BY n")
    count = 3000
    lines = scratch.folder / "lines"
    for partition in range(2):
        lines.write_text("".join(f"{i}\n" for i in range(partition, count, 2)))
        instance.run("topic", "produce", "in", str(lines), "--partition", str(partition))
    output = open(scratch.folder / "copier", "w+")
    copier = subprocess.Popen(["bash", str(CLIENTS / "kafka_transactions.sh"), instance.kafka, "--copy"], stdout=output, stderr=subprocess.STDOUT)
    died = 0
    try:
        for failpoint in FAILPOINTS:
            # It may die while it recovers from the death before.
            until = time.monotonic() + 6
            while instance.process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            died += instance.process.poll() is not None
            instance.kill()
            instance.start(wait=False, KAPPA_FAILPOINT=failpoint)
        instance.wait_serving()
        copier.wait(60)
        output.seek(0)
        harness.equal(copier.returncode, 0, output.read()[-2000:])
    finally:
        copier.kill()
    assert died >= 2, f"the server died at {died} of the places"
    sql = instance.connect()
    harness.equal(sql.rows("SELECT count(*), min(n), max(n), max(c) FROM counts"), [[str(count), "0", str(2 * count - 2), "1"]], "each record copied once")
    instance.run("verify", "--all")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
