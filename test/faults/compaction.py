"""Kills while a compacted topic is written and compacted all the time: of each key the last acknowledged value is there, or one that was sent behind it."""
import random
import shutil
import time

import kafkawire
import server

from faults.kills import KILLS_PER_SERVER, dying, recover
from faults.workload import IN_FLIGHT_MAX, require

TOPIC, KEYS = "latest", 12
FLAGS = ("--cleanup-interval-ms", "1", "--compaction-rate", "0")


class Writer:
    """An idempotent producer of numbers that rise with every record of a key. `told` is what was acknowledged, `sent` what may be in the log."""

    def __init__(self):
        self.producer, self.sequence = None, 0
        self.told, self.sent = {}, {}
        self.acknowledged = 0
        self.batches = []  # not acknowledged: bytes, and the newest number of each key

    def batch(self):
        keys = [random.randrange(KEYS) for _ in range(random.randint(1, 6))]
        values, newest = [], {}
        for key in keys:
            self.sent[key] = newest[key] = self.sent.get(key, 0) + 1
            values.append(b"%d %s" % (newest[key], b"x" * random.choice((10, 900))))
        made = kafkawire.record_batch(values, self.producer, self.sequence, keys=[b"k%d" % key for key in keys])
        self.sequence += len(values)
        self.batches.append((made, newest))

    def write(self, address, seconds):
        """Until the time is over, or the server is gone."""
        try:
            connection = kafkawire.Connection(address)
            if self.producer is None:
                error, self.producer = connection.producer_id()
                require(error == 0, f"no producer id: error {error}")
            deadline, flying = time.monotonic() + seconds, 0
            while flying or time.monotonic() < deadline:
                while flying < IN_FLIGHT_MAX and time.monotonic() < deadline:
                    if flying == len(self.batches):
                        self.batch()
                    connection.send_produce(TOPIC, 0, self.batches[flying][0])
                    flying += 1
                error, _ = connection.produced()
                # 46: stored once, its offset forgotten; what compaction leaves of a producer is its newest batch.
                require(error in (0, 46), f"a batch was refused with error {error}")
                flying -= 1
                self.acknowledged += 1
                self.told.update(self.batches.pop(0)[1])
            connection.close()
        except (ConnectionError, OSError):
            pass

    def check(self, address):
        connection = kafkawire.Connection(address)
        found, offset, records = {}, 0, 0
        while True:
            error, high, data = connection.fetch(TOPIC, 0, offset)
            require(error == 0, f"reading offset {offset} gave error {error}")
            if offset == high:
                break
            before = offset
            for base, batch in kafkawire.whole_batches(data):
                for delta, key, value in kafkawire.records_of(batch):
                    key, number = int(key[1:]), int(value.split(b" ")[0])
                    require(number > found.get(key, 0), f"key {key}: {number} behind {found.get(key)} at offset {base + delta}")
                    found[key] = number
                    records += 1
                offset = kafkawire.end_of(batch)
            require(offset > before, f"nothing to read at offset {offset}, below the high watermark {high}")
        connection.close()
        for key, number in self.told.items():
            require(number <= found.get(key, 0) <= self.sent[key], f"key {key}: {number} was acknowledged, {found.get(key)} is there")
        return records


def run(kappa, folder, kills, environment=None):
    """Kills the server `kills` times; fails with Violation. What was done, in words."""
    environment = environment or {}
    done = nested = written = left = 0
    while done < kills:
        instance = server.Server(kappa, folder / "data", *FLAGS)
        instance.start(**environment)
        try:
            connection = kafkawire.Connection(instance.endpoints["kafka"])
            error = connection.create_topic(TOPIC, 1, cleanup_policy="compact", segment_bytes=20 << 10, min_cleanable_dirty_ratio=0)
            connection.close()
            require(error == 0, f"the topic was not made: error {error}")
            writer = Writer()
            for _ in range(min(KILLS_PER_SERVER, kills - done)):
                if random.random() < 0.7:
                    instance.stop()
                    instance.start(wait=False, **dying(environment, 300))
                    try:
                        instance.wait_serving()
                    except RuntimeError:
                        pass  # struck at the start already
                if instance.process.poll() is None:
                    writer.write(instance.endpoints["kafka"], random.uniform(0.02, 0.5))
                instance.kill()
                nested += recover(instance, environment)
                instance.start(**environment)
                left = writer.check(instance.endpoints["kafka"])
                done += 1
            written += sum(writer.sent.values())
            instance.stop()
            code, out, err = instance.run("topic", "verify", "--offline", check=False)
            require(code == 0, f"kappa topic verify --offline: {out}{err}")
        finally:
            instance.kill()
            shutil.rmtree(folder / "data")
    require(written > 0 and left < written, "nothing was compacted")
    return f"{kills} kills and {nested} during recovery under compaction, {written} records"
