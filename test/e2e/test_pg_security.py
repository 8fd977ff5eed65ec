#!/usr/bin/env python3
"""Goal: the PostgreSQL port serves whom it should, encrypted when asked, and tells the others why not. Method: psql, psycopg 3 and kappa's own commands
with and without TLS, passwords and certificates; strangers that send the wrong thing, or nothing."""
import os
import pathlib
import socket
import ssl
import struct
import subprocess

import harness

from certificates import Certificates

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"
PASSWORD = "a secret, with = and , in it"


def secured(scratch, *flags, tls=True, mutual=False, users=True):
    certificates = Certificates(scratch.folder / "certificates")
    (scratch.folder / "data").mkdir(exist_ok=True)
    if tls:
        flags += ("--tls-cert", str(certificates.server), "--tls-key", str(certificates.server_key))
    if mutual:
        flags += ("--tls-client-ca", str(certificates.ca))
    if users:
        for name in ("ann", "kappa", "ada"):  # the latter two connect in psycopg_test.py
            subprocess.run([scratch.kappa, "user", "add", name, "--data", str(scratch.folder / "data")], input=PASSWORD, text=True, check=True, capture_output=True)
        flags += ("--pg-auth", "scram-sha-256")
    return scratch.server("data", *flags).start(), certificates


def psql(instance, query, user="ann", password=PASSWORD, **settings):
    host, port = instance.endpoints["pg"].rsplit(":", 1)
    target = " ".join(f"{name}={value}" for name, value in {"host": host, "port": port, "dbname": "kappa", "user": user, **settings}.items())
    result = subprocess.run(["psql", "-X", "-A", "-t", "-w", target, "-c", query], env={**os.environ, "PGPASSWORD": password}, capture_output=True, text=True, timeout=60)
    return (result.stdout if result.returncode == 0 else result.stderr).strip()


def test_scram_over_tls(scratch):
    """psql and psycopg with verified certificates; large results; wrong password and unknown user look the same."""
    instance, certificates = secured(scratch)
    verified = {"sslmode": "verify-full", "sslrootcert": certificates.ca}
    harness.equal(psql(instance, "SELECT 1", **verified), "1")
    harness.equal(psql(instance, "SELECT current_user", **verified), "ann")
    harness.equal(len(psql(instance, "SELECT repeat('x', 3000000)", **verified)), 3_000_000, "a value larger than a record of TLS")
    harness.equal(psql(instance, f"SELECT length('{'y' * 100_000}')", **verified), "100000", "a query larger than a record of TLS")
    wrong = psql(instance, "SELECT 1", password="wrong", **verified)
    nobody = psql(instance, "SELECT 1", user="nobody", **verified)
    assert 'FATAL:  password authentication failed for user "ann"' in wrong, wrong
    assert 'FATAL:  password authentication failed for user "nobody"' in nobody, nobody
    assert "connections without encryption are not accepted" in psql(instance, "SELECT 1", sslmode="disable")
    host, port = instance.endpoints["pg"].rsplit(":", 1)
    environment = {**os.environ, "PGUSER": "ann", "PGPASSWORD": PASSWORD, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(certificates.ca)}
    result = subprocess.run(["bash", str(CLIENTS / "psycopg.sh"), host, port], env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    # kappa's own commands take what libpq's variables say.
    command = [scratch.kappa, "sql", "-c", "SELECT 1 AS one", "--data", str(scratch.folder / "data")]
    assert "one" in subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    refused = subprocess.run(command, env={**os.environ, "PGPASSWORD": "", "HOME": str(scratch.folder)}, capture_output=True, text=True)
    assert refused.returncode == 1 and "PGPASSWORD" in refused.stderr, refused.stderr
    log = instance.log.read_text()
    assert PASSWORD not in log, log
    instance.stop()


def test_scram_without_tls(scratch):
    """On loopback a password without encryption is allowed: SCRAM does not send it."""
    instance, _ = secured(scratch, tls=False)
    harness.equal(psql(instance, "SELECT 1"), "1")
    assert "password authentication failed" in psql(instance, "SELECT 1", password="wrong")
    assert "no password supplied" in psql(instance, "SELECT 1", password="")
    instance.stop()


def test_mutual_tls(scratch):
    """A client's certificate is asked for, and enough."""
    instance, certificates = secured(scratch, mutual=True, users=False)
    verified = {"sslmode": "verify-full", "sslrootcert": certificates.ca}
    certificates.client_key.chmod(0o600)
    harness.equal(psql(instance, "SELECT 1", sslcert=certificates.client, sslkey=certificates.client_key, **verified), "1")
    refused = psql(instance, "SELECT 1", **verified)
    assert "certificate required" in refused, refused
    instance.stop()


def test_cancel_and_subscriptions(scratch):
    """Cancelling and noticing that a client left work under TLS as they do without."""
    instance, certificates = secured(scratch)
    host, port = instance.endpoints["pg"].rsplit(":", 1)
    target = f"host={host} port={port} dbname=kappa user=ann sslmode=require"
    running = subprocess.run(["timeout", "-s", "INT", "2", "psql", "-X", target, "-c", "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b"],
                             env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, timeout=60)
    assert "canceling statement due to user request" in running.stderr, running.stderr
    instance.stop()


def startup(name):
    body = struct.pack(">i", 196608) + b"user\0" + name + b"\0\0"
    return struct.pack(">i", len(body) + 4) + body


def test_strangers(scratch):
    """Data smuggled in before the handshake, other messages than the password's, silence: an error, or the end."""
    instance, _ = secured(scratch, "--authentication-timeout-ms", "700")
    host, port = instance.endpoints["pg"].rsplit(":", 1)

    def connect(encrypt=True):
        plain = socket.create_connection((host, int(port)), 20)
        if not encrypt:
            return plain
        plain.sendall(struct.pack(">ii", 8, 80877103))
        harness.equal(plain.recv(1), b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain)

    def rest(connection):
        data = b""
        try:
            while piece := connection.recv(4096):
                data += piece
        except OSError:
            pass
        return data

    smuggled = connect(encrypt=False)
    smuggled.sendall(struct.pack(">ii", 8, 80877103) + b"Q")
    assert b"received unencrypted data after SSL request" in rest(smuggled)
    early = connect()
    early.sendall(startup(b"ann"))
    assert early.recv(100).endswith(b"SCRAM-SHA-256\0\0")
    early.sendall(b"Q" + struct.pack(">i", 13) + b"SELECT 1\0")
    assert b"expected SASL response" in rest(early)
    large = connect()
    large.sendall(startup(b"ann"))
    large.sendall(b"p" + struct.pack(">i", 1 << 20))
    assert b"expected SASL response" in rest(large)
    plain = connect()
    plain.sendall(startup(b"ann"))
    plain.recv(100)
    plain.sendall(b"p" + struct.pack(">i", 4 + 10) + b"PLAIN\0\0\0\0\0")
    assert b"client selected an invalid SASL authentication mechanism" in rest(plain)
    silent = connect()
    silent.sendall(startup(b"ann"))
    assert b"canceling authentication due to timeout" in rest(silent)
    half = connect(encrypt=False)
    half.sendall(struct.pack(">ii", 8, 80877103))
    harness.equal(half.recv(1), b"S")
    harness.equal(rest(half), b"")
    harness.equal(psql(instance, "SELECT 1", sslmode="require"), "1", "the server goes on")
    instance.stop()


if __name__ == "__main__":
    harness.main(globals())
