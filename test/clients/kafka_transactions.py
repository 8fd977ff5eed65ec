#!/usr/bin/env python3
"""Transactions of released Kafka clients against a running broker: commit, abort, fencing, readers of committed records, offsets of a group.

usage: kafka_transactions.py HOST:PORT [--only CLIENT,..]    prints "ok CLIENT: FEATURE" for each; ends non-zero at the first mismatch
       kafka_transactions.py HOST:PORT --copy                copies topic "in" to "out" in transactions, some of them aborted, through restarts of the
                                                             broker; for crash tests

Run by kafka_clients.sh, which installs the clients at pinned versions.
"""
import argparse
import asyncio
import json
import random
import time
import uuid

from kafka_clients import RUN, equal, eventually, make_topic


def confluent_consumer(broker, isolation="read_committed", group=None, **settings):
    from confluent_kafka import Consumer

    return Consumer({"bootstrap.servers": broker, "group.id": group or uuid.uuid4().hex, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                     "isolation.level": isolation, "enable.partition.eof": True, "check.crcs": True, **settings})


def read_all(broker, topic, partitions=1, isolation="read_committed"):
    """Values of all partitions to their ends, as this isolation shows them."""
    from confluent_kafka import KafkaError, TopicPartition

    consumer = confluent_consumer(broker, isolation)
    consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
    values, ended = [[] for _ in range(partitions)], set()
    deadline = time.monotonic() + 60
    while len(ended) < partitions:
        assert time.monotonic() < deadline, f"the ends of {topic} never came"
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            equal(message.error().code(), KafkaError._PARTITION_EOF, "error")
            ended.add(message.partition())
        else:
            values[message.partition()].append(message.value())
    consumer.close()
    return values


def producer(broker, transactional_id, **settings):
    from confluent_kafka import Producer

    made = Producer({"bootstrap.servers": broker, "transactional.id": transactional_id, "linger.ms": 5, "transaction.timeout.ms": 60000, **settings})
    made.init_transactions(60)
    return made


def commit_and_abort(broker):
    topic = f"txn-{RUN}"
    make_topic(broker, topic, 3)
    one = producer(broker, topic)
    wanted = [[] for _ in range(3)]
    for turn in range(12):
        one.begin_transaction()
        for i in range(30):
            value = b"%d %d" % (turn, i)
            one.produce(topic, value, partition=i % 3)
            if turn % 3 != 1:
                wanted[i % 3].append(value)
        if turn % 2:
            one.flush()  # the records are in the log before it is decided
        one.commit_transaction(60) if turn % 3 != 1 else one.abort_transaction(60)
    equal(read_all(broker, topic, 3), wanted, "committed records, in order, once")
    seen = read_all(broker, topic, 3, "read_uncommitted")
    assert sum(map(len, seen)) > sum(map(len, wanted)), "readers of uncommitted records see aborted ones"


def open_transactions_are_waited_for(broker):
    topic = f"txn-open-{RUN}"
    make_topic(broker, topic, 1)
    one, plain = producer(broker, f"{topic}-1"), producer(broker, f"{topic}-2")
    one.begin_transaction()
    one.produce(topic, b"first", partition=0)
    one.flush()
    plain.begin_transaction()
    plain.produce(topic, b"second", partition=0)
    plain.commit_transaction(60)
    equal(read_all(broker, topic), [[]], "nothing before what is not decided")
    equal(read_all(broker, topic, isolation="read_uncommitted"), [[b"first", b"second"]], "all")
    reader = confluent_consumer(broker)
    reader.subscribe([topic])
    eventually(lambda: reader.poll(0.1) is not None, "the reader is at the end")
    one.commit_transaction(60)
    values = []

    def look():
        message = reader.poll(0.1)
        if message is not None and not message.error():
            values.append(message.value())
        return values == [b"first", b"second"]

    eventually(look, "a waiting reader is woken by the marker")
    reader.close()


def fencing(broker):
    from confluent_kafka import KafkaException

    topic = f"txn-fence-{RUN}"
    make_topic(broker, topic, 1)
    old = producer(broker, topic)
    old.begin_transaction()
    old.produce(topic, b"zombie", partition=0)
    old.flush()
    new = producer(broker, topic)
    new.begin_transaction()
    new.produce(topic, b"new", partition=0)
    new.commit_transaction(60)
    try:
        old.produce(topic, b"zombie again", partition=0)
        old.commit_transaction(60)
        raise AssertionError("a producer that was replaced could commit")
    except KafkaException as error:
        assert error.args[0].fatal() or error.args[0].txn_requires_abort(), error
    equal(read_all(broker, topic), [[b"new"]], "records of the new producer alone")


def timeout(broker):
    from confluent_kafka import KafkaException

    topic = f"txn-timeout-{RUN}"
    make_topic(broker, topic, 1)
    slow = producer(broker, topic, **{"transaction.timeout.ms": 1000, "message.timeout.ms": 1000})
    slow.begin_transaction()
    slow.produce(topic, b"late", partition=0)
    slow.flush()
    other = producer(broker, f"{topic}-other")
    other.begin_transaction()
    other.produce(topic, b"other", partition=0)
    other.commit_transaction(60)
    eventually(lambda: read_all(broker, topic) == [[b"other"]], "the open transaction is aborted when its time is over", 20)
    try:
        slow.commit_transaction(60)
        raise AssertionError("a transaction was committed after its timeout")
    except KafkaException:
        pass


def copy(broker):
    """Consume, transform, produce: the offsets are committed with the records, or neither."""
    source, sink = f"txn-in-{RUN}", f"txn-out-{RUN}"
    make_topic(broker, source, 2)
    make_topic(broker, sink, 2)
    filler = producer(broker, source)
    filler.begin_transaction()
    for i in range(200):
        filler.produce(source, b"%d" % i, partition=i % 2)
    filler.commit_transaction(60)
    run_copy(broker, source, sink, f"{sink}-group", random.Random(3))
    got = read_all(broker, sink, 2)
    equal(sorted(json.loads(v)["n"] for vs in got for v in vs), [2 * i for i in range(200)], "each record copied once")


# Back quickly, and with the broker that it knows: librdkafka 2.16 forgets brokers that are all down, and then waits for a coordinator among them.
PATIENT = {"reconnect.backoff.max.ms": 200, "retry.backoff.max.ms": 200, "metadata.recovery.strategy": "none"}


def run_copy(broker, source, sink, group, chance, partitions=2):
    """Until the end of the source, however often the broker restarts."""
    from confluent_kafka import KafkaException

    one = None
    while True:
        try:
            if one is None:  # begins where the last committed transaction ended
                ended = set()
                one = producer(broker, f"{group}-copier", **PATIENT)
                consumer = confluent_consumer(broker, group=group, **{"session.timeout.ms": 6000, "heartbeat.interval.ms": 300}, **PATIENT)
                consumer.subscribe([source])
            messages = []
            for m in consumer.consume(20, 0.2):
                if m.error():
                    ended.add(m.partition())
                else:
                    ended.discard(m.partition())
                    messages.append(m)
            if not messages:
                if len(ended) == partitions:
                    break
                continue
            one.begin_transaction()
            for m in messages:
                one.produce(sink, b'{"n": %d}' % (2 * int(m.value())), partition=m.partition())
            one.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 30)
            if chance.random() < 0.25:
                one.abort_transaction(60)
                consumer.close()
                one = None
            else:
                one.commit_transaction(60)
        except KafkaException as error:
            print(f"again: {error}", flush=True)
            consumer.close()
            one = None
    consumer.close()


def administration(broker):
    """What tools see: ListTransactions and DescribeTransactions come with Java's tools; here the offsets that wait for a transaction."""
    from confluent_kafka import TopicPartition

    topic = f"txn-offsets-{RUN}"
    make_topic(broker, topic, 1)
    one = producer(broker, topic)
    reader = confluent_consumer(broker, group=topic)
    reader.assign([TopicPartition(topic, 0, 0)])
    one.begin_transaction()
    one.send_offsets_to_transaction([TopicPartition(topic, 0, 7)], reader.consumer_group_metadata(), 30)
    one.abort_transaction(60)
    equal(reader.committed([TopicPartition(topic, 0)], 30)[0].offset, -1001, "an aborted offset is not there")
    one.begin_transaction()
    one.send_offsets_to_transaction([TopicPartition(topic, 0, 9)], reader.consumer_group_metadata(), 30)
    one.commit_transaction(60)
    equal(reader.committed([TopicPartition(topic, 0)], 30)[0].offset, 9, "a committed offset is")
    reader.close()


def kafka_python(broker):
    from kafka import KafkaProducer

    topic = f"txn-kafka-python-{RUN}"
    make_topic(broker, topic, 1)
    one = KafkaProducer(bootstrap_servers=broker, transactional_id=topic, transaction_timeout_ms=30000)
    one.init_transactions()
    for turn in range(4):
        one.begin_transaction()
        for i in range(20):
            one.send(topic, b"%d" % turn, partition=0)
        one.flush(30)
        one.commit_transaction() if turn % 2 == 0 else one.abort_transaction()
    one.close()
    equal(read_all(broker, topic), [[b"0"] * 20 + [b"2"] * 20], "committed records")


def aiokafka(broker):
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    topic = f"txn-aiokafka-{RUN}"
    make_topic(broker, topic, 1)

    async def run():
        one = AIOKafkaProducer(bootstrap_servers=broker, transactional_id=topic)
        await one.start()
        for turn in range(4):
            await one.begin_transaction()
            for _ in range(20):
                await one.send(topic, b"%d" % turn, partition=0)
            await (one.commit_transaction() if turn % 2 == 0 else one.abort_transaction())
        await one.stop()
        reader = AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest", isolation_level="read_committed")
        await reader.start()
        values = [(await asyncio.wait_for(reader.getone(), 30)).value for _ in range(40)]
        await reader.stop()
        return values

    equal(asyncio.run(run()), [b"0"] * 20 + [b"2"] * 20, "committed records")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker")
    parser.add_argument("--only", default="")
    parser.add_argument("--copy", action="store_true")
    arguments = parser.parse_args()
    if arguments.copy:
        return run_copy(arguments.broker, "in", "out", "copy", random.Random(5))
    wanted = set(filter(None, arguments.only.split(",")))
    cases = [("confluent-kafka", test) for test in (commit_and_abort, open_transactions_are_waited_for, fencing, timeout, copy, administration)]
    cases += [("kafka-python", kafka_python), ("aiokafka", aiokafka)]
    for name, test in cases:
        if wanted and name not in wanted and test.__name__ not in wanted:
            continue
        begin = time.monotonic()
        test(arguments.broker)
        print(f"ok  {name}: transactions, {test.__name__.replace('_', ' ')} ({time.monotonic() - begin:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
