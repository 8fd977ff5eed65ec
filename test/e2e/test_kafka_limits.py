#!/usr/bin/env python3
"""Goal: real clients keep to the rates and numbers that they are given, and lose nothing by it. Method: kcat against servers with low limits."""
import re
import socket
import subprocess
import time
import urllib.request

import harness
import kafkawire

LINES = "".join(f"{n:06d} {'x' * 993}\n" for n in range(3000))  # 3 MB


def metric(instance, name):
    with urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics", timeout=30) as answer:
        return int(re.search(rf"^{name} (\d+)", answer.read().decode(), re.M).group(1))


def timed(*command, **options):
    begin = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, **options)
    return time.monotonic() - begin, result.stdout


def test_rates(scratch):
    """3 MB at 1 MB a second take two seconds, the first second being free; every line arrives."""
    instance = scratch.server("data", "--kafka-produce-rate", "1MB", "--kafka-fetch-rate", "1MB").start()
    kcat = ["kcat", "-b", instance.endpoints["kafka"], "-t", "lines", "-X", "batch.size=100000"]
    seconds, _ = timed(*kcat, "-P", input=LINES)
    assert 1.5 < seconds < 20, f"produced in {seconds:.1f} s"
    assert metric(instance, "kappa_kafka_throttled_requests_total") > 0
    before = metric(instance, "kappa_kafka_throttled_requests_total")
    seconds, got = timed(*kcat, "-C", "-q", "-e", "-X", "fetch.message.max.bytes=200000")
    harness.equal(got, LINES)
    assert 1.5 < seconds < 20, f"consumed in {seconds:.1f} s"
    assert metric(instance, "kappa_kafka_throttled_requests_total") > before
    harness.equal(metric(instance, "kappa_kafka_client_errors_total"), 0)
    instance.stop()


def test_quotas(scratch):
    """What an administrator sets counts at once and after kill -9, for whom it names, before what the server was started with; SQL shows it."""
    instance = scratch.server("data", "--kafka-produce-rate", "1GB").start()
    admin = kafkawire.Connection(instance.endpoints["kafka"])
    harness.equal(admin.alter_quota({"client-id": "slow"}, producer_byte_rate=1e6, consumer_byte_rate=1e6), (0, None))
    harness.equal(admin.alter_quota({"user": None}, request_percentage=50.5), (0, None))
    harness.equal(admin.alter_quota({"ip": "127.0.0.9"}, connection_creation_rate=3), (0, None))
    code, message = admin.alter_quota({"user": "ann", "client-id": None}, controller_mutation_rate=1)
    assert code == 42 and 'invalid configuration key "controller_mutation_rate"' in message, message
    expected = [[None, "slow", None, "consumer_byte_rate", "1000000", "t"], [None, "slow", None, "producer_byte_rate", "1000000", "t"],
                [None, None, "127.0.0.9", "connection_creation_rate", "3", "t"], ["<default>", None, None, "request_percentage", "50.5", "f"]]
    shown = "SELECT user_name, client_id, ip, key, value, enforced FROM kappa.quotas ORDER BY key"
    harness.equal(instance.connect().rows(shown), sorted(expected, key=lambda row: row[3]))
    instance.kill()
    instance.start()
    harness.equal(instance.connect().rows(shown), sorted(expected, key=lambda row: row[3]), "after kill -9")
    kcat = ["kcat", "-b", instance.endpoints["kafka"], "-t", "lines", "-X", "batch.size=100000", "-X", "fetch.message.max.bytes=200000"]
    seconds, _ = timed(*kcat, "-X", "client.id=other", "-P", input=LINES)
    harness.equal(metric(instance, "kappa_kafka_throttled_requests_total"), 0, "another client")
    seconds, _ = timed(*kcat, "-X", "client.id=slow", "-P", input=LINES)
    assert 1.5 < seconds < 20, f"produced in {seconds:.1f} s"
    seconds, got = timed(*kcat, "-X", "client.id=slow", "-C", "-q", "-o", "-3000", "-c", "3000")
    harness.equal(got, LINES)
    assert 1.5 < seconds < 20, f"consumed in {seconds:.1f} s"
    before = metric(instance, "kappa_kafka_throttled_requests_total")
    assert before > 1
    admin = kafkawire.Connection(instance.endpoints["kafka"])
    harness.equal(admin.alter_quota({"client-id": "slow"}, producer_byte_rate=None, consumer_byte_rate=None), (0, None))
    timed(*kcat, "-X", "client.id=slow", "-P", input=LINES)
    harness.equal(metric(instance, "kappa_kafka_throttled_requests_total"), before, "once the quota is gone")
    harness.equal(len(instance.connect().rows(shown)), 2)
    instance.stop()


def test_connections(scratch):
    """Connections beyond the bounds are closed at once, and idle ones after their time."""
    instance = scratch.server("data", "--kafka-connections-per-ip-max", "3", "--kafka-idle-timeout-ms", "1500").start()
    host, port = instance.endpoints["kafka"].rsplit(":", 1)
    held = [socket.create_connection((host, int(port)), 20) for _ in range(3)]
    harness.eventually(lambda: metric(instance, "kappa_kafka_connections_open") == 3, "three connections are open")
    beyond = socket.create_connection((host, int(port)), 20)
    harness.equal(beyond.recv(1), b"", "the fourth")
    harness.equal(metric(instance, "kappa_kafka_connections_refused_total"), 1)
    for connection in held:
        harness.equal(connection.recv(1), b"", "an idle one")
    timed("kcat", "-b", instance.endpoints["kafka"], "-L")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
