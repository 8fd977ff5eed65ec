"""What a program does with psycopg 3 against a running kappa: parameters, prepared statements, both formats, pipelines,
transactions, errors.

Usage: psycopg_test.py HOST PORT   (test/clients/psycopg.sh sets up the package)
"""
import datetime
import decimal
import sys
import uuid

import psycopg


def check(name, found, wanted):
    if found != wanted:
        raise AssertionError(f"{name}: found {found!r}, wanted {wanted!r}")


def fails(name, sqlstate, call):
    try:
        call()
    except psycopg.Error as error:
        return check(name, error.sqlstate, sqlstate)
    raise AssertionError(f"{name}: no error")


def objects(connection):
    for statement in ("DROP MATERIALIZED VIEW IF EXISTS py_spend", "DROP TABLE IF EXISTS py_users", "DROP STREAM IF EXISTS py_orders"):
        connection.execute(statement)
    # A topic of its own: records outlive a dropped stream, and the next stream on the topic would show them.
    connection.execute(
        "CREATE STREAM py_orders (order_id text, user_id text, amount numeric(12,2), ts timestamptz, "
        f"WATERMARK FOR ts AS ts - INTERVAL '30 seconds') WITH (topic = 'py_orders_{uuid.uuid4().hex}', format = 'json')")
    connection.execute("CREATE TABLE py_users (user_id text PRIMARY KEY, name text, age int)")
    connection.execute("CREATE MATERIALIZED VIEW py_spend AS SELECT user_id, count(*) AS orders, sum(amount) AS spent FROM py_orders GROUP BY user_id")


def writes(connection):
    cursor = connection.execute("INSERT INTO py_users VALUES (%s, %s, %s)", ("ada", "Ada", 36))
    check("rows inserted", cursor.rowcount, 1)
    cursor.executemany("INSERT INTO py_users VALUES (%s, %s, %s)", [("bob", "Bob", None), ("o'x", 'quote " and \\', 7)])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    for i in range(20):
        connection.execute("INSERT INTO py_orders VALUES (%s, %s, %s, %s)",
                           (f"o{i}", ("ada", "bob")[i % 2], decimal.Decimal(i) / 4, start + datetime.timedelta(seconds=i)))


def reads(connection):
    for binary in (False, True):
        rows = connection.execute("SELECT user_id, orders, spent FROM py_spend ORDER BY user_id", binary=binary).fetchall()
        check(f"view, binary={binary}", rows, [("ada", 10, decimal.Decimal("22.50")), ("bob", 10, decimal.Decimal("25.00"))])
    # The sixth execution and later ones use a named prepared statement.
    for i in range(12):
        rows = connection.execute("SELECT name, age FROM py_users WHERE user_id = %s", ("ada",)).fetchall()
        check(f"point read {i}", rows, [("Ada", 36)])
    for prepare in (True, False):
        rows = connection.execute("SELECT orders FROM py_spend WHERE user_id = %s AND orders > %s", ("bob", 3), prepare=prepare).fetchall()
        check(f"prepare={prepare}", rows, [(10,)])
    check("NULL", connection.execute("SELECT age FROM py_users WHERE user_id = %s", ("bob",)).fetchone(), (None,))
    check("quotes", connection.execute("SELECT name FROM py_users WHERE user_id = %s", ("o'x",)).fetchone(), ('quote " and \\',))
    check("no rows", connection.execute("SELECT * FROM py_users WHERE user_id = %s", ("nobody",)).fetchall(), [])
    check("any", connection.execute("SELECT user_id FROM py_users WHERE user_id = ANY(%s) ORDER BY 1", (["ada", "bob"],)).fetchall(), [("ada",), ("bob",)])
    row = "SELECT x.r, ARRAY[x.r], pg_typeof(x.r) FROM (SELECT ROW(user_id, age, ROW(NULL, 1.50)) AS r FROM py_users WHERE user_id = 'ada') x"
    check("rows", connection.execute(row).fetchone(), (("ada", "36", "(,1.50)"), [("ada", "36", "(,1.50)")], "record"))
    binary_row = ("ada", 36, (None, decimal.Decimal("1.50")))
    check("binary rows", connection.execute(row, binary=True).fetchone(), (binary_row, [binary_row], "record"))
    check("columns", [column.name for column in connection.execute("SELECT * FROM py_spend LIMIT 0").description], ["user_id", "orders", "spent"])


def types(connection):
    values = {
        "bool": True, "int2": -7, "int4": 2**31 - 1, "int8": -(2**63), "float8": 0.1, "numeric": decimal.Decimal("-12345678901234567890.0123"),
        "text": "héllo\n'\"", "bytea": b"\x00\xff", "date": datetime.date(2026, 2, 28),
        "timestamp": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901), "timestamptz": datetime.datetime(1999, 12, 31, 23, tzinfo=datetime.timezone.utc),
        "uuid": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), "int4[]": [1, None, 3], "text[]": ["a,b", 'q"', ""],
    }
    for name, value in values.items():
        for binary in (False, True):
            for code in ("%s", "%b", "%t"):
                query = f"SELECT {code}::{name}, NULL::{name}"
                try:
                    found = connection.execute(query, (value,), binary=binary).fetchone()
                except psycopg.ProgrammingError as error:
                    if error.sqlstate is None:  # psycopg has no such dumper
                        continue
                    raise AssertionError(f"{query}: {error}") from error
                check(f"{query} binary={binary}", found, (value, None))
    check("interval", connection.execute("SELECT interval '1 day 02:03:04.5'").fetchone()[0], datetime.timedelta(days=1, seconds=7384.5))
    check("jsonb", connection.execute("SELECT '{\"a\": [1, null]}'::jsonb", binary=True).fetchone(), ({"a": [1, None]},))


def errors(connection):
    fails("undefined column", "42703", lambda: connection.execute("SELECT nothing FROM py_users"))
    fails("undefined table", "42P01", lambda: connection.execute("SELECT * FROM py_nothing"))
    fails("division by zero", "22012", lambda: connection.execute("SELECT 1 / %s::int", (0,)))
    fails("bad text", "22P02", lambda: connection.execute("SELECT %s::int", ("x",)))
    fails("duplicate key", "23505", lambda: connection.execute("INSERT INTO py_users VALUES ('ada', 'again', 1)"))
    fails("syntax", "42601", lambda: connection.execute("SELEC 1"))
    check("works after errors", connection.execute("SELECT 1").fetchone(), (1,))


def pipeline(connection):
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int + 1", (i,)) for i in range(50)]
    check("pipeline", [cursor.fetchone()[0] for cursor in cursors], list(range(1, 51)))

    def broken():
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT nothing FROM py_users")
            connection.execute("SELECT 2")
    fails("error in a pipeline", "42703", broken)
    check("works after a broken pipeline", connection.execute("SELECT 3").fetchone(), (3,))


def session(host, port):
    with psycopg.connect(host=host, port=port, user="ada", dbname="sales", autocommit=True) as connection:
        notices = []
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        check("who and where", connection.execute("SELECT current_user, current_database(), pg_backend_pid()").fetchone(), ("ada", "sales", connection.info.backend_pid))
        check("activity", connection.execute("SELECT usename, datname, state FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchone(), ("ada", "sales", "active"))
        check("set_config", connection.execute("SELECT set_config('application_name', 'x', false), current_setting('application_name')").fetchone(), ("x", "x"))
        connection.execute("RESET ALL")
        check("reset", connection.execute("SHOW application_name").fetchone(), ("",))
        fails("unknown setting", "42704", lambda: connection.execute("RESET nothing"))
        check("size", connection.execute("SELECT pg_total_relation_size('py_users') > 0").fetchone(), (True,))
        connection.execute("BEGIN")
        connection.execute("INSERT INTO py_users VALUES ('rolled', 'back', 1)")
        connection.execute("ROLLBACK")
        check("a rollback says that it undoes nothing", len(notices), 1)
        check("and undoes nothing", connection.execute("SELECT count(*) FROM py_users WHERE user_id = 'rolled'").fetchone(), (1,))
        connection.execute("DELETE FROM py_users WHERE user_id = 'rolled'")


def transactions(host, port):
    status = psycopg.pq.TransactionStatus
    with psycopg.connect(host=host, port=port, user="kappa", dbname="kappa") as connection:
        connection.execute("SELECT 1")
        check("in a block", connection.info.transaction_status, status.INTRANS)
        fails("fails", "42703", lambda: connection.execute("SELECT nothing FROM py_users"))
        check("in a failed block", connection.info.transaction_status, status.INERROR)
        fails("refused until the end", "25P02", lambda: connection.execute("SELECT 1"))
        connection.rollback()
        check("after the block", connection.info.transaction_status, status.IDLE)


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    with psycopg.connect(host=host, port=port, user="kappa", dbname="kappa", autocommit=True, application_name="psycopg_test") as connection:
        check("server version", connection.info.server_version // 10000, 15)
        check("encoding", connection.info.encoding, "utf-8")
        for part in (objects, writes, reads, types, errors, pipeline):
            part(connection)
        transactions(host, port)
        session(host, port)
        for statement in ("DROP MATERIALIZED VIEW py_spend", "DROP TABLE py_users", "DROP STREAM py_orders"):
            connection.execute(statement)
    print(f"psycopg {psycopg.__version__}: all as expected")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: psycopg_test.py HOST PORT")
    main()
