#!/usr/bin/env python3
"""Random queries over randomly changing rows: a live view = its query run once = its replay = batch mode = PostgreSQL.

A case is a few tables and streams, views over them (and over views), INSERTs, UPDATEs and DELETEs, and queries. Checked are
  after every change, for every view: its rows in kappa = its rows in PostgreSQL (names and types of columns too);
  at the end, for every view: its rows = its query run once over the log = `kappa.verify` (a replay) = `kappa run` over the same rows as files;
  for views that wait for windows to close, which PostgreSQL cannot have: their rows = `kappa.verify`;
  every query: kappa's rows = PostgreSQL's; every statement that one refuses the other refuses, with the same SQLSTATE.
Servers run with different batch sizes and threads, and are killed and started again in some cases. What kappa answers with 0A000 is skipped and
counted. A case that fails is cut down and written as a corpus file (--keep FOLDER). The same seed makes the same cases.

usage: fuzz_sql.py --kappa PROGRAM [--cases N] [--seed N] [--only CASE] [--jobs N] [--keep FOLDER] [--verbose]
"""
import argparse
import collections
import copy
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import oracle  # noqa: E402
import pgwire  # noqa: E402
import postgres  # noqa: E402
import server  # noqa: E402
from fuzz.queries import Cases  # noqa: E402
from fuzz.reducer import Reducer  # noqa: E402

FLAGS = [["--batch-rows", "7", "--threads", "2"], ["--batch-rows", "1", "--threads", "1"], ["--threads", "2"], ["--batch-rows", "3", "--threads", "3"]]
PREFIX = "N_"  # of every name in a case
CHUNK = 40  # cases of one server's life and of one batch run
UNSUPPORTED, NO_FUNCTION, TIMEOUT, STILL_REPLAYING, MISMATCH = "0A000", re.compile(r"function \w+\(.*\) does not exist"), "57014", "55000", "42804"


class Skipped(Exception):
    """The case cannot go on, and nobody is wrong: kappa lacks something that the rest needs."""


class Bench:
    """A kappa and a session of PostgreSQL in which one case after the other runs."""

    def __init__(self, kappa, port, name, flags):
        self.kappa_path, self.schema = kappa, name
        self.counts = collections.Counter()
        self.unsupported, self.refused = collections.Counter(), collections.Counter()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-fuzz-", dir=server.memory_folder()))
        self.reference = pgwire.Connection(f"127.0.0.1:{port}", user="postgres", database="postgres")
        self.instance, self.flags, self.lives, self.runs = None, flags, 0, 0
        self.new_server()

    def new_server(self):
        if self.instance:
            self.instance.kill()
            shutil.rmtree(self.instance.folder, ignore_errors=True)
        self.lives += 1
        self.instance = server.Server(self.kappa_path, self.folder / f"data{self.lives}", *self.flags)
        self.instance.start()
        self.kappa = self.instance.connect()

    def close(self):
        self.instance.kill()
        self.reference.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- one case

    def run(self, case, inputs=None):
        """Runs a case; raises Difference. `inputs`: gets what batch mode needs to do the same."""
        self.reference.query(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE; CREATE SCHEMA {self.schema}; SET search_path = {self.schema}; SET statement_timeout = '10s'; SET timezone = 'UTC'")
        pair = oracle.Pair(self.kappa, self.reference)
        made = self.made = []
        self.runs += 1
        self.kappa.query("SET timezone = 'UTC'")
        named = [(statement.kind, self.fresh(str(statement)), statement.name and self.fresh(statement.name)) for statement in case.statements]
        try:
            restart = len(case.statements) // 2 if hash_of(case.label) % 40 == 0 else None
            for at, (kind, sql, name) in enumerate(named):
                if at == restart:
                    self.kill_and_start(pair, case)
                self.step(pair, kind, sql, name, made)
            self.finish(pair, case, named, inputs)
        except ConnectionError as failure:
            self.instance.process.wait(10) if self.instance.process.poll() is None else None
            text = self.instance.log.read_text()[-3000:] if self.instance.log.exists() else ""
            self.new_server()
            made.clear()
            raise oracle.Difference("kappa ended", f"{failure}\n{text}") from None
        except TimeoutError:
            self.new_server()
            made.clear()
            raise oracle.Difference("kappa does not answer", "after 60 seconds") from None
        finally:
            for kind, name in reversed(made):
                self.kappa.query(f"DROP {kind} IF EXISTS {name} CASCADE")

    def fresh(self, sql):
        """Every run has names of its own: a stream that is made again under the same name finds the records of its topic."""
        return sql.replace(PREFIX, f"n{self.runs}_")

    def kill_and_start(self, pair, case):
        self.counts["kills"] += 1
        self.kappa.close()
        self.instance.kill()
        self.instance.start()
        self.kappa = pair.kappa = self.instance.connect()

    def step(self, pair, kind, sql, name, made):
        if pair.mentions(sql, pair.beyond):
            return
        mine, theirs = pair.execute(sql)
        refused, refused_there = isinstance(mine, pgwire.ServerError), isinstance(theirs, pgwire.ServerError)
        if not refused and kind in ("relation", "view"):
            made.append(("MATERIALIZED VIEW" if kind == "view" else sql.split()[1], name))
        if refused and not oracle.of_a_value(mine) and (mine.sqlstate == UNSUPPORTED or NO_FUNCTION.match(mine.message)):
            self.counts["unsupported"] += 1
            self.unsupported[mine.message] += 1
            if kind == "view":
                pair.leave(name)
            elif kind != "query":
                raise Skipped
        elif refused and refused_there:
            # Which of several rows or parts fails first is open; that one fails is not.
            self.counts["refused by both"] += 1
            self.refused[re.sub(r"\".*?\"|\d+", "..", f"{theirs}")] += 1
            if mine.sqlstate != theirs.sqlstate and not (oracle.of_a_value(mine) and oracle.of_a_value(theirs)):
                raise oracle.Difference("SQLSTATE differs", f"kappa: {mine}, PostgreSQL: {theirs}\n  {sql}")
            if kind == "view":
                pair.beyond.add(name)
        elif refused and oracle.of_a_value(mine):
            self.counts["refused by kappa alone"] += 1  # it computed what it did not need to
            if kind != "query":
                raise Skipped
        elif refused and theirs is None and mine.sqlstate == MISMATCH:
            pair.leave(name)  # a view that PostgreSQL cannot have, of a query that it would refuse too
        elif refused:
            raise oracle.Difference("kappa refuses " + mine.sqlstate, f"{mine} {mine.detail} {mine.hint}\n  {sql}")
        elif refused_there:
            if theirs.sqlstate == TIMEOUT:
                raise Skipped
            if oracle.of_a_value(theirs):
                self.counts["refused by PostgreSQL alone"] += 1  # it computed what it did not need to
                if kind == "query":
                    return
                raise Skipped
            raise oracle.Difference("PostgreSQL refuses " + theirs.sqlstate, f"{theirs}\n  {sql}")
        elif kind == "query":
            self.counts["queries"] += 1
            if mine.columns != theirs.columns or not oracle.same_types(mine.types, theirs.types):
                raise oracle.Difference("columns of a query", f"kappa: {mine.columns} {mine.types}, PostgreSQL: {theirs.columns} {theirs.types}\n  {sql}")
            different = oracle.same_rows(mine.rows, theirs.rows, oracle.exact(mine, theirs))
            if different:
                raise oracle.Difference("query, PostgreSQL", f"{different}\n  {sql}")
        elif kind != "setting":
            if kind in ("insert", "change") and mine.tag != theirs.tag:
                raise oracle.Difference("tags differ", f"{mine.tag} against {theirs.tag}\n  {sql}")
            for view, query in pair.views.items():
                pair.check_view(view, query, once=False)

    def finish(self, pair, case, named, inputs):
        for session in (self.kappa, self.reference):
            session.query("SET timezone = 'UTC'")
        for name, query in pair.views.items():
            pair.check_view(name, query)
        alone = [name for kind, name in self.made if kind == "MATERIALIZED VIEW" and name not in pair.views]
        for name in [*pair.views, *alone]:
            row = self.when_ready(f"SELECT equal, rows, live_digest, replayed_digest FROM kappa.verify('{name}', 0)")[0]
            self.counts["views"] += 1
            if row[0] != "t":
                raise oracle.Difference("live view, replay", f"view {name}: {row}")
        self.counts["comparisons"] += pair.compared
        if inputs is not None and pair.views:
            inputs.append(self.batch_input(pair, case, named))

    def when_ready(self, sql):
        """The rows of a query about a view that may still be on its way after a kill."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.kappa.rows(sql)
            except pgwire.ServerError as error:
                if error.sqlstate != STILL_REPLAYING or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    # ---- batch mode

    def batch_input(self, pair, case, named):
        """The case as a file of declarations, files of rows, and the digests that must come out."""
        relations = [name for kind, _, name in named if kind == "relation"]
        rows = {name: [row[0] for row in self.reference.rows(f"SELECT row_to_json(t) FROM {name} t")] for name in relations}
        digests = {view: (int(count), digest) for view, count, digest in self.kappa.rows("SELECT view, rows, digest FROM kappa.versions")}
        declarations = [sql for kind, sql, name in named if kind == "relation" or (kind == "view" and name in pair.views)]
        return case, declarations, rows, {name: digests[name] for name in pair.views}

    def run_batch(self, inputs):
        """Raises Difference with the first case that is not what it was live."""
        if not inputs:
            return
        folder = self.folder / "batch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        command = [self.kappa_path, "run", str(folder / "views.sql"), "--stats", str(folder / "stats.json"), *self.flags]
        (folder / "views.sql").write_text(";\n".join(text for _, declarations, _, _ in inputs for text in declarations) + ";\n")
        for _, _, rows, _ in inputs:
            for name, lines in rows.items():
                (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
                command += ["--input", f"{name}={folder / name}.jsonl"]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
        wanted = {name: value for _, _, _, digests in inputs for name, value in digests.items()}
        stats = json.loads((folder / "stats.json").read_text()) if result.returncode == 0 else {}
        got = {name: (view["rows"], view["digest"]) for name, view in stats.get("views", {}).items()}
        if result.returncode == 0 and not stats["dead_letters"] and all(got.get(name) == value for name, value in wanted.items()):
            self.counts["views in batch mode"] += len(wanted)
            return
        if len(inputs) > 1:
            for one in inputs:
                self.run_batch([one])
            raise oracle.Difference("batch mode", "cases that are right alone are not together:\n" + result.stdout[-2000:] + result.stderr[-2000:])
        raise BatchDifference(inputs[0][0], f"live {wanted}, batch {got}\n{result.stdout[-3000:]}{result.stderr[-2000:]}")


class BatchDifference(oracle.Difference):
    def __init__(self, case, text):
        super().__init__("live view, batch mode", text)
        self.case = case


def hash_of(label):
    return int.from_bytes(label.encode(), "big") % 1_000_003


# ---- many cases

def outcome(bench, case, batch=False):
    """The Difference of a case, or None."""
    inputs = [] if batch else None
    try:
        bench.run(case, inputs)
        if batch:
            bench.run_batch(inputs)
    except Skipped:
        bench.counts["skipped"] += 1
    except oracle.Difference as difference:
        return difference
    return None


def report(bench, case, difference, options):
    """Cuts the case down and shows it; a file of the corpus is written when wanted."""
    batch = isinstance(difference, BatchDifference)
    size = sum(len(str(statement)) for statement in case.statements)
    last = [difference]

    def fails(candidate):
        found = outcome(bench, candidate, batch)
        if found is not None and found.kind == difference.kind:
            last[0] = found
            return True
        return False

    counted = [copy.copy(counter) for counter in (bench.counts, bench.unsupported, bench.refused)]
    case = copy.deepcopy(case)
    reducer = Reducer(fails, options.reduce_seconds)
    if options.reduce_seconds > 0 and fails(case):
        reducer.reduce(case)
    bench.counts, bench.unsupported, bench.refused = counted
    prefix = re.compile(r"\b(N|n\d+)_(?=[stv]\d)")
    script = [prefix.sub("", str(statement)) for statement in case.statements]
    text = (f"FAILED case {case.label} ({size} to {sum(map(len, script))} characters in {reducer.attempts} attempts)\n" + "\n".join(f"  {line};" for line in script) +
            "\n" + "\n".join("  " + line for line in prefix.sub("", str(last[0])).split("\n")[:40]))
    if options.keep:
        name = f"fuzz_{case.label.replace(':', '_')}.slt"
        blocks = ["query rowsort\n" + line + "\n----" if statement_is_query(line) else "statement ok\n" + line for line in script]
        (pathlib.Path(options.keep) / name).write_text(f"# Found by random queries ({last[0].kind}).\n\n" + "\n\n".join(blocks) + "\n")
    return text


def statement_is_query(line):
    return line.startswith(("SELECT", "("))


def work(options, port, worker, numbers, results):
    """One process: chunks of cases, each with a server of its own."""
    for chunk in [numbers[i:i + CHUNK] for i in range(0, len(numbers), CHUNK)]:
        bench = Bench(options.kappa, port, f"fuzz_{worker}", FLAGS[(chunk[0] // CHUNK) % len(FLAGS)])
        failures = []
        try:
            inputs = []
            for number in chunk:
                case = Cases(options.seed, number, PREFIX).make()
                if options.only is not None:
                    print(f"-- case {case.label}\n" + "".join(f"{statement};\n" for statement in case.statements), flush=True)
                bench.counts["cases"] += 1
                try:
                    bench.run(case, inputs)
                except Skipped:
                    bench.counts["skipped"] += 1
                except oracle.Difference as difference:
                    failures.append(report(bench, case, difference, options))
            while inputs:
                try:
                    bench.run_batch(inputs)
                    break
                except BatchDifference as difference:
                    failures.append(report(bench, difference.case, difference, options))
                    inputs = [one for one in inputs if one[0] is not difference.case]
                except oracle.Difference as difference:
                    failures.append(f"FAILED cases {chunk[0]} to {chunk[-1]}: {difference}")
                    break
            results.put((bench.counts, bench.unsupported, bench.refused, failures))
        except Exception as failure:  # the harness itself: say where
            results.put((bench.counts, bench.unsupported, bench.refused, failures + [f"FAILED in cases {chunk[0]} to {chunk[-1]}: {failure!r}"]))
            if options.verbose:
                raise
        finally:
            bench.close()
    results.put(None)


def main():
    parser = argparse.ArgumentParser(description="Random queries over randomly changing rows.")
    parser.add_argument("--kappa", required=True)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this case of the seed alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", help="folder for corpus files of what failed")
    parser.add_argument("--failures", type=int, default=10, help="stop after so many")
    parser.add_argument("--reduce-seconds", type=float, default=60)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    numbers = [options.only] if options.only is not None else list(range(options.cases))
    begin = time.monotonic()
    counts, unsupported, refused, failed = collections.Counter(), collections.Counter(), collections.Counter(), 0
    chunks = [numbers[i:i + CHUNK] for i in range(0, len(numbers), CHUNK)]
    results = multiprocessing.Queue()
    postgres.end_on_sigterm()
    with postgres.Postgres() as reference:
        jobs = max(1, min(options.jobs, len(chunks)))
        workers = [multiprocessing.Process(target=work, args=(options, reference.port, n, [number for chunk in chunks[n::jobs] for number in chunk], results), daemon=True) for n in range(jobs)]
        for worker in workers:
            worker.start()
        running = len(workers)
        try:
            while running and failed < options.failures:
                answer = results.get()
                if answer is None:
                    running -= 1
                    continue
                counts += answer[0]
                unsupported += answer[1]
                refused += answer[2]
                failed += len(answer[3])
                for text in answer[3]:
                    print(text, flush=True)
        finally:
            for worker in workers:
                worker.terminate() if failed >= options.failures else None
                worker.join(30)
    for title, messages in (("not supported by kappa", unsupported), ("refused by both", refused)) if options.verbose else ():
        print(title + "".join(f"\n  {count:6} {message}" for message, count in messages.most_common(20)))
    seconds = time.monotonic() - begin
    shown = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if name != "cases")
    print(f"fuzz-sql: seed {options.seed}: {counts['cases']} cases in {seconds:.0f} s ({counts['cases'] / seconds:.0f}/s), {failed} failed; {shown}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
