#!/usr/bin/env python3
"""Checks the expected rows of corpus files against a real PostgreSQL.

Runs a file's statements there: streams and tables become tables, materialized views become views (always fresh, as kappa's are), and
compares every query's rows with the file's. Files that need what PostgreSQL lacks (windows, versions, kappa.*, late rows) are passed
over with the reason.

usage: pg_oracle.py --port PORT [--user USER] FILE..       needs psql; works in a schema of its own, dropped at the end
"""
import argparse
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "test"))
import slt  # noqa: E402

BEYOND = re.compile(r"\b(TUMBLE|HOP|EMIT|kappa|PROMOTE|ROLLBACK|RETIRE|EXPLAIN|SHOW)\b|\$late|\$\d", re.I)


def translate(sql):
    sql = re.sub(r"CREATE STREAM", "CREATE TABLE", sql, flags=re.I)
    sql = re.sub(r",\s*WATERMARK FOR .*?(?=\)\s*(WITH|$))", "", sql, flags=re.I | re.S)
    sql = re.sub(r"\)\s*WITH\s*\([^)]*\)\s*$", ")", sql, flags=re.I | re.S) if sql.upper().startswith("CREATE TABLE") else sql
    sql = re.sub(r"DROP STREAM", "DROP TABLE", sql, flags=re.I)
    return re.sub(r"(CREATE|DROP) MATERIALIZED VIEW", r"\1 VIEW", sql, flags=re.I)


class Postgres:
    def __init__(self, port, user):
        self.command = ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", "postgres", "-At", "-F", "  ", "-P", "null=NULL", "-v", "ON_ERROR_STOP=1"]
        self.history = []

    def run(self, sql):
        """All statements so far, again, in one transaction that is rolled back: no state to clean up."""
        script = ["BEGIN", "SET LOCAL timezone = 'UTC'", "CREATE SCHEMA oracle", "SET LOCAL search_path = oracle", *self.history, "\\echo -----", sql, "ROLLBACK"]
        text = "".join(line + ("\n" if line.startswith("\\") else ";\n") for line in script)
        result = subprocess.run(self.command, input=text, capture_output=True, text=True)
        return result.returncode == 0, result.stdout.split("-----\n", 1)[-1].splitlines(), result.stderr.strip()


def main():
    parser = argparse.ArgumentParser(description="Checks corpus files against PostgreSQL.")
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--user", default="postgres")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    compared = differ = 0
    for path in arguments.files:
        blocks, _ = slt.parse(path)
        if any(BEYOND.search(block.sql) for block in blocks):
            print(f"passed over {path}: it needs more than PostgreSQL has")
            continue
        postgres = Postgres(arguments.port, arguments.user)
        for block in blocks:
            sql = translate(block.sql)
            if block.kind == "statement" and not block.head.startswith("statement error"):
                postgres.history.append(sql)
            elif block.head.startswith("statement error"):
                ok, _, _ = postgres.run(sql)
                if ok and "0A000" not in block.head:
                    differ += 1
                    print(f"{path}:{block.line}: PostgreSQL takes this")
            elif block.kind == "query":
                ok, rows, errors = postgres.run(sql)
                compared += 1
                wanted = [slt.normal(line.replace("(empty)", "")) for line in block.expected]
                got = [slt.normal(line) for line in rows]
                if "rowsort" in block.head:
                    wanted, got = sorted(wanted), sorted(got)
                if not ok or wanted != got:
                    differ += 1
                    print(f"{path}:{block.line}: PostgreSQL gives {got} {errors}, the file has {wanted}")
    print(f"{compared} queries compared, {differ} differ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
