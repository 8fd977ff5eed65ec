#!/usr/bin/env python3
"""Goal: bad input of every kind gives a clear error, loses nothing, and the stream goes on. Method: the real program, from outside."""
import json
import os
import socket
import struct
import subprocess

import harness
import kafkawire
import pgwire
from harness import equal, eventually

STREAM = "CREATE STREAM s (id int NOT NULL, k text, v int, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 second')"


def produce(scratch, instance, topic, lines, *flags):
    path = scratch.folder / "lines.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    result = subprocess.run([scratch.kappa, "topic", "produce", topic, str(path), "--broker", instance.endpoints["kafka"], "--json", *flags], capture_output=True, text=True, timeout=120)
    return result


def visible(connection, sql, wanted):
    eventually(lambda: connection.rows(sql) == wanted, f"{sql} gives {wanted}, last {connection.rows(sql)}")


def test_domains(scratch):
    """A record whose value breaks a constraint of a domain is a bad record, read or not read; so it is in files."""
    schema = ("CREATE DOMAIN age AS int NOT NULL CHECK (VALUE > 0) CONSTRAINT old CHECK (1000 / (150 - VALUE) > 0);"
              "CREATE STREAM p (id int, a age); CREATE TABLE t (id int PRIMARY KEY, a age);"
              "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n, max(id) AS top FROM p; CREATE MATERIALIZED VIEW m AS SELECT id, a FROM t")
    instance = scratch.server("data", "--batch-rows", "3").start()
    connection = instance.connect()
    connection.query(schema)
    rows = [b'{"id":%d,"a":%s}' % (i, a) for i, a in enumerate([b"30", b"0", b"null", b"149", b"150", b"-1", b"1"])]
    equal(produce(scratch, instance, "p", rows).returncode, 0)
    visible(connection, "SELECT * FROM n", [["3", "6"]])
    equal(produce(scratch, instance, "t", rows).returncode, 0)
    visible(connection, "SELECT * FROM m ORDER BY id", [["0", "30"], ["3", "149"], ["6", "1"]])
    letters = connection.rows("SELECT topic, \"offset\", reason FROM kappa.dead_letters ORDER BY topic, \"offset\"")
    equal([(topic, offset) for topic, offset, _ in letters], [(topic, offset) for topic in "pt" for offset in "1245"])
    equal(letters[0][2], 'value for domain age violates check constraint "age_check"')
    equal([letters[2][2], letters[3][2]], ["division by zero", 'value for domain age violates check constraint "age_check"'])
    equal([connection.rows(f"SELECT equal FROM kappa.verify('{view}', 0)") for view in "nm"], [[["t"]]] * 2)
    connection.close()
    instance.kill()
    instance.start()
    visible(instance.connect(), "SELECT * FROM n", [["3", "6"]])
    (scratch.folder / "p.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    (scratch.folder / "run.sql").write_text(schema + ";")
    run = subprocess.run([scratch.kappa, "run", str(scratch.folder / "run.sql"), "--input", f"p={scratch.folder}/p.jsonl", "--input", f"t={scratch.folder}/p.jsonl",
                          "--stats", str(scratch.folder / "stats.json")], capture_output=True, text=True, timeout=60)
    equal(run.returncode, 0, run.stderr)
    stats = json.loads((scratch.folder / "stats.json").read_text())
    equal(stats["dead_letters"], 8)
    equal(stats["views"]["m"]["rows"], 3)


def test_port_in_use(scratch):
    """A taken port is named, with the flag to change it; exit status 1; no endpoints file stays."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    for flag in ("--pg", "--kafka", "--http"):
        arguments = {"--pg": "127.0.0.1:0", "--kafka": "127.0.0.1:0", "--http": "127.0.0.1:0", flag: f"127.0.0.1:{port}"}
        result = subprocess.run([scratch.kappa, "serve", "--data", str(scratch.folder / "data"), *[word for pair in arguments.items() for word in pair]],
                                capture_output=True, text=True, timeout=60)
        equal(result.returncode, 1, flag)
        assert f"127.0.0.1:{port}" in result.stderr and "in use" in result.stderr and flag in result.stderr, result.stderr
    assert not (scratch.folder / "data/endpoints.json").exists()


def test_data_folder_in_use(scratch):
    """A second server on the same folder is refused and names the holder; the first goes on."""
    first = scratch.server().start()
    result = subprocess.run([scratch.kappa, "serve", "--data", str(first.folder), "--pg", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"],
                            capture_output=True, text=True, timeout=60)
    equal(result.returncode, 1)
    assert str(first.process.pid) in result.stderr and "use" in result.stderr, result.stderr
    equal(first.connect().rows("SELECT 1"), [["1"]])


def test_newer_format(scratch):
    """A folder that a newer kappa wrote is refused and left alone."""
    instance = scratch.server().start()
    instance.connect().query(STREAM + "; INSERT INTO s VALUES (1, 'a', 1, now())")
    instance.stop()
    marker = instance.folder / "log/format"
    original = marker.read_text()
    assert original.strip() == "kappa log 1", original
    marker.write_text("kappa log 2\n")
    result = subprocess.run([scratch.kappa, "serve", "--data", str(instance.folder), "--pg", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"],
                            capture_output=True, text=True, timeout=60)
    equal(result.returncode, 1)
    assert "newer" in result.stderr, result.stderr
    marker.write_text(original)
    instance.start()
    equal(instance.connect().rows("SELECT count(*) FROM s"), [["1"]])


def test_bad_records(scratch):
    """Truncated, garbage, wrongly typed, missing and 20 MB records go to the dead letters with their reason; the others count."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query(STREAM + "; CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n FROM s GROUP BY k")
    good = b'{"id":1,"k":"a","v":1,"at":"2026-01-01T00:00:00Z"}'
    lines = [good, b'{"id":2,"k":"a"', b"not json at all", b'{"id":"x","k":"a"}', b'{"k":"a"}', b'{"id":99999999999,"k":"a"}', b'[1,2]', b'{"id":3,"k":"a","at":"yesterday-ish"}',
             b'{"id":4,"k":"' + b"x" * (20 << 20) + b'"}', good]
    result = produce(scratch, instance, "s", lines)
    equal(result.returncode, 0, result.stderr)
    visible(connection, "SELECT k, n FROM per_k", [["a", "2"]])
    letters = connection.rows('SELECT "offset", reason, length(bytes) FROM kappa.dead_letters WHERE topic = \'s\' AND "partition" = 0 ORDER BY 1')
    equal([int(row[0]) for row in letters], list(range(1, 9)))
    assert all(row[1] for row in letters), letters
    assert "id" in letters[2][1] and "at" in letters[6][1], letters
    connection.query("INSERT INTO s VALUES (5, 'b', 1, NULL)")
    equal(connection.rows("SELECT n FROM per_k WHERE k = 'b'"), [["1"]])
    instance.kill()  # they come once, also after a crash
    instance.start()
    equal(instance.connect().rows("SELECT count(*) FROM kappa.dead_letters"), [["8"]])
    instance.run("verify", "--all")


def test_idle_partition(scratch):
    """A partition that never gets data holds windows open only until it is declared idle."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query("CREATE STREAM s (k text, at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second') WITH (partitions = 2, key = 'k', idle_timeout = '300 milliseconds')")
    connection.query("CREATE MATERIALIZED VIEW w AS SELECT window_start, count(*) AS n FROM TUMBLE(s, at, INTERVAL '1 minute') GROUP BY window_start EMIT ON WINDOW CLOSE")
    connection.query("INSERT INTO s VALUES ('a', '2026-01-01 00:00:10'), ('a', '2026-01-01 00:05:00')")
    visible(connection, "SELECT n FROM w", [["1"]])
    instance.run("verify", "--all")


def test_far_future(scratch):
    """A timestamp in the year 9999 counts as late and closes nothing for ever."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query("CREATE STREAM s (v int, at timestamp, WATERMARK FOR at AS at - INTERVAL '1 second')")
    connection.query("CREATE MATERIALIZED VIEW w AS SELECT window_start, sum(v) AS total FROM TUMBLE(s, at, INTERVAL '1 minute') GROUP BY window_start EMIT ON WINDOW CLOSE")
    connection.query("INSERT INTO s VALUES (1, '2026-01-01 00:00:10'), (100, '9999-12-31 23:59:59'), (2, '2026-01-01 00:00:20'), (4, '2026-01-01 00:02:00')")
    equal(connection.rows("SELECT * FROM w"), [["2026-01-01 00:00:00", "3"]])
    equal(connection.rows("SELECT v FROM s$late"), [["100"]])
    equal(connection.rows("SELECT late_rows FROM kappa.streams"), [["1"]])
    instance.run("verify", "--all")


def test_disk_full(scratch):
    """A full disk refuses appends with a clear error, reads go on, and it recovers by itself when space returns."""
    if os.geteuid() != 0:
        return
    disk = scratch.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True).returncode != 0:
        return
    try:
        instance = scratch.server(folder=disk / "data").start()
        connection = instance.connect()
        connection.query("CREATE STREAM s (id int, pad text); CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM s")
        ballast = disk / "ballast"
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast.write_bytes(b"\0" * max(0, free - (1 << 20)))
        failed = None
        accepted = 0
        for n in range(200):
            try:
                connection.query(f"INSERT INTO s VALUES ({n}, repeat('x', 100000))")
                accepted += 1
            except pgwire.ServerError as error:
                failed = error
                break
        assert failed is not None and failed.sqlstate == "53100", failed
        equal(connection.rows("SELECT n FROM n"), [[str(accepted)]], "reads go on")
        ballast.unlink()
        eventually(lambda: try_insert(connection), "an insert succeeds once there is space")
        instance.run("verify", "--all")
        before = connection.rows("SELECT n FROM n")
        instance.kill()
        instance.start()
        equal(instance.connect().rows("SELECT n FROM n"), before)
        instance.stop()
    finally:
        for instance in scratch.servers:
            instance.kill()
        subprocess.run(["umount", "-l", str(disk)], check=False)


def try_insert(connection):
    try:
        connection.query("INSERT INTO s VALUES (1, 'y')")
        return True
    except pgwire.ServerError:
        return False


def test_disconnects(scratch):
    """Clients that vanish in the middle of a query, a produce or an event stream leave the server well."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query("CREATE STREAM s (id int); CREATE MATERIALIZED VIEW n AS SELECT id, count(*) AS n FROM s GROUP BY id")
    connection.query("INSERT INTO s SELECT g FROM generate_series(1, 2000) g")
    for _ in range(5):
        leaving = instance.connect()
        text = b"SELECT a.id, b.id FROM n a CROSS JOIN n b\0"
        leaving.socket.sendall(b"Q" + struct.pack("!i", len(text) + 4) + text)
        leaving.socket.close()
        host, port = instance.endpoints["kafka"].split(":")
        broken = socket.create_connection((host, int(port)))
        broken.sendall(struct.pack("!ihhi", 1000, 0, 7, 1) + b"\0\4part")
        broken.close()
        host, port = instance.endpoints["http"].split(":")
        stream = socket.create_connection((host, int(port)))
        stream.sendall(f"GET /v1/views/n/changes HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        stream.recv(10)
        stream.close()
    equal(connection.rows("SELECT count(*), sum(n) FROM n"), [["2000", "2000"]])
    connection.query("INSERT INTO s VALUES (1)")
    equal(connection.rows("SELECT n FROM n WHERE id = 1"), [["2"]])


def big_stream(scratch, instance, events=300_000):
    path = scratch.folder / "events.jsonl"
    subprocess.run([scratch.kappa, "generate", str(path), "--events", str(events), "--users", "50000"], check=True)
    instance.run("sql", "-c", "CREATE STREAM events (event_id bigint, user_id text, category text, amount numeric, quantity int, ts timestamptz)")
    instance.run("topic", "produce", "events", str(path))


def test_replaying_view(scratch):
    """A view that still replays says so with its progress; SIGTERM during the replay is clean, and the replay begins again."""
    instance = scratch.server().start()
    big_stream(scratch, instance)
    connection = instance.connect()
    connection.query("SET kappa.wait = off")
    connection.query("CREATE MATERIALIZED VIEW slow AS SELECT user_id, count(*) AS n, sum(amount) AS total, count(DISTINCT category) AS c FROM events GROUP BY user_id")
    try:
        connection.rows("SELECT count(*) FROM slow")
        pass  # it was done already: the machine is quick
    except pgwire.ServerError as error:
        equal(error.sqlstate, "55000")
        assert "replaying" in error.message and "%" in error.detail, (error.message, error.detail)
    try:
        connection.query("ALTER MATERIALIZED VIEW slow PROMOTE VERSION 1")
        raise AssertionError("promoted a version that is serving or replaying")
    except pgwire.ServerError as error:
        equal(error.sqlstate, "55000")
    instance.stop()  # SIGTERM; fails unless it ends with 0
    instance.start()
    connection = instance.connect()
    eventually(lambda: connection.rows("SELECT state FROM kappa.versions") == [["serving"]], "the replay is done", 120)
    equal(connection.rows("SELECT sum(n) FROM slow"), [["300000"]])
    instance.run("verify", "--all")


def test_failed_version(scratch):
    """A version that cannot be built is failed with the reason, and is not promoted."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query("CREATE STREAM s (id int); CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM s")
    for sql, state in (("ALTER MATERIALIZED VIEW v PROMOTE VERSION 2", "42704"), ("ALTER MATERIALIZED VIEW v ROLLBACK", "55000"),
                       ("ALTER MATERIALIZED VIEW w ROLLBACK", "42P01"), ("DROP STREAM s", "2BP01")):
        try:
            connection.query(sql)
            raise AssertionError(sql + " succeeded")
        except pgwire.ServerError as error:
            equal(error.sqlstate, state, sql)
    equal(connection.rows("SELECT n FROM v"), [["0"]])


def test_batch_mode_errors(scratch):
    """kappa run names the file, line and column, unknown inputs with the nearest name, missing files and unknown extensions."""
    sql = scratch.folder / "v.sql"
    events = scratch.folder / "e.jsonl"
    events.write_text('{"id":1}\n{"id":\n')
    sql.write_text("CREATE STREAM events (id int);\nCREATE MATERIALIZED VIEW v AS\nSELECT idd FROM events;\n")

    def run(*arguments):
        result = subprocess.run([scratch.kappa, "run", str(sql), *arguments], capture_output=True, text=True, timeout=60)
        return result.returncode, result.stdout, result.stderr

    code, _, errors = run("--input", f"events={events}")
    equal(code, 1)
    assert "v.sql:3:8" in errors and "idd" in errors, errors
    sql.write_text("CREATE STREAM events (id int);\nCREATE MATERIALIZED VIEW v AS SELECT id FROM events;\n")
    for arguments, wanted in ((["--input", f"event={events}"], "events"), ([], "no input"), (["--input", "events=nowhere.jsonl"], "nowhere.jsonl"),
                              (["--input", f"events={sql}"], ".jsonl"), (["--input", f"events={events}", "--output", "w=x.csv"], '"v"')):
        code, _, errors = run(*arguments)
        equal(code, 1, errors)
        assert wanted in errors, errors
    equal(run("--input", "events")[0], 2)
    out = scratch.folder / "v.csv"
    code, _, errors = run("--input", f"events={events}", "--output", f"v={out}", "--stats", str(scratch.folder / "stats.json"))
    equal(code, 0, errors)
    equal(out.read_text(), "id\n1\n")
    stats = json.loads((scratch.folder / "stats.json").read_text())
    equal((stats["events"], stats["dead_letters"], stats["views"]["v"]["rows"]), (2, 1, 1))
    assert "dead letter" in errors, errors


def test_usage(scratch):
    """Wrong usage ends with 2, help with 0; a client without a server says what to do."""
    def code(*arguments):
        return subprocess.run([scratch.kappa, *arguments], capture_output=True, text=True, timeout=30)
    equal(code().returncode, 2)
    equal(code("frobnicate").returncode, 2)
    equal(code("--help").returncode, 0)
    for verb in ("serve", "run", "sql", "topic", "status", "plan", "compare", "route", "promote", "rollback", "replay", "verify"):
        equal(code(verb, "--help").returncode, 0, verb)
        assert verb in code("--help").stdout, verb
    lost = code("status", "--data", str(scratch.folder / "none"))
    equal(lost.returncode, 1)
    assert "kappa serve" in lost.stderr, lost.stderr


def test_too_many_kafka_connections(scratch):
    """One more than --kafka-connections-max is closed at once; the others, and one that comes when one of them has gone, are served."""
    instance = scratch.server("data", "--kafka-connections-max", "2").start()
    versions = 18, 0, b""
    first, second = (kafkawire.Connection(instance.endpoints["kafka"]) for _ in range(2))
    equal([one.call(*versions).number("h") for one in (first, second)], [0, 0])

    def served():
        try:
            return kafkawire.Connection(instance.endpoints["kafka"]).call(*versions).number("h") == 0
        except (ConnectionError, BrokenPipeError):
            return False
    equal(served(), False)
    equal(first.call(*versions).number("h"), 0)
    second.close()
    eventually(served, "a connection is free again")


if __name__ == "__main__":
    harness.main(globals())
