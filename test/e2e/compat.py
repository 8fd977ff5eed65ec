#!/usr/bin/env python3
"""Goal: released clients of many languages work unchanged. Method: the scripts of test/clients, each against a server of its own; what a client
needs is fetched from its registry at a pinned version, into build/. Run by ./dev compat; the Python clients are part of ./dev test too."""
import pathlib
import re
import shutil
import subprocess
import urllib.request

import harness

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"


def metric(instance, name):
    with urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics", timeout=30) as answer:
        return int(re.search(rf"^{name} (\d+)", answer.read().decode(), re.M).group(1))


def script(scratch, name, *tools, flags=(), moves=()):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        print(f"skipped {name}: {', '.join(missing)} is not installed")
        return
    instance = scratch.server("data", *flags).start()
    result = subprocess.run(["bash", str(CLIENTS / name), instance.endpoints["kafka"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    print("".join(line for line in result.stdout.splitlines(keepends=True) if line.startswith("ok ")), end="", flush=True)
    assert result.returncode == 0, f"{name} ended with {result.returncode}:\n{result.stdout[-4000:]}"
    for counter in moves:
        assert metric(instance, counter) > 0, f"{name}: {counter} did not move"
    instance.stop()


def test_kcat(scratch):
    """kcat (librdkafka)."""
    script(scratch, "kcat.sh", "kcat")


def test_python(scratch):
    """confluent-kafka (librdkafka), kafka-python, aiokafka."""
    script(scratch, "kafka_clients.sh", "python3")


def test_java(scratch):
    """The Java client and its command-line tools."""
    script(scratch, "kafka_java.sh", "java", "javac", "mvn", flags=("--cleanup-interval-ms", "50"),
           moves=("kappa_kafka_incremental_fetches_total", "kappa_log_compaction_removed_records_total"))


def test_node(scratch):
    """KafkaJS."""
    script(scratch, "kafkajs.sh", "node", "npm")


def test_go(scratch):
    """franz-go."""
    script(scratch, "franz_go.sh", "go")


if __name__ == "__main__":
    harness.main(globals())
