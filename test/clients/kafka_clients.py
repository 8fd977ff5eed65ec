#!/usr/bin/env python3
"""Released Kafka clients against a running broker: codecs, headers, idempotence, groups with rebalances, commits, static and cooperative
members, clients of different make in one group, administration.

usage: kafka_clients.py HOST:PORT [--only CLIENT,..]     prints "ok CLIENT: FEATURE" for each; ends non-zero at the first mismatch

Run by kafka_clients.sh, which installs confluent-kafka (librdkafka, C), kafka-python and aiokafka (Python) at pinned versions.
"""
import argparse
import asyncio
import random
import threading
import time
import uuid

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
RUN = uuid.uuid4().hex[:8]
RECORDS = [(b"key %d" % (i % 10), b"value %d" % i + b"." * 200, [("h", b"header"), ("n", b"")]) for i in range(300)]
RECORDS += [(None, b"no key", []), (b"a tombstone", None, []), (b"", b"", [])]


def eventually(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.02)


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {str(got)[:500]}, wanted {str(wanted)[:500]}")


class Confluent:
    """librdkafka, by way of confluent-kafka."""

    name = "confluent-kafka"
    cooperative = True
    static = True

    def __init__(self, broker):
        self.broker = broker

    def produce(self, topic, records, codec="none", idempotent=False, partition=0):
        from confluent_kafka import Producer

        failed = []
        producer = Producer({"bootstrap.servers": self.broker, "compression.type": codec, "enable.idempotence": idempotent, "linger.ms": 20,
                             "batch.num.messages": 100 if idempotent else 10000})
        for key, value, headers in records:
            producer.produce(topic, value, key, partition=partition, headers=headers, on_delivery=lambda error, _: error and failed.append(error))
            producer.poll(0)
        producer.flush(60)
        equal(failed, [], "deliveries that failed")

    class Consumer:
        def __init__(self, broker, group, topic, strategy="range", instance=None):
            from confluent_kafka import Consumer

            settings = {"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False, "session.timeout.ms": 10000,
                        "heartbeat.interval.ms": 500, "partition.assignment.strategy": {"cooperative": "cooperative-sticky"}.get(strategy, strategy), "check.crcs": True}
            if instance:
                settings["group.instance.id"] = instance
            self.consumer = Consumer(settings)
            self.consumer.subscribe([topic])

        def poll(self):
            records = []
            for message in self.consumer.consume(100, 0.1):
                if message.error():
                    raise AssertionError(message.error())
                records.append((message.partition(), message.offset(), message.key(), message.value(), message.headers() or []))
            return records

        def assignment(self):
            return sorted(p.partition for p in self.consumer.assignment())

        def commit(self, positions):
            from confluent_kafka import TopicPartition

            for one in self.consumer.commit(offsets=[TopicPartition(t, p, o, metadata="note") for (t, p), o in positions.items()], asynchronous=False):
                if one.error:
                    raise AssertionError(one.error)

        def close(self):
            self.consumer.close()

    def consumer(self, *args, **kwargs):
        return self.Consumer(self.broker, *args, **kwargs)


class KafkaPython:
    name = "kafka-python"
    cooperative = False
    static = True

    def __init__(self, broker):
        self.broker = broker

    def produce(self, topic, records, codec="none", idempotent=False, partition=0):
        from kafka import KafkaProducer

        settings = {"enable_idempotence": True, "acks": "all", "retries": 10} if idempotent else {"enable_idempotence": False}
        producer = KafkaProducer(bootstrap_servers=self.broker, compression_type=None if codec == "none" else codec, linger_ms=20, **settings)
        futures = [producer.send(topic, value=value, key=key, headers=headers, partition=partition) for key, value, headers in records]
        producer.flush(60)
        for future in futures:
            future.get(10)
        producer.close()

    class Consumer:
        def __init__(self, broker, group, topic, strategy="range", instance=None):
            from kafka import KafkaConsumer
            from kafka.coordinator.assignors.range import RangePartitionAssignor
            from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

            settings = {"group_instance_id": instance} if instance else {}
            self.consumer = KafkaConsumer(topic, bootstrap_servers=broker, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=10000,
                                          heartbeat_interval_ms=500, partition_assignment_strategy=[{"range": RangePartitionAssignor}.get(strategy, RoundRobinPartitionAssignor)],
                                          **settings)

        def poll(self):
            return [(m.partition, m.offset, m.key, m.value, [tuple(h) for h in m.headers]) for ms in self.consumer.poll(100).values() for m in ms]

        def assignment(self):
            return sorted(p.partition for p in self.consumer.assignment())

        def commit(self, positions):
            from kafka import TopicPartition
            from kafka.structs import OffsetAndMetadata

            self.consumer.commit({TopicPartition(t, p): OffsetAndMetadata(o, "note", -1) for (t, p), o in positions.items()})

        def close(self):
            self.consumer.close()

    def consumer(self, *args, **kwargs):
        return self.Consumer(self.broker, *args, **kwargs)


class AioKafka:
    name = "aiokafka"
    cooperative = False
    static = True

    def __init__(self, broker):
        self.broker = broker
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(90)

    def produce(self, topic, records, codec="none", idempotent=False, partition=0):
        async def send():
            from aiokafka import AIOKafkaProducer

            producer = AIOKafkaProducer(bootstrap_servers=self.broker, compression_type=None if codec == "none" else codec, linger_ms=20, enable_idempotence=idempotent)
            await producer.start()
            try:
                futures = [await producer.send(topic, value=value, key=key, headers=headers, partition=partition) for key, value, headers in records]
                for future in futures:
                    await future
            finally:
                await producer.stop()

        self.run(send())

    class Consumer:
        def __init__(self, client, group, topic, strategy="range", instance=None):
            self.client = client

            async def start():
                from aiokafka import AIOKafkaConsumer
                from aiokafka.coordinator.assignors.range import RangePartitionAssignor
                from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

                consumer = AIOKafkaConsumer(topic, bootstrap_servers=client.broker, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=10000,
                                            heartbeat_interval_ms=500, group_instance_id=instance,
                                            partition_assignment_strategy=({"range": RangePartitionAssignor}.get(strategy, RoundRobinPartitionAssignor),))
                await consumer.start()
                return consumer

            self.consumer = client.run(start())

        def poll(self):
            got = self.client.run(self.consumer.getmany(timeout_ms=100))
            return [(m.partition, m.offset, m.key, m.value, list(m.headers)) for ms in got.values() for m in ms]

        def assignment(self):
            return sorted(p.partition for p in self.consumer.assignment())

        def commit(self, positions):
            from aiokafka.structs import OffsetAndMetadata, TopicPartition

            self.client.run(self.consumer.commit({TopicPartition(t, p): OffsetAndMetadata(o, "note") for (t, p), o in positions.items()}))

        def close(self):
            self.client.run(self.consumer.stop())

    def consumer(self, *args, **kwargs):
        return self.Consumer(self, *args, **kwargs)


class Member(threading.Thread):
    """A consumer that reads and commits on a thread of its own until told to leave."""

    def __init__(self, client, group, topic, **kwargs):
        super().__init__(daemon=True)
        self.client, self.group, self.topic, self.kwargs = client, group, topic, kwargs
        self.records, self.assigned, self.failure = [], [], None
        self.leaving = threading.Event()
        self.start()

    def run(self):
        try:
            consumer = self.client.consumer(self.group, self.topic, **self.kwargs)
            while not self.leaving.is_set():
                records = consumer.poll()
                self.assigned = consumer.assignment()
                if not records:
                    continue
                self.records += records
                positions = {}
                for partition, offset, *_ in records:
                    positions[self.topic, partition] = offset + 1
                try:
                    consumer.commit(positions)
                except Exception as error:  # a rebalance in between: whoever has the partition now reads it again
                    if "rebalanc" not in str(error).lower() and "rebalanc" not in type(error).__name__.lower() and "COMMITFAILED" not in type(error).__name__.upper() \
                            and "ILLEGAL_GENERATION" not in str(error) and "UNKNOWN_MEMBER" not in str(error):
                        raise
            consumer.close()
        except BaseException as error:  # noqa: BLE001: told to the main thread
            self.failure = error

    def leave(self):
        self.leaving.set()
        self.join(60)
        self.check()

    def check(self):
        if self.failure:
            raise AssertionError(f"{self.client.name}: {type(self.failure).__name__}: {self.failure}") from self.failure


def make_topic(broker, name, partitions):
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(30)


def read(consumer, count, seconds=60):
    records, deadline = [], time.monotonic() + seconds
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records came"
        records += consumer.poll()
    return records


def codecs(broker, client):
    for codec in CODECS:
        topic = f"{client.name}-{codec}-{RUN}"
        make_topic(broker, topic, 1)
        client.produce(topic, RECORDS, codec)
        consumer = client.consumer(f"{topic}-group", topic)
        records = read(consumer, len(RECORDS))
        equal([(key, value, headers) for _, _, key, value, headers in records], RECORDS, f"{client.name}, {codec}")
        consumer.close()


def idempotence(broker, client):
    topic = f"{client.name}-idempotent-{RUN}"
    make_topic(broker, topic, 1)
    records = [(b"k", b"%d" % i, []) for i in range(3000)]
    client.produce(topic, records, idempotent=True)
    consumer = client.consumer(f"{topic}-group", topic)
    equal([value for _, _, _, value, _ in read(consumer, len(records))], [value for _, value, _ in records], "records in order, once")
    consumer.close()


def resume(broker, client):
    topic = f"{client.name}-resume-{RUN}"
    make_topic(broker, topic, 1)
    client.produce(topic, [(b"k", b"%d" % i, []) for i in range(100)])
    consumer = client.consumer(f"{topic}-group", topic)
    read(consumer, 100)
    consumer.commit({(topic, 0): 42})
    consumer.close()
    consumer = client.consumer(f"{topic}-group", topic)
    equal(read(consumer, 58)[0][1], 42, "the first offset after the commit")
    consumer.close()


def rebalance(broker, first, second, **kwargs):
    """Two members share four partitions, then one of them leaves. Each record is read at least once, none before it was sent."""
    topic = f"{first.name}-{second.name}-{kwargs.get('strategy', 'range')}-{RUN}"
    make_topic(broker, topic, 4)
    sent = []

    def send(count):
        for partition in range(4):
            records = [(b"%d" % partition, b"%d" % (len(sent) + i), []) for i in range(count)]
            sent.extend(value for _, value, _ in records)
            first.produce(topic, records, partition=partition)

    a = Member(first, topic, topic, **kwargs)
    eventually(lambda: a.check() or a.assigned == [0, 1, 2, 3], f"{first.name} alone has all partitions")
    send(50)
    b = Member(second, topic, topic, **kwargs)
    eventually(lambda: a.check() or b.check() or (len(a.assigned) == 2 and len(b.assigned) == 2), f"{first.name} and {second.name} share the partitions")
    equal(sorted(a.assigned + b.assigned), [0, 1, 2, 3], "each partition has one owner")
    send(50)
    eventually(lambda: a.check() or b.check() or {r[3] for r in a.records + b.records} == set(sent), "all records are read")
    assert b.records, "the second member reads too"
    a.leave()
    eventually(lambda: b.check() or b.assigned == [0, 1, 2, 3], f"{second.name} takes over what {first.name} left")
    send(50)
    eventually(lambda: b.check() or {r[3] for r in a.records + b.records} == set(sent), "all records are read after one left")
    b.leave()
    for member in (a, b):
        for partition in range(4):
            offsets = [offset for p, offset, *_ in member.records if p == partition]
            equal(offsets, sorted(offsets), "a member reads in order")


def static(broker, client):
    """A static member restarts: the other one keeps its partitions and notices nothing."""
    topic = f"{client.name}-static-{RUN}"
    make_topic(broker, topic, 4)
    a, b = Member(client, topic, topic, instance="one"), Member(client, topic, topic, instance="two")
    eventually(lambda: a.check() or b.check() or sorted(a.assigned + b.assigned) == [0, 1, 2, 3], "both have partitions")
    before, generation = a.assigned, describe(broker, topic)
    kept = b.assigned
    a.leave()  # no LeaveGroup: its place is kept
    c = Member(client, topic, topic, instance="one")
    eventually(lambda: c.check() or c.assigned == before, "the restarted member has its partitions again")
    equal((b.assigned, describe(broker, topic)), (kept, generation), "what the other one sees")
    b.leave()
    c.leave()


def describe(broker, group):
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker})
    told = admin.describe_consumer_groups([group])[group].result(30)
    return told.state.name, len(told.members)


def admin(broker, client):
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka.admin import AdminClient

    topic = f"admin-{RUN}"
    make_topic(broker, topic, 2)
    admin = AdminClient({"bootstrap.servers": broker})
    member = Member(client, topic, topic)
    eventually(lambda: member.check() or member.assigned == [0, 1], "the member has its partitions")
    listed = {group.group_id: group for group in admin.list_consumer_groups().result(30).valid}
    equal(listed[topic].state.name, "STABLE", "state in the list")
    told = admin.describe_consumer_groups([topic])[topic].result(30)
    equal((told.partition_assignor, len(told.members)), ("range", 1), "description")
    equal(sorted(p.partition for p in told.members[0].assignment.topic_partitions), [0, 1], "assignment in the description")
    member.leave()
    place = ConsumerGroupTopicPartitions(topic, [TopicPartition(topic, 1, 5)])
    admin.alter_consumer_group_offsets([place])[topic].result(30)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(topic)])[topic].result(30)
    equal([(p.partition, p.offset) for p in found.topic_partitions], [(1, 5)], "offsets set by the administrator")
    for future in admin.delete_consumer_groups([topic]).values():
        future.result(30)
    assert topic not in {group.group_id for group in admin.list_consumer_groups().result(30).valid}, "the group is deleted"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    random.seed(1)
    clients = [make(arguments.broker) for make in (Confluent, KafkaPython, AioKafka)]
    wanted = set(filter(None, arguments.only.split(",")))
    cases = []
    for client in clients:
        cases += [(client.name, test.__name__, test, (client,), {}) for test in (codecs, idempotence, resume)]
        cases.append((client.name, "rebalance", rebalance, (client, client), {}))
        if client.cooperative:
            cases.append((client.name, "cooperative rebalance", rebalance, (client, client), {"strategy": "cooperative"}))
        if client.static:
            cases.append((client.name, "static members", static, (client,), {}))
    for i, one in enumerate(clients):
        for other in clients[i + 1:]:
            cases.append((f"{one.name} with {other.name}", "rebalance in one group", rebalance, (one, other), {}))
    cases.append(("confluent-kafka", "administration of groups", admin, (clients[0],), {}))
    for name, feature, test, args, kwargs in cases:
        if wanted and not wanted & set(name.split(" with ")):
            continue
        begin = time.monotonic()
        test(arguments.broker, *args, **kwargs)
        print(f"ok  {name}: {feature} ({time.monotonic() - begin:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
