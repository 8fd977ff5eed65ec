"""What every fault strikes: a server with idempotent producers at work, and the history of what they were told.

Each partition of the topic "events" has one producer, which keeps every batch that it made, so that what the log holds can be
compared byte by byte: batch n of the history must be batch n of the partition. After a crash the producer sends again what was
not acknowledged, as real ones do; the log must take for duplicates what it has already. A stream and a view read the topic.
"""
import json
import random
import threading
import time

import kafkawire

TOPIC, PARTITIONS, IN_FLIGHT_MAX = "events", 2, 5
SEGMENT_BYTES = 64 << 10
REFUSALS_MAX = 300
SQL = """
CREATE STREAM events (n bigint NOT NULL, k text, pad text) WITH (partitions = 2);
CREATE MATERIALIZED VIEW per_key AS SELECT k, count(*) AS c, sum(n) AS s FROM events GROUP BY k
"""
VIEW_QUERY = "SELECT k, count(*) AS c, sum(n) AS s FROM events GROUP BY k"


class Violation(Exception):
    """A promise was broken."""


class Refused(Exception):
    """The server said no, as it may while its disk fails."""


def require(condition, text):
    if not condition:
        raise Violation(text)


class History:
    """All batches of one partition, in order: the first `acknowledged` were, those up to `sent` may be in the log."""

    def __init__(self, partition):
        self.partition, self.producer = partition, None
        self.batches, self.offsets = [], [0]  # offsets[i]: where batch i begins; one more for the end
        self.acknowledged = self.sent = 0
        self.checked = 0  # batches that a check found in place

    def batch(self, index):
        while index >= len(self.batches):
            first = self.offsets[-1]
            count = random.randint(1, 8)
            values = [json.dumps({"n": first + i, "k": f"k{(first + i) % 13}", "pad": "x" * random.choice((0, 20, 300))}).encode() for i in range(count)]
            self.batches.append(kafkawire.record_batch(values, self.producer, first & 0x7FFFFFFF))
            self.offsets.append(first + count)
        return self.batches[index]


class Producer(threading.Thread):
    """Sends from the first batch that was not acknowledged on, until the server is gone, `stop` is set or `batches` are acknowledged."""

    def __init__(self, address, history, stop, batches=None, retry=False):
        super().__init__(daemon=True)
        self.history, self.stop, self.retry = history, stop, retry
        self.until = None if batches is None else history.acknowledged + batches
        self.connection = kafkawire.Connection(address)
        self.error = None
        self.refusals = 0
        self.start()

    def run(self):
        try:
            self._produce()
        except (ConnectionError, OSError):
            pass
        except Exception as error:  # told by finish()
            self.error = error
        self.connection.close()

    def _produce(self):
        history = self.history
        while history.producer is None:
            error, producer = self.connection.producer_id()
            if error == 0:
                history.producer = producer
            else:
                self._note_refusal(error)
        at = history.acknowledged
        while not self.stop.is_set() and (self.until is None or history.acknowledged < self.until):
            while at - history.acknowledged < IN_FLIGHT_MAX and at != self.until:
                batch = history.batch(at)
                history.sent = max(history.sent, at + 1)
                self.connection.send_produce(TOPIC, history.partition, batch)
                at += 1
            at = self._take_answer(at)
        while at > history.acknowledged:
            at = self._take_answer(at)

    def _take_answer(self, at):
        """Notes an acknowledgement; after a refusal takes the other answers and begins again. Where to go on."""
        history = self.history
        error, offset = self.connection.produced()
        if error == 0:
            expected = history.offsets[history.acknowledged]
            require(offset == expected, f"partition {history.partition}: batch {history.acknowledged} was acknowledged at offset {offset} instead of {expected}")
            history.acknowledged += 1
            return at
        self._note_refusal(error)
        for _ in range(at - history.acknowledged - 1):
            late, _ = self.connection.produced()
            require(late != 0, f"partition {history.partition}: a batch behind a refused one was stored")
        return history.acknowledged

    def _note_refusal(self, error):
        name = f"partition {self.history.partition}, batch {self.history.acknowledged}"
        require(self.retry, f"{name}: refused with error {error}")
        require(error in (56, 45), f"{name}: error {error} is not one that a producer tries again after")
        self.refusals += 1
        if self.refusals > REFUSALS_MAX:
            raise Refused(f"{name}: no appends are taken any more")
        time.sleep(0.002)

    def finish(self, seconds=60):
        self.join(seconds)
        require(not self.is_alive(), f"partition {self.history.partition}: the producer hangs")
        if self.error is not None:
            raise self.error


class Workload:
    def __init__(self):
        self.histories = [History(i) for i in range(PARTITIONS)]
        self.stop = threading.Event()
        self.producers = []

    def prepare(self, instance, segment_bytes=SEGMENT_BYTES):
        """Makes topic, stream and view on a new server."""
        connection = kafkawire.Connection(instance.endpoints["kafka"])
        error = connection.create_topic(TOPIC, PARTITIONS, segment_bytes=segment_bytes)
        connection.close()
        if error != 0:
            raise Refused(f"the topic was not made: error {error}")
        instance.run("sql", "-c", SQL)

    def start(self, instance, batches=None, retry=False):
        self.stop.clear()
        self.producers = [Producer(instance.endpoints["kafka"], history, self.stop, batches, retry) for history in self.histories]

    def finish(self):
        """Waits for the producers; raises what they found."""
        for producer in self.producers:
            producer.finish()

    def end(self):
        self.stop.set()
        self.finish()

    def end_quietly(self):
        """The same, whatever refusals they met."""
        self.stop.set()
        for producer in self.producers:
            try:
                producer.finish()
            except Refused:
                pass

    def acknowledged(self):
        return [history.acknowledged for history in self.histories]

    def check(self, address, everything=False, acknowledged=None):
        """Every acknowledged batch is there, in order, once, and nothing but what was sent. Returns how many there are."""
        acknowledged = acknowledged or self.acknowledged()
        connection = kafkawire.Connection(address)
        found = [self._check_partition(connection, history, 0 if everything else history.checked, acknowledged[history.partition]) for history in self.histories]
        connection.close()
        return found

    def _check_partition(self, connection, history, index, acknowledged):
        name = f"partition {history.partition}"
        while True:
            offset = history.offsets[index]
            error, high, data = connection.fetch(TOPIC, history.partition, offset)
            require(error == 0, f"{name}: reading offset {offset} gave error {error}; {acknowledged} batches were acknowledged, {index} were read")
            if offset == high:
                break
            before = index
            for base, batch in kafkawire.whole_batches(data):
                require(index < history.sent, f"{name}: batch {index} at offset {base} was never sent")
                require(base == history.offsets[index], f"{name}: batch {index} begins at offset {base} instead of {history.offsets[index]}")
                require(batch[kafkawire.BATCH_SAME_FROM:] == history.batches[index][kafkawire.BATCH_SAME_FROM:], f"{name}: batch {index} at offset {base} is not what was sent")
                index += 1
            require(index > before, f"{name}: nothing to read at offset {offset}, below the high watermark {high}")
        require(index >= acknowledged, f"{name}: {acknowledged} batches were acknowledged, {index} are there")
        return index

    def check_duplicates(self, address, found):
        """The newest batches that are there, sent again, are answered with their first offsets and not stored again."""
        connection = kafkawire.Connection(address)
        for history, count in zip(self.histories, found):
            for index in range(max(0, count - IN_FLIGHT_MAX), count):
                connection.send_produce(TOPIC, history.partition, history.batches[index])
                error, offset = connection.produced()
                require((error, offset) == (0, history.offsets[index]), f"partition {history.partition}: batch {index}, sent again, was answered with error {error}, offset {offset} instead of {history.offsets[index]}")
            high = connection.fetch(TOPIC, history.partition, history.offsets[count])[1]
            require(high == history.offsets[count], f"partition {history.partition}: batches sent again were stored again: {high} records instead of {history.offsets[count]}")
        connection.close()

    def recheck(self, instance):
        """After a restart: what was acknowledged is there; what was not is sent again, and stored once."""
        found = self.check(instance.endpoints["kafka"])
        self.start(instance, batches=IN_FLIGHT_MAX)
        self.finish()
        for history, count in zip(self.check(instance.endpoints["kafka"]), self.acknowledged()):
            require(history == count, f"{count} batches were acknowledged and none is on its way, {history} are there")
        for history in self.histories:
            history.checked = history.acknowledged
        return found

    def check_views(self, instance):
        connection = instance.connect()
        deadline = time.monotonic() + 10
        try:
            while True:
                live, whole = sorted(connection.rows("SELECT * FROM per_key")), sorted(connection.rows(VIEW_QUERY))
                if live == whole or time.monotonic() > deadline:
                    break
                time.sleep(0.01)  # records that came through Kafka reach the view an epoch later
        finally:
            connection.close()
        require(live == whole, f"view per_key is not its query over the log: {live} live, {whole} by the query")
