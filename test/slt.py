#!/usr/bin/env python3
"""Runs the sqllogictest corpus (test/sql) against the real program, under several configurations, and checks the Kappa law.

A file's first line says what is shown. Then, separated by blank lines:
  statement ok                     and SQL: must succeed
  statement error SQLSTATE [TEXT]  and SQL: must fail with that state, its message, detail or hint holding TEXT
  statement error SQLSTATE @POS    also: at that position
  query [rowsort]                  and SQL, ----, the rows: values separated by two spaces or tabs, NULL for NULL, (empty) for ''
  restart | crash                  stop with SIGTERM or SIGKILL, and start again
  # ...                            a comment; "# only: NAME .." runs the file under these configurations only,
                                   "# rows-depend-on-partitions" keeps it to configurations with one partition,
                                   "# not postgresql: WHY" keeps oracle.py from comparing the file or the block below it
After every file: `kappa verify --all` must say equal, and every view that does not wait for windows to close must hold what its
query gives when it runs over the whole log (where no row fails: there a query ends).

usage: slt.py --kappa PROGRAM [--config NAME,..|all] [--jobs N] [FILE..]      REWRITE=1 writes the rows that came
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pgwire  # noqa: E402
import server  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent
CONFIGS = {  # name: (flags of kappa serve, partitions, special)
    "default": ([], 1, None),
    "rows1": (["--batch-rows", "1", "--step-records", "1", "--threads", "1"], 1, None),
    "rows7": (["--batch-rows", "7", "--step-records", "7", "--threads", "3"], 1, None),
    "rows1024": (["--batch-rows", "1024"], 1, None),
    "partitions2": (["--default-partitions", "2"], 2, None),
    "partitions3": (["--default-partitions", "3", "--batch-rows", "7"], 3, None),
    "restart": ([], 1, "restart"),
    "replay": ([], 1, "replay"),
}


class Block:
    def __init__(self, kind, line, head="", sql="", expected=None, notes=""):
        self.kind, self.line, self.head, self.sql, self.expected = kind, line, head, sql, expected
        self.notes = notes  # the comments right above


def parse(path):
    lines = path.read_text().split("\n")
    blocks, notes, above, at = [], [], [], 0
    if not lines[0].startswith("# "):
        raise ValueError(f"{path}:1: the first line must say what is shown")
    while at < len(lines):
        line = lines[at]
        if not line.strip() or line.startswith("#"):
            notes.append(line)
            above = [*above, line] if line.strip() else []
            at += 1
            continue
        head, start = line.strip(), at + 1
        at += 1
        if head in ("restart", "crash"):
            blocks.append(Block(head, start))
            above = []
            continue
        sql = []
        while at < len(lines) and lines[at].strip() and lines[at] != "----":
            sql.append(lines[at])
            at += 1
        expected = None
        if head.startswith("query"):
            expected = []
            if at < len(lines) and lines[at] == "----":
                at += 1
                while at < len(lines) and lines[at].strip():
                    expected.append(lines[at])
                    at += 1
        elif not head.startswith("statement"):
            raise ValueError(f"{path}:{start}: unknown directive {head!r}")
        blocks.append(Block("query" if expected is not None else "statement", start, head, "\n".join(sql), expected, "\n".join(above)))
        above = []
    return blocks, "\n".join(notes)


def shown(value):
    return "NULL" if value is None else "(empty)" if value == "" else value


def shown_rows(rows, sort):
    text = ["  ".join(shown(value) for value in row) for row in rows]
    return sorted(text) if sort else text


def normal(line):
    return "  ".join(part for part in re.split(r"\t|  +", line.strip()))


class Failure(Exception):
    pass


def check_law(instance, connection, path):
    code, out, err = instance.run("verify", "--all", check=False)
    if code != 0:
        raise Failure(f"{path}: the law is broken: {out}{err}")
    for view, query, emit in connection.rows(
            "SELECT v.view, v.query, v.emit FROM kappa.versions v JOIN kappa.views w ON w.name = v.view AND w.serving = v.version ORDER BY 1"):
        if emit != "changes":
            continue
        text = re.sub(r"\s+EMIT\s+CHANGES\s*;?\s*$", "", query, flags=re.I)
        live = shown_rows(connection.rows(f'SELECT * FROM "{view}"'), True)
        try:
            whole = shown_rows(connection.rows(text), True)
        except pgwire.ServerError as error:
            if error.sqlstate[:2] != "22":
                raise
            continue  # a row fails: a query ends there, a view goes on without the value or the row
        if live != whole:
            raise Failure(f"{path}: view {view} is not its query over the whole log:\n  live:  {live[:10]}\n  query: {whole[:10]}")


def run_file(kappa, path, config):
    flags, partitions, special = CONFIGS[config]
    blocks, notes = parse(path)
    only = re.search(r"^# only: (.*)$", notes, re.M)
    if (only and config not in only[1].split()) or ("# rows-depend-on-partitions" in notes and partitions != 1):
        return "skipped"
    rewrite = os.environ.get("REWRITE") == "1" and config == "default"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-slt-", dir=server.memory_folder()))
    instance = server.Server(kappa, folder / "data", *flags)
    rewritten = []
    try:
        instance.start()
        connection = instance.connect()
        for block in blocks:
            where = f"{path}:{block.line}"
            if block.kind in ("restart", "crash"):
                connection.close()
                instance.kill() if block.kind == "crash" else instance.stop()
                instance.start()
                connection = instance.connect()
                continue
            try:
                results = connection.query(block.sql)
                error = None
            except pgwire.ServerError as failure:
                results, error = None, failure
            if block.head.startswith("statement error"):
                words = block.head.split(maxsplit=3)
                if error is None:
                    raise Failure(f"{where}: should have failed:\n  {block.sql}")
                if error.sqlstate != words[2]:
                    raise Failure(f"{where}: failed with {error}, not {words[2]}")
                if len(words) > 3:
                    if words[3].startswith("@"):
                        if error.position != int(words[3][1:]):
                            raise Failure(f"{where}: {error} at position {error.position}, not {words[3][1:]}")
                    elif words[3] not in f"{error.message} {error.detail} {error.hint}":
                        raise Failure(f"{where}: {error.message!r} {error.detail!r} {error.hint!r} does not hold {words[3]!r}")
            elif error is not None:
                raise Failure(f"{where}: {error} {error.detail} {error.hint}\n  {block.sql}")
            elif block.kind == "query":
                sort = "rowsort" in block.head
                got = shown_rows(results[-1][1], sort)
                wanted = [normal(line) for line in block.expected]
                if sort:
                    wanted = sorted(wanted)
                if [normal(line) for line in got] != wanted:
                    if not rewrite:
                        raise Failure(f"{where}: {block.sql}\n  expected: " + "\n            ".join(wanted) + "\n  got:      " + "\n            ".join(got))
                    rewritten.append((block, got))
            if special == "restart":
                connection.close()
                instance.stop()
                instance.start()
                connection = instance.connect()
        check_law(instance, connection, path)
        connection.close()
        if special == "replay":
            before = digests(instance)
            instance.stop()
            shutil.rmtree(instance.folder / "state")
            instance.start()
            after = digests(instance)
            if before != after:
                raise Failure(f"{path}: rebuilt from the log, views differ:\n  before: {before}\n  after:  {after}")
        instance.stop()
        if rewritten:
            rewrite_file(path, rewritten)
        return "passed"
    finally:
        instance.kill()
        shutil.rmtree(folder, ignore_errors=True)


def digests(instance):
    connection = instance.connect()
    try:
        return connection.rows("SELECT view, version, state, rows, digest FROM kappa.versions ORDER BY 1, 2")
    finally:
        connection.close()


def rewrite_file(path, rewritten):
    lines = path.read_text().split("\n")
    for block, got in reversed(rewritten):
        at = block.line
        while lines[at] != "----":
            at += 1
        end = at + 1
        while end < len(lines) and lines[end].strip():
            end += 1
        lines[at + 1:end] = got
    path.write_text("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description="Runs the sqllogictest corpus.")
    parser.add_argument("--kappa", required=True)
    parser.add_argument("--config", default="default")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    files = arguments.files or sorted((ROOT / "sql").rglob("*.slt"))
    configs = list(CONFIGS) if arguments.config == "all" else arguments.config.split(",")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = {pool.submit(run_file, arguments.kappa, path, config): (path, config) for config in configs for path in files}
        for run in concurrent.futures.as_completed(runs):
            path, config = runs[run]
            try:
                counts[run.result()] += 1
            except Exception as failure:  # every failure of a file is that file's
                counts["failed"] += 1
                print(f"FAILED [{config}] {failure}" if isinstance(failure, Failure) else f"FAILED [{config}] {path}: {failure!r}", flush=True)
    print(f"slt: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
