#!/usr/bin/env python3
"""Released Kafka clients against a broker that asks who they are: each produces and consumes, then fails with a wrong password and as nobody.

usage: kafka_security.py HOST:PORT PROTOCOL [--ca FILE] [--certificate FILE --key FILE] [--mechanisms NAME,..]     prints "ok CLIENT: WHAT" for each

PROTOCOL is SSL, SASL_SSL or SASL_PLAINTEXT. The user is "ann", whose password is PASSWORD below.
"""
import argparse
import asyncio
import logging
import ssl
import time
import uuid

PASSWORD = "a secret, with = and , in it"
VALUES = [b"one", b"two" * 100_000, b"three"]


class Failed(Exception):
    """The broker refused the client."""


def confluent(arguments, topic, mechanism, user, password):
    from confluent_kafka import Consumer, Producer

    errors = []
    settings = {"bootstrap.servers": arguments.broker, "security.protocol": arguments.protocol, "error_cb": errors.append, "logger": logging.getLogger("silent")}
    if arguments.ca:
        settings["ssl.ca.location"] = arguments.ca
    if arguments.certificate:
        settings |= {"ssl.certificate.location": arguments.certificate, "ssl.key.location": arguments.key}
    if mechanism:
        settings |= {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password}
    producer = Producer(settings | {"message.timeout.ms": 8000})
    for value in VALUES:
        producer.produce(topic, value, partition=0)
    deadline = time.monotonic() + (4 if arguments.refused else 20)
    while producer.flush(0.1):
        if any(error.code() in (-169, -181) for error in errors) or time.monotonic() > deadline:  # authentication, TLS
            raise Failed(str(errors[0] if errors else "no answer"))
    consumer = Consumer(settings | {"group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    got = []
    while len(got) < len(VALUES):
        got += [message.value() for message in consumer.consume(10, 0.2) if not message.error()]
    consumer.close()
    return got


def kafka_python(arguments, topic, mechanism, user, password):
    import kafka
    import kafka.errors

    settings = {"bootstrap_servers": arguments.broker, "security_protocol": arguments.protocol, "ssl_cafile": arguments.ca, "ssl_certfile": arguments.certificate,
                "ssl_keyfile": arguments.key, "sasl_mechanism": mechanism, "sasl_plain_username": user, "sasl_plain_password": password}
    if not mechanism:
        settings = {name: value for name, value in settings.items() if not name.startswith("sasl")}
    try:
        producer = kafka.KafkaProducer(**settings, max_block_ms=4000, bootstrap_timeout_ms=4000)
        futures = [producer.send(topic, value, partition=0) for value in VALUES]
        producer.flush(20)
        for future in futures:
            future.get(20)
    except (kafka.errors.KafkaError, ssl.SSLError, OSError) as error:
        raise Failed(repr(error)) from error
    consumer = kafka.KafkaConsumer(topic, **settings, auto_offset_reset="earliest", group_id=topic, consumer_timeout_ms=20000)
    got = []
    for message in consumer:
        got.append(message.value)
        if len(got) == len(VALUES):
            break
    consumer.close()
    return got


def aiokafka(arguments, topic, mechanism, user, password):
    import aiokafka as client
    import aiokafka.helpers

    settings = {"bootstrap_servers": arguments.broker, "security_protocol": arguments.protocol}
    if "SSL" in arguments.protocol:
        settings["ssl_context"] = client.helpers.create_ssl_context(cafile=arguments.ca, certfile=arguments.certificate, keyfile=arguments.key)
    if mechanism:
        settings |= {"sasl_mechanism": mechanism, "sasl_plain_username": user, "sasl_plain_password": password}

    async def run():
        producer = client.AIOKafkaProducer(**settings)
        try:
            await producer.start()
        except (client.errors.KafkaError, OSError) as error:
            await producer.stop()
            raise Failed(repr(error)) from error
        for value in VALUES:
            await producer.send_and_wait(topic, value, partition=0)
        await producer.stop()
        consumer = client.AIOKafkaConsumer(topic, **settings, auto_offset_reset="earliest", group_id=topic)
        await consumer.start()
        got = [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in VALUES]
        await consumer.stop()
        return got

    return asyncio.run(run())


def must_fail(client, arguments, what, *credentials):
    try:
        client(arguments, f"never-{uuid.uuid4().hex}", *credentials)
    except Failed as failure:
        print(f"ok {client.__name__}: {what} is refused: {str(failure)[:150]}", flush=True)
        return
    raise AssertionError(f"{client.__name__}: {what} was let in")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("broker")
    parser.add_argument("protocol")
    parser.add_argument("--ca")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--mechanisms", default="")
    parser.add_argument("--refused", help="say only that the client is refused, for this reason")
    arguments = parser.parse_args()
    logging.getLogger("silent").setLevel(logging.CRITICAL + 1)
    for name in ("kafka", "aiokafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for client in (confluent, kafka_python, aiokafka):
        if arguments.refused:
            must_fail(client, arguments, arguments.refused, None, None, None)
            continue
        mechanisms = arguments.mechanisms.split(",") if arguments.mechanisms else [None]
        for mechanism in mechanisms:
            topic = f"secure-{uuid.uuid4().hex}"
            got = client(arguments, topic, mechanism, "ann", PASSWORD)
            assert got == VALUES, f"{client.__name__} with {mechanism}: other records came back"
            print(f"ok {client.__name__}: {arguments.protocol} {mechanism or ''}", flush=True)
        if arguments.mechanisms:
            must_fail(client, arguments, f"{mechanisms[0]}, a wrong password", mechanisms[0], "ann", PASSWORD + "!")
            must_fail(client, arguments, f"{mechanisms[-1]}, an unknown user", mechanisms[-1], "nobody", PASSWORD)


if __name__ == "__main__":
    main()
