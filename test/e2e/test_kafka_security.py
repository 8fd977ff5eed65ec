#!/usr/bin/env python3
"""Goal: the Kafka port serves whom it should, encrypted when asked, and tells the others why not. Method: released clients and kappa's own commands
with every mechanism; wrong passwords, missing certificates, the wrong protocol, and clients that send nothing."""
import os
import pathlib
import signal
import socket
import ssl
import struct
import subprocess

import harness

from certificates import Certificates

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
PASSWORD = "a secret, with = and , in it"  # kafka_security.py knows it too


def add_user(scratch, name, password=PASSWORD, verb="add"):
    result = subprocess.run([scratch.kappa, "user", verb, name, "--data", str(scratch.folder / "data")], input=password + "\n", capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def secured(scratch, *flags, tls=True, mutual=False):
    certificates = Certificates(scratch.folder / "certificates") if tls else None
    if tls:
        flags += ("--tls-cert", str(certificates.server), "--tls-key", str(certificates.server_key))
    if mutual:
        flags += ("--tls-client-ca", str(certificates.ca))
    (scratch.folder / "data").mkdir(exist_ok=True)
    if "--kafka-sasl" in flags:
        add_user(scratch, "ann")
    return scratch.server("data", *flags).start(), certificates


def clients(instance, protocol, *arguments):
    result = subprocess.run(["bash", str(CLIENTS / "kafka_security.sh"), instance.endpoints["kafka"], protocol, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"ended with {result.returncode}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    print("".join(line for line in result.stdout.splitlines(keepends=True) if line.startswith("ok ")), end="")


def test_sasl_ssl(scratch):
    """librdkafka, kafka-python, aiokafka over TLS with all three mechanisms; no secret leaks into the log."""
    instance, certificates = secured(scratch, "--kafka-sasl", "scram-sha-256,scram-sha-512,plain")
    clients(instance, "SASL_SSL", "--ca", certificates.ca, "--mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN")
    log = instance.log.read_text()
    assert 'authentication of user "ann" with SCRAM-SHA-256 failed: wrong user' in log and 'of user "nobody" with PLAIN failed' in log, log
    assert PASSWORD not in log and "Traceback" not in log
    command = pathlib.Path(f"/proc/{instance.process.pid}/cmdline").read_text()
    assert PASSWORD not in command
    instance.stop()


def test_sasl_without_tls(scratch):
    """The same with SCRAM alone; PLAIN must not be offered without a flag that says so."""
    instance, _ = secured(scratch, "--kafka-sasl", "scram-sha-256,scram-sha-512", tls=False)
    clients(instance, "SASL_PLAINTEXT", "--mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512")
    clients(instance, "PLAINTEXT", "--refused", "a client without a user")
    instance.stop()
    plain = scratch.server("data", "--kafka-sasl", "plain")
    try:
        plain.start()
        raise AssertionError("PLAIN without TLS was accepted")
    except RuntimeError as error:
        assert "PLAIN without TLS: it sends passwords as they are" in str(error), error


def test_mutual_tls(scratch):
    """A client's certificate is enough, and nothing less is."""
    instance, certificates = secured(scratch, mutual=True)
    own = ("--certificate", certificates.client, "--key", certificates.client_key)
    clients(instance, "SSL", "--ca", certificates.ca, *own)
    clients(instance, "SSL", "--ca", certificates.ca, "--refused", "a client without a certificate")
    other = Certificates(scratch.folder / "others")
    clients(instance, "SSL", "--ca", certificates.ca, "--certificate", other.client, "--key", other.client_key, "--refused", "a certificate of another authority")
    assert "TLS handshake failed: " in instance.log.read_text()
    instance.stop()


def test_kcat_and_own_commands(scratch):
    """kcat, which is an old librdkafka, and `kappa topic` with a file of settings."""
    instance, certificates = secured(scratch, "--kafka-sasl", "scram-sha-512")
    settings = {"security.protocol": "SASL_SSL", "ssl.ca.location": certificates.ca, "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "ann", "sasl.password": PASSWORD}
    file = scratch.folder / "client.properties"
    file.write_text("# of ann\n\n" + "".join(f"{name}={value}\n" for name, value in settings.items()))
    lines = "".join(f'{{"n": {n}, "text": "{"x" * 300}"}}\n' for n in range(20000))
    kcat = ["kcat", "-b", instance.endpoints["kafka"], *[part for name, value in settings.items() for part in ("-X", f"{name}={value}")]]
    subprocess.run([*kcat, "-P", "-t", "lines"], input=lines, text=True, check=True, timeout=60)
    got = subprocess.run([*kcat, "-C", "-q", "-e", "-t", "lines"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert got == lines, "kcat read other lines than it wrote"
    code, out, _ = instance.run("topic", "list", "--client-config", str(file))
    assert code == 0 and "lines" in out and "20000" in out, out
    code, _, errors = instance.run("topic", "list", check=False)
    assert code == 1 and "--client-config" in errors, errors
    # Users change while it runs.
    add_user(scratch, "ann", "another secret", verb="password")
    code, _, errors = instance.run("topic", "list", "--client-config", str(file), check=False)
    assert code == 1 and "wrong user or password" in errors, errors
    file.write_text(file.read_text().replace(PASSWORD, "another secret"))
    instance.run("topic", "list", "--client-config", str(file))
    instance.stop()


def test_user_command(scratch):
    """add, password, list, delete; passwords come from standard input, and what is wrong is said."""
    (scratch.folder / "data").mkdir()

    def user(*arguments, password=""):
        result = subprocess.run([scratch.kappa, "user", *arguments, "--data", str(scratch.folder / "data")], input=password, capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    harness.equal(user("add", "ann", password="secret\n"), (0, 'added user "ann"\n'))
    harness.equal(user("add", "bob", password="secret")[0], 0, "a line without an end")
    harness.equal(user("list"), (0, "ann\nbob\n"))
    assert 'user "ann" already exists' in user("add", "ann", password="x\n")[1]
    assert "the password is empty" in user("add", "cid")[1]
    assert "characters that clients encode in different ways" in user("add", "cid", password="pässword\n")[1]
    assert "is no name of a user" in user("add", "c i d", password="x\n")[1]
    harness.equal(user("delete", "bob"), (0, 'deleted user "bob"\n'))
    harness.equal(user("delete", "bob")[0], 1)
    harness.equal(user("password", "bob", password="x\n")[0], 1)
    harness.equal(user("list"), (0, "ann\n"))
    harness.equal(os.stat(scratch.folder / "data/users").st_mode & 0o777, 0o600, "who may read the file")
    assert "secret" not in (scratch.folder / "data/users").read_text()


def connect(instance, protocol=None):
    host, port = instance.endpoints["kafka"].rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), 20)
    return plain if protocol is None else protocol.wrap_socket(plain)


def ended(connection):
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_strangers(scratch):
    """The wrong protocol, requests too early, frames too large, and silence at any point end the connection, for a reason that is told."""
    instance, _ = secured(scratch, "--kafka-sasl", "scram-sha-256", "--authentication-timeout-ms", "700")
    metadata = struct.pack(">ihhih", 8 + 2 + 4, 3, 1, 1, -1) + struct.pack(">i", 0)

    plain = connect(instance)
    plain.sendall(metadata)
    assert plain.recv(100)[:1] in (b"\x15", b""), "an alert of TLS, or nothing"
    early = connect(instance, unverified())
    early.sendall(metadata)
    assert ended(early)
    large = connect(instance, unverified())
    large.sendall(struct.pack(">i", 1 << 20))
    assert ended(large)
    silent = connect(instance)
    half = connect(instance)
    half.sendall(b"\x16\x03\x01")
    idle = connect(instance, unverified())
    for connection in (silent, half, idle):
        assert ended(connection)
    log = instance.log.read_text()
    for reason in ("TLS handshake failed: ", "Metadata request before authentication", "frame of 1048576 bytes", "no authentication within 700 ms"):
        assert reason in log, f"{reason!r} is not in\n{log}"
    instance.stop()


def test_certificates_are_read_again(scratch):
    """SIGHUP: new connections see the new certificate, the old ones go on; a broken file changes nothing."""
    instance, certificates = secured(scratch)

    def served():
        with connect(instance, unverified()) as connection:
            return connection.getpeercert(binary_form=True)

    before = served()
    open_before = connect(instance, unverified())
    certificates.make("server", "localhost")
    instance.process.send_signal(signal.SIGHUP)
    harness.eventually(lambda: served() != before, "the new certificate is served")
    renewed = served()
    certificates.server_key.write_text("no key")
    instance.process.send_signal(signal.SIGHUP)
    harness.eventually(lambda: "of --tls-key" in instance.log.read_text(), "the error is told")
    harness.equal(served(), renewed, "after a broken file")
    open_before.sendall(struct.pack(">ihhih", 8 + 2, 18, 0, 7, -1))
    harness.equal(open_before.recv(8)[4:], struct.pack(">i", 7), "a connection from before")
    instance.stop()
    broken = scratch.server("data", *instance.flags)
    try:
        broken.start()
        raise AssertionError("a broken key was accepted")
    except RuntimeError as error:
        assert "could not use" in str(error), error


if __name__ == "__main__":
    harness.main(globals())
