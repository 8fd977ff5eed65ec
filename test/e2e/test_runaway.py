#!/usr/bin/env python3
"""Goal: a query that would run for hours or fill the memory can be stopped. Method: the real program, cross joins, a stopwatch."""
import os
import signal
import subprocess
import threading
import time

import harness
import pgwire
from harness import equal

SETUP = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT g FROM generate_series(1, 2000) g; CREATE STREAM s (id int); INSERT INTO s SELECT id FROM t"
RUNAWAY = {
    "cross join": "SELECT sum(a.id + b.id + c.id + d.id + e.id) FROM t a, t b, t c, t d, t e",
    "cross join of a stream": "SELECT sum(a.id + b.id + c.id + d.id + e.id) FROM s a, s b, s c, t d, t e",
    "theta join": "SELECT count(*) FROM t a JOIN t b ON a.id < b.id JOIN t c ON b.id < c.id JOIN t d ON c.id < d.id",
    "nothing passes": "SELECT a.id FROM t a, t b, t c, t d WHERE a.id + b.id + c.id + d.id < 0",
    "semi join": "SELECT count(*) FROM t a, t b WHERE EXISTS (SELECT 1 FROM t c, t d WHERE c.id + d.id + a.id + b.id < 0)",
    "set of rows": "SELECT sum(g + h + i) FROM generate_series(1, 100000) g, generate_series(1, 100000) h, generate_series(1, 100000) i",
}
PATIENCE_S = 2.0  # a loaded machine; alone it takes some 0.1 s


def failure(connection, sql):
    try:
        connection.query(sql)
    except pgwire.ServerError as error:
        return error
    raise AssertionError(f"{sql} did not fail")


def test_cancel(scratch):
    """CancelRequest stops each of them, and the session goes on."""
    instance = scratch.server().start()
    instance.connect().query(SETUP)
    host, port = instance.endpoints["pg"].rsplit(":", 1)
    for name, sql in RUNAWAY.items():
        client = subprocess.Popen(["psql", "-X", "-h", host, "-p", port, "-U", "kappa", "-d", "kappa", "-c", sql],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        time.sleep(0.5)  # the statement runs by now; if not, Ctrl-C ends psql before it and the message below is missing
        assert client.poll() is None, f"{name} ended by itself: {client.communicate()}"
        begin = time.monotonic()
        os.kill(client.pid, signal.SIGINT)
        _, errors = client.communicate(timeout=30)
        assert "canceling statement due to user request" in errors, f"{name}: {errors}"
        assert time.monotonic() - begin < PATIENCE_S, f"{name} took {time.monotonic() - begin:.2f} s to cancel"


def test_statement_timeout(scratch):
    """SET statement_timeout ends a statement with PostgreSQL's words; 0 turns it off; nonsense is refused."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query(SETUP)
    connection.query("SET statement_timeout = '200ms'")
    for name, sql in RUNAWAY.items():
        begin = time.monotonic()
        error = failure(connection, sql)
        equal((error.sqlstate, error.message), ("57014", "canceling statement due to statement timeout"), name)
        assert time.monotonic() - begin < 0.2 + PATIENCE_S, f"{name} took {time.monotonic() - begin:.2f} s"
    connection.query("RESET statement_timeout")
    equal(connection.rows("SELECT count(*) FROM t a, t b"), [["4000000"]])
    equal(failure(connection, "SET statement_timeout = 'soon'").sqlstate, "22023")


def test_memory(scratch):
    """Rows that are kept are bounded by query_memory; rows that only pass through are not."""
    instance = scratch.server("data", "--query-memory-mb", "16").start()
    connection = instance.connect()
    connection.query(SETUP)
    for sql in ("SELECT a.id FROM t a, t b, t c", "SELECT a.id, b.id FROM t a, t b, t c", "SELECT count(*) FROM (SELECT a.id, b.id FROM t a, t b, t c ORDER BY 1, 2 OFFSET 1) x",
                "SELECT count(*) FROM (SELECT DISTINCT a.id, b.id, c.id FROM t a, t b, t c) x", "SELECT a.id FROM s a, s b, s c"):
        error = failure(connection, sql)
        equal(error.sqlstate, "53200", sql)
        assert "--query-memory-mb" in error.hint, error.hint
    equal(connection.rows("SELECT count(*) FROM t a, t b, t c, t d"), [["16000000000000"]])
    equal(connection.rows("SELECT count(a.id + b.id) FROM t a, t b"), [["4000000"]])


def test_shutdown(scratch):
    """SIGTERM ends a server in the middle of such a query."""
    instance = scratch.server().start()
    instance.connect().query(SETUP)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(str(failure(instance.connect(), RUNAWAY["cross join"]))))
    thread.start()
    time.sleep(0.5)
    begin = time.monotonic()
    instance.process.send_signal(signal.SIGTERM)
    equal(instance.process.wait(timeout=30), 0)
    assert time.monotonic() - begin < PATIENCE_S, f"took {time.monotonic() - begin:.2f} s to end"
    thread.join(timeout=30)


if __name__ == "__main__":
    harness.main(globals())
