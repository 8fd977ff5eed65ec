"""Transactional producers at work, and what must be true of their transactions after a fault: an acknowledged commit is there whole, with the offset that
it committed for a group; what was aborted or never to be committed is not; what nobody was told about is there whole or not at all.
"""
import json
import random
import threading
import time

import kafkawire

from faults.workload import Refused, require

TOPIC, GROUP, PARTITIONS, PRODUCERS = "transfers", "movers", 2, 2
SQL = """
CREATE STREAM transfers (producer text, n bigint, i bigint) WITH (partitions = 2);
CREATE MATERIALIZED VIEW moved AS SELECT producer, count(*) AS c, sum(n) AS s FROM transfers GROUP BY producer
"""
CONCURRENT_TRANSACTIONS = 51


class Transaction:
    def __init__(self, producer, number):
        self.producer, self.number = producer, number
        self.values = [[] for _ in range(PARTITIONS)]
        self.offset = None  # that it commits for the group, in its producer's partition
        self.commit_asked = self.committed = False

    def new_value(self, partition):
        value = json.dumps({"producer": self.producer, "n": self.number, "i": sum(map(len, self.values))}).encode()
        self.values[partition].append(value)
        return value


def begin_anew(connection, name):
    """A new epoch, once what was decided is done and what was not is aborted: producer id and epoch."""
    deadline = time.monotonic() + 30
    while True:
        error, producer, epoch = connection.init_transactions(name)
        if error == 0:
            return producer, epoch
        require(error == CONCURRENT_TRANSACTIONS, f"{name}: a new epoch was refused with error {error}")
        require(time.monotonic() < deadline, f"{name}: what was decided is never done")
        time.sleep(0.002)


class Producer(threading.Thread):
    """One transaction after the other until it is stopped."""

    def __init__(self, address, index, history, stop):
        super().__init__(daemon=True)
        self.address, self.index, self.history, self.stop = address, index, history, stop
        self.error = None
        self.start()

    def run(self):
        try:
            self._produce()
        except (ConnectionError, OSError):
            pass
        except Exception as error:  # told by end()
            self.error = error

    def _produce(self):
        name = f"mover{self.index}"
        connection = kafkawire.Connection(self.address)
        producer, epoch = begin_anew(connection, name)
        sequences = [0] * PARTITIONS
        while not self.stop.is_set():
            transaction = Transaction(name, len(self.history))
            self.history.append(transaction)
            for partition in random.sample(range(PARTITIONS), random.randint(1, PARTITIONS)):
                self._expect(connection.add_partition(name, producer, epoch, TOPIC, partition))
                for _ in range(random.randint(1, 2)):
                    values = [transaction.new_value(partition) for _ in range(random.randint(1, 4))]
                    batch = kafkawire.record_batch(values, producer, sequences[partition], transactional=True, epoch=epoch)
                    connection.send_produce(TOPIC, partition, batch, name)
                    self._expect(connection.produced()[0])
                    sequences[partition] += len(values)
            if random.random() < 0.7:
                self._expect(connection.add_offsets(name, producer, epoch, GROUP))
                transaction.offset = transaction.number
                self._expect(connection.commit_in_transaction(name, producer, epoch, GROUP, TOPIC, self.index, transaction.offset))
            transaction.commit_asked = random.random() < 0.7
            error = CONCURRENT_TRANSACTIONS
            while error == CONCURRENT_TRANSACTIONS:
                error = connection.end_transaction(name, producer, epoch, transaction.commit_asked)
            self._expect(error)
            transaction.committed = transaction.commit_asked
        connection.close()

    def _expect(self, error):
        require(error == 0, f"mover{self.index}, transaction {len(self.history) - 1}: error {error}")


class Transactions:
    def __init__(self):
        self.histories = [[] for _ in range(PRODUCERS)]
        self.stop = threading.Event()
        self.producers = []

    def prepare(self, instance):
        connection = kafkawire.Connection(instance.endpoints["kafka"])
        error = connection.create_topic(TOPIC, PARTITIONS, segment_bytes=64 << 10)
        connection.close()
        if error != 0:
            raise Refused(f"the topic was not made: error {error}")
        instance.run("sql", "-c", SQL)

    def start(self, instance):
        self.stop.clear()
        self.producers = [Producer(instance.endpoints["kafka"], i, history, self.stop) for i, history in enumerate(self.histories)]

    def end(self):
        self.stop.set()
        for producer in self.producers:
            producer.join(60)
            require(not producer.is_alive(), f"mover{producer.index} hangs")
            if producer.error is not None:
                raise producer.error

    def committed(self):
        """Of each producer the transactions that it was told have committed."""
        return [{transaction.number for transaction in history if transaction.committed} for history in self.histories]

    def check(self, instance, committed):
        """On a server that came back: first what readers see at once, then, when every transaction is over, that it is all or nothing."""
        connection = kafkawire.Connection(instance.endpoints["kafka"])
        self._read(connection)
        for i in range(PRODUCERS):
            begin_anew(connection, f"mover{i}")
        seen = self._read(connection)
        whole = [[transaction for transaction in history if self._is_there(transaction, seen, transaction.number in told)]
                 for history, told in zip(self.histories, committed)]
        for i, transactions in enumerate(whole):
            expected = max((transaction.offset for transaction in transactions if transaction.offset is not None), default=-1)
            found = connection.committed(GROUP, TOPIC, i)
            require(found == expected, f"mover{i}: the group's offset is {found}, of the newest transaction that has committed it is {expected}")
        connection.close()
        self._check_view(instance, whole)

    def _read(self, connection):
        """All values that readers of committed records see; in order, once, none that was not to be committed."""
        known = {value: (transaction, partition) for history in self.histories for transaction in history
                 for partition, values in enumerate(transaction.values) for value in values}
        seen = set()
        for partition in range(PARTITIONS):
            error, _, values = connection.read_committed(TOPIC, partition)
            require(error == 0, f"reading committed records of partition {partition} gave error {error}")
            newest = {}
            for value in values:
                require(value in known and value not in seen, f"partition {partition}: {value} is there twice, or was never sent")
                transaction, sent_to = known[value]
                place = (transaction.number, transaction.values[partition].index(value)) if sent_to == partition else None
                require(place is not None and place > newest.get(transaction.producer, (-1, -1)), f"partition {partition}: {value} is out of place")
                require(transaction.commit_asked, f"partition {partition}: {value} is shown, but its transaction was not to be committed")
                newest[transaction.producer] = place
                seen.add(value)
        return seen

    def _is_there(self, transaction, seen, told):
        values = [value for of_partition in transaction.values for value in of_partition]
        there = sum(value in seen for value in values)
        require(there in (0, len(values)), f"{transaction.producer}, transaction {transaction.number}: {there} of {len(values)} records are there")
        require(there or not told, f"{transaction.producer}, transaction {transaction.number}: its commit was acknowledged, and it is lost")
        return there > 0

    def _check_view(self, instance, whole):
        expected = sorted([transactions[0].producer, str(sum(self._size(transaction) for transaction in transactions)),
                           str(sum(transaction.number * self._size(transaction) for transaction in transactions))] for transactions in whole if transactions)
        connection = instance.connect()
        deadline = time.monotonic() + 10
        try:
            while (rows := sorted(map(list, connection.rows("SELECT * FROM moved")))) != expected and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            connection.close()
        require(rows == expected, f"view moved has {rows}, the committed records give {expected}")

    @staticmethod
    def _size(transaction):
        return sum(map(len, transaction.values))
