#!/usr/bin/env python3
"""Goal: rows leave a view on now() as time passes, without any new record, and a replay agrees. Method: the real program, waited for."""
import harness
from harness import equal, eventually


def test_rows_leave_as_time_passes(scratch):
    """A row of this moment is there, then gone; the one of next year stays."""
    instance = scratch.server().start()
    connection = instance.connect()
    connection.query("CREATE STREAM events (id int, at timestamptz)")
    connection.query("CREATE MATERIALIZED VIEW recent AS SELECT id FROM events WHERE at > now() - INTERVAL '2 seconds'")
    connection.query("CREATE MATERIALIZED VIEW many AS SELECT count(*) AS n FROM recent")
    connection.query("INSERT INTO events SELECT 1, now() UNION ALL SELECT 2, now() + INTERVAL '365 days' UNION ALL SELECT 3, now() - INTERVAL '1 day'")
    assert ("2",) in [tuple(row) for row in connection.rows("SELECT id FROM recent")]
    eventually(lambda: [tuple(row) for row in connection.rows("SELECT id FROM recent")] == [("2",)], "row 1 leaves")
    equal([tuple(row) for row in connection.rows("SELECT n FROM many")], [("1",)], "the view above follows")
    code, out, err = instance.run("verify", "--all", check=False)
    equal(code, 0, out + err)
    connection.close()
    instance.kill()
    instance.start()
    equal([tuple(row) for row in instance.connect().rows("SELECT id FROM recent")], [("2",)], "after a crash")


if __name__ == "__main__":
    harness.main(globals())
