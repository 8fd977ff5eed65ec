#!/usr/bin/env python3
"""Goal: the Nexmark queries give the answers that PostgreSQL 15 and Flink 2.3 agreed on (test/sql/nexmark/golden.tsv), however they are run.

Method: 500,000 events (seed 1, 500 a second). Batch mode with one partition and one thread is compared with the published hashes. Every
other way must give the same digests: several partitions and threads, small batches, Parquet files, live through the log with a kill -9 in the middle, and
a replay of each view from offset 0.

usage: nexmark.py --kappa PROGRAM [--queries q1,q5] [--quick]
"""
import argparse
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import server

FOLDER = pathlib.Path(__file__).resolve().parent / "sql/nexmark"
EVENTS, RATE = 500_000, 500
KINDS = ("person", "auction", "bid")
TIMESTAMP = re.compile(rb"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?")
NO_GOLDEN = {"q12"}  # processing time


def queries():
    return {path.stem: path.read_text().strip().rstrip(";") for path in sorted(FOLDER.glob("q*.sql"), key=lambda path: int(path.stem[1:]))}


def canonical(csv):
    """The form that the published hashes are of: tabs, milliseconds, empty NULLs, lines in the order of their bytes."""
    body = csv.split(b"\n", 1)[1].replace(b'""', b"")
    if b'"' in body:
        sys.exit("nexmark: a field is quoted, which this reader does not expect")
    body = TIMESTAMP.sub(lambda m: m[1] + b"T" + m[2] + b"." + ((m[3] or b"") + b"000")[:3], body.replace(b",", b"\t"))
    lines = body.splitlines()
    return len(lines), hashlib.sha256(b"".join(line + b"\n" for line in sorted(lines))).hexdigest()


class Nexmark:
    def __init__(self, kappa, chosen):
        self.kappa = str(pathlib.Path(kappa).resolve())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-nexmark-"))
        self.queries = {name: text for name, text in queries().items() if not chosen or name in chosen}
        self.sql = self.folder / "nexmark.sql"
        self.views = "".join(f"CREATE MATERIALIZED VIEW {name} AS\n{text};\n" for name, text in self.queries.items())
        self.sql.write_text((FOLDER / "schema.sql").read_text() + self.views)
        self.failures = []
        self.digests = None

    def input(self, parts):
        folder = self.folder / f"parts{parts}"
        if not folder.exists():
            subprocess.run([self.kappa, "generate", "--nexmark", str(folder), "--events", str(EVENTS), "--rate", str(RATE), "--parts", str(parts)], check=True)
        return {kind: [str(folder / (f"{kind}.jsonl" if parts == 1 else f"{kind}-{part}.jsonl")) for part in range(parts)] for kind in KINDS}, folder / "side_input.csv"

    def parquet(self):
        """One file of each kind, written by kappa: in the order of its first column, the event's time, of which no two are equal."""
        files, side = self.input(1)
        sql = self.folder / "parquet.sql"
        sql.write_text((FOLDER / "schema.sql").read_text() +
                       "".join(f'CREATE MATERIALIZED VIEW {kind}_rows AS SELECT "dateTime" AS "at", * FROM {kind};\n' for kind in KINDS))
        command = [self.kappa, "run", str(sql)]
        for kind in KINDS:
            command += ["--input", f"{kind}={files[kind][0]}", "--output", f"{kind}_rows={self.folder}/{kind}.parquet"]
        subprocess.run(command, check=True, capture_output=True)
        return {kind: [f"{self.folder}/{kind}.parquet"] for kind in KINDS}, side

    def batch(self, parts, threads, rows=8192, parquet=False):
        files, side = self.parquet() if parquet else self.input(parts)
        command = [self.kappa, "run", str(self.sql), "--threads", str(threads), "--batch-rows", str(rows), "--stats", str(self.folder / "stats.json"),
                   "--input", f"side_input={side}"]
        for kind in KINDS:
            command += ["--input", f"{kind}={','.join(files[kind])}"]
        for name in self.queries:
            command += ["--output", f"{name}={self.folder / name}.csv"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"nexmark: kappa run ended with {result.returncode}:\n{result.stderr[-3000:]}")
        views = json.loads((self.folder / "stats.json").read_text())["views"]
        digests = {name: views[name]["digest"] for name in self.queries}
        if self.digests is None:
            self.digests = digests
        self.compare(f"batch, {parts} partitions, {threads} threads, {rows} rows a batch{', Parquet' if parquet else ''}", digests)

    def compare(self, how, digests):
        wrong = [name for name, digest in digests.items() if name not in NO_GOLDEN and digest != self.digests[name]]
        print(f"nexmark: {how}: {'other rows in ' + ', '.join(wrong) if wrong else 'the same rows'}", flush=True)
        self.failures += [f"{how}: {name}" for name in wrong]

    def golden(self):
        published = {line[0]: (int(line[1]), line[2]) for line in (text.split("\t") for text in (FOLDER / "golden.tsv").read_text().splitlines()[1:])}
        wrong = []
        for name in self.queries:
            if name in NO_GOLDEN:
                continue
            found = canonical((self.folder / f"{name}.csv").read_bytes())
            if found != published[name]:
                wrong.append(f"{name} ({found[0]} rows instead of {published[name][0]})")
        print(f"nexmark: batch mode against the published answers: {'other rows in ' + ', '.join(wrong) if wrong else 'the same rows'}", flush=True)
        self.failures += wrong

    def live(self, parts):
        files, side = self.input(parts)
        instance = server.Server(self.kappa, self.folder / "data", "--default-partitions", str(parts), "--checkpoint-interval-ms", "1000")
        try:
            instance.start()
            instance.run("sql", str(self.sql))
            side_rows = len(side.read_text().splitlines()) - 1
            instance.run("sql", "-c", f"INSERT INTO side_input SELECT i, i::text FROM generate_series(0, {side_rows - 1}) i")
            for kind in KINDS:
                for part, path in enumerate(files[kind]):
                    lines = pathlib.Path(path).read_text().splitlines(keepends=True)
                    half = self.folder / "half.jsonl"
                    for number, piece in enumerate((lines[: len(lines) // 2], lines[len(lines) // 2 :])):
                        half.write_text("".join(piece))
                        instance.run("topic", "produce", kind, str(half), "--partition", str(part))
                        if kind == "bid" and part == 0 and number == 0:
                            instance.kill()
                            instance.start()
            connection = instance.connect()
            deadline = time.monotonic() + 120
            while True:
                figures = connection.rows("SELECT sum(rows + dead_letters) FROM kappa.streams")
                if int(figures[0][0]) >= EVENTS // 50 * 50:
                    break
                if time.monotonic() > deadline:
                    sys.exit(f"nexmark: only {figures[0][0]} of {EVENTS} events are in the views after 120 s")
                time.sleep(0.05)
            self.compare(f"live, {parts} partitions, killed in the middle", {name: connection.rows(f"SELECT digest FROM kappa.versions WHERE view = '{name}'")[0][0] for name in self.queries})
            code, out, err = instance.run("verify", "--all", check=False)
            print(f"nexmark: replay from offset 0: {'the same rows' if code == 0 else out + err}", flush=True)
            if code != 0:
                self.failures.append("replay")
            instance.stop()
        finally:
            instance.kill()

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="Runs the Nexmark queries in every way and compares their rows.")
    parser.add_argument("--kappa", required=True)
    parser.add_argument("--queries", default="", help="only these, separated by commas")
    parser.add_argument("--quick", action="store_true", help="batch mode in three ways, live in one")
    arguments = parser.parse_args()
    nexmark = Nexmark(arguments.kappa, set(filter(None, arguments.queries.split(","))))
    try:
        nexmark.batch(1, 1)
        nexmark.golden()
        for parts, threads, rows in ((2, 2, 8192),) if arguments.quick else ((1, 2, 8192), (2, 1, 8192), (2, 2, 8192), (4, 2, 8192), (4, 2, 7), (1, 1, 1024)):
            nexmark.batch(parts, threads, rows)
        nexmark.batch(1, 2, parquet=True)
        for parts in (2,) if arguments.quick else (1, 2, 4):
            nexmark.live(parts)
            shutil.rmtree(nexmark.folder / "data")
    finally:
        nexmark.close()
    if nexmark.failures:
        sys.exit("nexmark: FAILED: " + "; ".join(nexmark.failures))
    print(f"nexmark: {len(nexmark.queries)} queries, the same rows in every way")


if __name__ == "__main__":
    main()
