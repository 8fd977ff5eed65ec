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
