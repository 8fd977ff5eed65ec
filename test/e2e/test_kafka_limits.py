#!/usr/bin/env python3
"""Goal: real clients keep to the rates and numbers that they are given, and lose nothing by it. Method: kcat against servers with low limits."""
import re
import socket
import subprocess
import time
import urllib.request

import harness

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
