#!/usr/bin/env python3
"""Goal: released clients of many languages work unchanged. Method: the scripts of test/clients, each against a server of its own; what a client
needs is fetched from its registry at a pinned version, into build/. Run by ./dev compat; the Python clients are part of ./dev test too."""
import pathlib
import re
import shutil
import subprocess
import urllib.request

import harness
import test_kafka_security as security

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"


def metric(instance, name):
    with urllib.request.urlopen(f"http://{instance.endpoints['http']}/metrics", timeout=30) as answer:
        return int(re.search(rf"^{name} (\d+)", answer.read().decode(), re.M).group(1))


def available(name, *tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        print(f"skipped {name}: {', '.join(missing)} is not installed")
    return not missing


def script(scratch, name, *tools, flags=(), moves=(), arguments=()):
    if not available(name, *tools):
        return
    instance = scratch.server("data", *flags).start()
    run(instance, name, *arguments)
    for counter in moves:
        assert metric(instance, counter) > 0, f"{name}: {counter} did not move"
    instance.stop()


def run(instance, name, *arguments):
    command = ["bash", CLIENTS / name, instance.endpoints["kafka"], *arguments]
    result = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    print("".join(line for line in result.stdout.splitlines(keepends=True) if line.startswith("ok ")), end="", flush=True)
    assert result.returncode == 0, f"{name} ended with {result.returncode}:\n{result.stdout[-4000:]}"


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


def test_java_security(scratch):
    """The Java client over TLS: SCRAM and PLAIN, with sessions that end while it works, certificates; and those that are refused."""
    if not available("kafka_java_security.sh", "java", "mvn"):
        return

    patience = ("--authentication-timeout-ms", "60000")  # a new JVM on a busy machine takes seconds for its first handshake

    def settings(name, what, expect="ok", **more):
        file = scratch.folder / f"{name}.properties"
        all_settings = {"what": what, "expect": expect, "socket_connection_setup_timeout_ms": 60000, "socket_connection_setup_timeout_max_ms": 60000, **more}
        file.write_text("".join(f"{key.replace('_', '.')}={value}\n" for key, value in all_settings.items()))
        return file

    def user(mechanism, name="ann", password=security.PASSWORD):
        module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
        return {"security_protocol": "SASL_SSL", "sasl_mechanism": mechanism,
                "sasl_jaas_config": f'org.apache.kafka.common.security.{module} required username="{name}" password="{password}";'}

    instance, certificates = security.secured(scratch, "--kafka-sasl", "scram-sha-256,scram-sha-512,plain", "--kafka-session-lifetime-ms", "6000", *patience)
    trust = {"ssl_truststore_type": "PEM", "ssl_truststore_location": certificates.ca}
    files = [settings(name, f"{name} over TLS, sessions renewed, transactions", **trust, **user(name)) for name in ("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN")]
    run(instance, "kafka_java_security.sh", *files)
    assert metric(instance, "kappa_kafka_authentications_total") > metric(instance, "kappa_kafka_connections_total"), "no session was renewed"
    refused = "SaslAuthenticationException"
    run(instance, "kafka_java_security.sh",
        settings("password", "a wrong password", refused, **trust, **user("SCRAM-SHA-256", password="wrong")),
        settings("nobody", "an unknown user", refused, **trust, **user("SCRAM-SHA-512", "nobody")),
        settings("nowhere", "a server that it does not trust", "SslAuthenticationException", **user("SCRAM-SHA-512")))
    instance.stop()

    instance, certificates = security.secured(scratch, *patience, mutual=True)
    own = scratch.folder / "own.pem"
    key = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", certificates.client_key], capture_output=True, text=True, check=True).stdout
    own.write_text(key + certificates.client.read_text())
    trust = {"security_protocol": "SSL", "ssl_truststore_type": "PEM", "ssl_truststore_location": certificates.ca}
    run(instance, "kafka_java_security.sh",
        settings("certificate", "TLS with a certificate of its own, transactions", ssl_keystore_type="PEM", ssl_keystore_location=own, **trust),
        settings("without", "no certificate", "SslAuthenticationException", **trust))
    instance.stop()


def test_connect(scratch):
    """Kafka Connect, standalone."""
    script(scratch, "kafka_connect.sh", "java", "mvn")


def test_node(scratch):
    """KafkaJS."""
    script(scratch, "kafkajs.sh", "node", "npm")


def test_go(scratch):
    """franz-go and segmentio's kafka-go."""
    for client in ("franz_go", "kafka_go"):
        script(scratch, "go.sh", "go", arguments=(client,))


def test_rust(scratch):
    """rdkafka and rskafka."""
    script(scratch, "rust.sh", "cargo")


if __name__ == "__main__":
    harness.main(globals())
