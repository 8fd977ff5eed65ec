#!/usr/bin/env python3
"""The main job, end to end, on real events: log, live views, new logic by replay, compare, route, promote, roll back, crash,
verify, batch. Prints every step as the command that a reader could type, with its real output. Exit status 0 only when every
claim held.

usage: demo.py --kappa PROGRAM [--keep] [--data FOLDER]
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
EVENTS = HERE / "commits.jsonl.zst"
SQL = HERE / "demo.sql"
TOTAL = 212_548
FIRST = TOTAL * 3 // 4
VIEWS = ["weekly", "weekly_final", "author_totals", "hot_dirs", "authors_by_size", "by_language"]
VERSION_2 = """SET kappa.wait = off;
CREATE OR REPLACE MATERIALIZED VIEW author_totals WITH (promote = 'manual') AS
SELECT author, count(*) AS commits, sum(files) AS files, count(DISTINCT repo) AS repos, max(authored_at) AS last_commit
FROM commits WHERE parents <= 1
GROUP BY author"""


class Failed(Exception):
    pass


class Demo:
    def __init__(self, arguments):
        self.kappa = str(pathlib.Path(arguments.kappa).resolve())
        self.keep = arguments.keep
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="kappa-demo-"))
        self.data = pathlib.Path(arguments.data).resolve() if arguments.data else self.work / "data"
        self.server = None
        self.figures = {}
        self.bold, self.dim, self.plain = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")

    # ---- showing and running

    def title(self, number, text):
        print(f"\n{self.bold}== {number}. {text}{self.plain}", flush=True)

    def say(self, text):
        print(f"{self.dim}# {text}{self.plain}", flush=True)

    def show(self, command, background=False):
        text = " ".join(self.quote(word) for word in command)
        for real, short in ((self.kappa, "kappa"), (str(self.data), "$DATA"), (str(EVENTS), "examples/commits/commits.jsonl.zst"),
                            (str(SQL), "examples/commits/demo.sql"), (str(self.work), "$WORK")):
            text = text.replace(real, short)
        print(f"$ {text}{' &' if background else ''}", flush=True)

    @staticmethod
    def quote(word):
        return word if re.fullmatch(r"[\w./:=,@%+$-]+", word) else "'" + word.replace("'", "'\\''") + "'"

    def run(self, *command, show=True, check=True, lines=None, capture=True, environment=None):
        """Runs to the end; prints the command and at most `lines` lines of what it wrote; gives its output."""
        if show:
            self.show(command)
        result = subprocess.run(command, stdout=subprocess.PIPE if capture else None, stderr=None, text=True,
                                env={**os.environ, **(environment or {})})
        output = result.stdout or ""
        if show and output:
            shown = output.rstrip("\n").split("\n")
            cut = lines is not None and len(shown) > lines
            print("\n".join(shown[:lines] if cut else shown) + (f"\n... ({len(shown) - lines} more lines)" if cut else ""), flush=True)
        if check and result.returncode != 0:
            raise Failed(f"{command[0]} ended with {result.returncode}")
        return output

    def endpoints(self):
        return json.loads((self.data / "endpoints.json").read_text())

    def client(self, verb, *rest):
        return (self.kappa, verb, *rest, "--data", str(self.data))

    def psql(self, sql, show=True, lines=20, quiet=False):
        host, port = self.endpoints()["pg"].rsplit(":", 1)
        flags = ["-At"] if quiet else []
        return self.run("psql", "-X", "-h", host, "-p", port, "-U", "kappa", *flags, "-c", sql, "kappa", show=show, lines=lines)

    def value(self, sql):
        return self.psql(sql, show=False, quiet=True).strip()

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.endpoints()['http']}{path}", timeout=30) as answer:
            return json.load(answer)

    def start(self):
        command = [self.kappa, "serve", "--data", str(self.data), "--pg", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        self.show(command, background=True)
        (self.data / "endpoints.json").unlink(missing_ok=True)
        begin = time.monotonic()
        self.server = subprocess.Popen(command, stdout=open(self.work / "server.log", "a"), stderr=subprocess.STDOUT)
        while not (self.data / "endpoints.json").exists():
            if self.server.poll() is not None:
                raise Failed("the server did not start:\n" + (self.work / "server.log").read_text())
            if time.monotonic() - begin > 60:
                raise Failed("the server does not serve after 60 s")
            time.sleep(0.002)
        return time.monotonic() - begin

    def produce(self, first, count, *more, background=False):
        command = self.client("topic", "produce", "commits", str(EVENTS), "--from-line", str(first), "--lines", str(count), "--json", *more)
        self.show(command)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if background:
            return process
        return self.finish(process)

    def finish(self, process):
        output, _ = process.communicate()
        print(output, end="", flush=True)
        if process.returncode != 0:
            raise Failed(f"the producer ended with {process.returncode}")
        return json.loads(output.strip().splitlines()[-1])

    def wait_rows(self, wanted, timeout=120):
        """Until the views show so many events."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if int(self.value("SELECT sum(commits) FROM author_totals$1") or 0) >= wanted:
                return
            time.sleep(0.005)
        raise Failed(f"the views do not show {wanted} events")

    def expect(self, claim, held, detail=""):
        print(f"  {'ok' if held else 'FAILED'}: {claim}{' ' + detail if detail else ''}", flush=True)
        if not held:
            raise Failed(claim)

    # ---- the steps

    def step_1(self):
        self.title(1, "start the server, declare the stream and the views, produce three quarters of the events")
        self.figures["start to serving, empty (ms)"] = round(self.start() * 1000, 1)
        self.run(*self.client("sql", str(SQL)))
        outcome = self.produce(1, FIRST)
        self.figures["ingest through the Kafka wire, fsync'd (events/s)"] = round(outcome["records_per_second"])
        self.wait_rows(FIRST)

    def step_2(self):
        self.title(2, "the views are live")
        self.run(*self.client("status"))
        self.expect("three quarters of the events are in the views", int(self.value("SELECT sum(commits) FROM author_totals")) == FIRST)
        self.expect("the view over a view agrees", int(self.value("SELECT sum(commits) FROM authors_by_size")) == FIRST)
        self.expect("the join agrees", int(self.value("SELECT sum(commits) FROM by_language")) == FIRST)

    def step_3(self):
        self.title(3, "read them with psql and curl, and watch an update arrive while the last quarter streams in")
        self.psql("SELECT * FROM by_language ORDER BY commits DESC")
        self.psql("SELECT dir, commits FROM hot_dirs WHERE repo = 'duckdb/duckdb' ORDER BY commits DESC LIMIT 5")
        self.psql("\\d author_totals")
        http = self.endpoints()["http"]
        self.run("curl", "-s", f"http://{http}/v1/views/weekly?repo=google/leveldb&order=commits.desc&limit=2")
        print()
        changes = ("curl", "-sN", f"http://{http}/v1/views/by_language/changes?snapshot=false")
        self.show(changes)
        feed = subprocess.Popen(changes, stdout=subprocess.PIPE, text=True)
        seen = []
        first = threading.Event()

        def follow():
            for line in feed.stdout:
                if line.strip() and len(seen) < 12:
                    seen.append(line.rstrip("\n"))
                if line.startswith("data:") and '"op":"insert"' in line:
                    first.set()

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        time.sleep(0.3)  # the subscription is there before the events are
        outcome = self.produce(FIRST + 1, (TOTAL - FIRST) // 2)
        arrived = first.wait(10)
        feed.terminate()
        feed.wait()
        print("\n".join(seen[:6]))
        self.expect("a live update arrived by server-sent events", arrived)
        self.wait_rows(FIRST + outcome["acknowledged"])
        self.next_line = FIRST + outcome["acknowledged"] + 1

    def step_4(self):
        self.title(4, "the logic changes: version 2 leaves out merge commits")
        version_2 = self.work / "version2.sql"
        version_2.write_text(VERSION_2 + ";\n")
        self.run(*self.client("plan", str(version_2)))
        before = self.value("SELECT commits FROM author_totals ORDER BY commits DESC LIMIT 1")
        self.run(*self.client("sql", "-c", VERSION_2))
        during = self.value("SELECT commits FROM author_totals ORDER BY commits DESC LIMIT 1")
        self.expect("reads go on at version 1 meanwhile", before == during)
        self.run(*self.client("replay", "author_totals", "--wait"))
        self.run(*self.client("compare", "author_totals", "1", "2", "--samples", "2"))
        self.run(*self.client("route", "author_totals", "1:90", "2:10"))
        shares = {1: 0, 2: 0}
        for _ in range(100):
            shares[self.get("/v1/views/author_totals?limit=1")["version"]] += 1
        self.expect("of 100 reads some go to version 2", shares[2] > 0 and shares[1] > shares[2], f"(version 1: {shares[1]}, version 2: {shares[2]})")
        gap, stop = [], threading.Event()
        reads = []

        def read():
            while not stop.is_set():
                try:
                    reads.append(self.get("/v1/views/author_totals?limit=1")["version"])
                except Exception as error:  # any failed read is a gap
                    gap.append(repr(error))

        reader = threading.Thread(target=read)
        reader.start()
        self.run(*self.client("promote", "author_totals", "2"))
        promoted = int(self.value("SELECT sum(commits) FROM authors_by_size"))
        no_merges = int(self.value("SELECT sum(commits) FROM author_totals"))
        self.run(*self.client("rollback", "author_totals"))
        stop.set()
        reader.join()
        self.expect("no read failed while versions were switched", not gap, f"({len(reads)} reads{': ' + gap[0] if gap else ''})")
        self.expect("the view over the view moved with it", promoted == no_merges, f"({promoted} commits without merges)")
        self.expect("rolled back, all commits are counted again", int(self.value("SELECT sum(commits) FROM authors_by_size")) == self.next_line - 1)

    def step_5(self):
        self.title(5, "kill -9 in the middle of ingestion")
        remaining = TOTAL - self.next_line + 1
        producer = self.produce(self.next_line, remaining, "--rate", "20000", background=True)
        time.sleep(0.5)
        print(f"$ kill -9 {self.server.pid}", flush=True)
        self.server.kill()
        self.server.wait()
        producer.send_signal(signal.SIGINT)
        producer.communicate()
        begin = time.monotonic()
        self.start()
        topic_end = int(self.value("SELECT end_offset FROM kappa.partitions WHERE topic = 'commits'"))
        while int(self.value("SELECT sum(commits) FROM author_totals") or 0) != topic_end:
            if time.monotonic() - begin > 60:
                raise Failed("the views do not catch up")
        self.figures["kill -9 to the first right answer (ms)"] = round((time.monotonic() - begin) * 1000, 1)
        self.say(f"{topic_end} records were in the log; every one of them counts once")
        self.expect("nothing acknowledged was lost, nothing doubled",
                    self.value("SELECT count(*) FROM commits") == str(topic_end) == self.value("SELECT count(DISTINCT event_id) FROM commits"))
        if topic_end < TOTAL:
            self.produce(topic_end + 1, TOTAL - topic_end)
        self.wait_rows(TOTAL)

    def step_6(self):
        self.title(6, "verify: replay from offset 0 gives the same digest")
        output = self.run(*self.client("verify", "--all"))
        self.expect("every version of every view is equal", "DIFFERENT" not in output and output.count("equal at epoch") >= len(VIEWS) + 1)
        rates = [int(rate) for rate in re.findall(r", (\d+)/s\)", output)]
        self.figures["replay of a view, from the log's JSON (events/s)"] = max(rates)

    def step_7(self):
        self.title(7, "the same SQL in batch mode gives the same bytes")
        events = self.work / "log.jsonl"
        outputs = []
        for view in VIEWS:
            outputs += ["--output", f"{view}={self.work}/{view}.batch.csv"]
        self.run(self.kappa, "run", str(SQL), "--input", f"commits={EVENTS}", *outputs, "--stats", str(self.work / "stats.json"))
        # Windows that the end of input closes in batch mode are still open in the live view: close them by asking for closed ones only.
        end = self.value("SELECT watermark FROM kappa.streams WHERE name = 'commits'")
        for view in VIEWS:
            live = self.run(*self.client("sql", "--csv", "-c", f"SELECT * FROM {view}"), show=False).splitlines()
            batch = (self.work / f"{view}.batch.csv").read_text().splitlines()
            live_rows, batch_rows = sorted(live[1:]), sorted(batch[1:])
            if view == "weekly_final":
                still_open = set(batch_rows) - set(live_rows)
                self.expect(f"{view}: all {len(live_rows)} closed windows are the same bytes; batch mode closed {len(still_open)} more at the end of input",
                            set(live_rows) <= set(batch_rows) and len(live_rows) > 0, f"(watermark {end})")
            else:
                self.expect(f"{view}: {len(live_rows)} rows, the same bytes", live[0] == batch[0] and live_rows == batch_rows)
        stats = json.loads((self.work / "stats.json").read_text())
        self.figures["batch mode, six views (events/s)"] = round(stats["events_per_second"])
        events.unlink(missing_ok=True)

    def step_8(self):
        self.title(8, "measured on this machine")
        with urllib.request.urlopen(f"http://{self.endpoints()['http']}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        for quantile in (50, 99):
            self.figures[f"freshness of epochs, p{quantile} at most (ms)"] = self.quantile(metrics, "kappa_freshness_seconds", quantile / 100)
        processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown processor")
        print(f"{os.cpu_count()} cores of {processor}")
        width = max(len(name) for name in self.figures)
        for name, figure in self.figures.items():
            print(f"  {name:<{width}}  {figure:>12,}")

    @staticmethod
    def quantile(metrics, name, share):
        buckets = [(float(match[1].replace("+Inf", "inf")), int(match[2])) for match in re.finditer(rf'{name}_bucket{{le="([^"]+)"}} (\d+)', metrics)]
        if not buckets or buckets[-1][1] == 0:
            return None
        wanted = share * buckets[-1][1]
        return round(next(bound for bound, count in buckets if count >= wanted) * 1000, 2)

    def main(self):
        try:
            for step in (self.step_1, self.step_2, self.step_3, self.step_4, self.step_5, self.step_6, self.step_7, self.step_8):
                step()
            print(f"\n{self.bold}Every claim held.{self.plain}")
            if self.keep:
                print(f"console: http://{self.endpoints()['http']}/  (Ctrl-C ends)", flush=True)
                self.server.wait()
            return 0
        except Failed as failure:
            print(f"\ndemo: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            if self.server and self.server.poll() is None:
                self.server.terminate()
                try:
                    self.server.wait(30)
                except subprocess.TimeoutExpired:
                    self.server.kill()
            shutil.rmtree(self.work, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The main job on real events, every step printed.")
    parser.add_argument("--kappa", required=True, help="the program")
    parser.add_argument("--data", help="data folder (default: a temporary one, removed at the end)")
    parser.add_argument("--keep", action="store_true", help="keep serving at the end, to look at the console")
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    sys.exit(Demo(parser.parse_args()).main())
