#!/usr/bin/env python3
"""Goal: stock clients work unchanged. Method: the scripts of test/clients against a server of their own: psql, kcat, psycopg 3, curl."""
import pathlib
import shutil
import subprocess

import harness

CLIENTS = pathlib.Path(__file__).resolve().parent.parent / "clients"


def script(scratch, name, endpoint, split):
    instance = scratch.server().start()
    address = instance.endpoints[endpoint]
    result = subprocess.run(["bash", str(CLIENTS / name), *(address.rsplit(":", 1) if split else [address])], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, f"{name} ended with {result.returncode}:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    instance.stop()


def test_psql(scratch):
    """psql: DDL, reads, the backslash commands, errors, cancel."""
    script(scratch, "psql.sh", "pg", True)


def test_psycopg(scratch):
    """psycopg 3: parameters, prepared statements, binary and text, pipelines, transactions."""
    script(scratch, "psycopg.sh", "pg", True)


def test_client_queries(scratch):
    """The catalog queries that clients were seen to send."""
    script(scratch, "queries.sh", "pg", True)


def test_kcat(scratch):
    """kcat: produce, list, consume, timestamps, codecs, headers, tombstones, large messages."""
    assert shutil.which("kcat"), "kcat is not installed"
    script(scratch, "kcat.sh", "kafka", False)


if __name__ == "__main__":
    harness.main(globals())
