#!/usr/bin/env python3
"""Goal: a full disk refuses appends with an error after which producers try again, and everything goes on by itself when there is room; the building of a
view outlives errors that pass. Method: a small ext4 in an image file, filled and emptied; a segment's file that is away for a while."""
import json
import threading
import time

import harness
from harness import equal, eventually

import kafkawire
from faults import power_cuts

TOPIC, KAFKA_STORAGE_ERROR = "events", 56
SQL = "CREATE STREAM events (n bigint, pad text); CREATE MATERIALIZED VIEW totals AS SELECT n % 3 AS k, count(*) AS c, sum(n) AS s FROM events GROUP BY 1"


class Producer:
    """Numbered records, one batch at a time; a refused one is sent again."""

    def __init__(self, instance):
        self.connection = kafkawire.Connection(instance.endpoints["kafka"])
        error, self.id = self.connection.producer_id()
        equal(error, 0)
        self.next = 0

    def send(self, pad=20):
        """The error code of ten more records."""
        values = [json.dumps({"n": self.next + i, "pad": "x" * pad}).encode() for i in range(10)]
        self.connection.send_produce(TOPIC, 0, kafkawire.record_batch(values, self.id, self.next))
        error, offset = self.connection.produced()
        if error == 0:
            equal(offset, self.next)
            self.next += 10
        return error


def make_topic(instance, segment_bytes):
    connection = kafkawire.Connection(instance.endpoints["kafka"])
    equal(connection.create_topic(TOPIC, 1, segment_bytes=segment_bytes), 0)
    connection.close()
    instance.run("sql", "-c", SQL)


def totals(instance, view="totals"):
    connection = instance.connect()
    rows = sorted(tuple(map(int, row)) for row in connection.rows(f"SELECT * FROM {view}"))
    connection.close()
    return rows


def expected(count):
    return sorted((k, len(range(k, count, 3)), sum(range(k, count, 3))) for k in range(3))


def fill(path):
    """Takes all room, to the last block."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def test_full_disk(scratch):
    """Appends are refused while the disk is full, reads and queries go on, and so do appends and views when there is room; then a restart."""
    if (why := power_cuts.why_not()) is not None:
        print(f"skipped: {why}")
        return
    image = power_cuts.Image(scratch.folder / "small.img")
    image.format()
    image.mount()
    instance = scratch.server(folder=image.folder / "data")
    instance.log = scratch.folder / "server.log"
    try:
        instance.flags += ["--checkpoint-interval-ms", "200"]
        instance.start()
        make_topic(instance, 1 << 20)
        producer = Producer(instance)
        for _ in range(3):
            while producer.next % 500 != 490:
                equal(producer.send(), 0)
            equal(producer.send(), 0)
            fill(image.folder / "filler")
            refusals = 0
            deadline = time.monotonic() + 20
            while refusals < 20:
                error = producer.send(pad=2000)
                assert error in (0, KAFKA_STORAGE_ERROR), f"error {error} of a full disk"
                refusals += error != 0
                assert time.monotonic() < deadline, "a full disk refuses nothing"
            for _ in range(3):
                totals(instance)  # readers are served, whatever the view has by then
                error, high, _ = producer.connection.fetch(TOPIC, 0, 0)
                equal((error, high), (0, producer.next), "reading while the disk is full")
            (image.folder / "filler").unlink()
            eventually(lambda: producer.send() == 0, "appends are taken again")
            eventually(lambda: totals(instance) == expected(producer.next), "the view has everything again")
            code, out, err = instance.run("verify", "--all", check=False)
            equal(code, 0, out + err)
        instance.stop()
        instance.start()
        equal(totals(instance), expected(producer.next), "after a restart")
        instance.stop()
    finally:
        instance.kill()
        image.remove()


def test_replay_begins_again(scratch):
    """A version whose segment cannot be opened keeps replaying, says why, and is there once the file is."""
    instance = scratch.server().start()
    make_topic(instance, 16 << 10)
    producer = Producer(instance)
    while producer.next < 2000:
        equal(producer.send(), 0)
    eventually(lambda: totals(instance) == expected(2000), "the view has everything")
    instance.stop()
    instance.start()
    first = min((instance.folder / "log/topics" / TOPIC / "0").glob("*.seg"))
    away = first.with_suffix(".away")
    first.rename(away)
    connection = instance.connect()
    creates = [threading.Thread(target=instance.run, args=("sql", "-c", f"CREATE MATERIALIZED VIEW {name} AS SELECT n % 3 AS k, count(*) AS c, sum(n) AS s FROM events GROUP BY 1"),
                                kwargs={"check": False}) for name in ("again", "dropped")]
    for create in creates:
        create.start()

    def replays():
        return connection.rows("SELECT view, failures >= 2, error LIKE '%could not read topic%' FROM kappa.replays ORDER BY view")

    eventually(lambda: replays() == [["again", "t", "t"], ["dropped", "t", "t"]], "the replays failed, and failed again")
    connection.rows("DROP MATERIALIZED VIEW dropped")
    equal(replays(), [["again", "t", "t"]], "what is dropped does not begin again")
    equal(connection.rows("SELECT state, failure FROM kappa.versions WHERE view = 'again'"), [["replaying", None]])
    equal(connection.rows(f"SELECT needed_from, needed_by LIKE '%replay%again%' FROM kappa.partitions WHERE topic = '{TOPIC}'"), [["0", "t"]], "retention is told to wait")
    away.rename(first)
    for create in creates:
        create.join(60)
        assert not create.is_alive(), "the view is never ready, or its creation hangs though it was dropped"
    equal(totals(instance, "again"), expected(2000))
    equal(replays(), [])
    equal(connection.rows("SELECT state FROM kappa.versions WHERE view = 'again'"), [["serving"]])
    connection.close()
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
