#!/usr/bin/env python3
"""Compares kappa with a real PostgreSQL 15 over the corpus, statement by statement and view by view.

Every statement of a file runs in both: streams and tables are tables there, materialized views are views (always fresh, as kappa's are), and
TUMBLE, HOP and SESSION are written out. Checked are
  after every statement that changes rows, for every view: its rows in kappa = its rows in PostgreSQL = its query, run once by kappa;
  every query: kappa's rows, names and types of columns = PostgreSQL's = the rows in the file;
  every statement that must fail: PostgreSQL fails too, with the same SQLSTATE (0A000 is kappa's own).
Rows are compared as text, ordered by all columns. What depends on the order of a sum (floats) may differ in the last digits, what is equal and
only looks different (numeric 1 and 1.0, -0 and 0, 1 mon and 30 days) where SQL leaves open which one is shown, is equal.

What PostgreSQL cannot have is passed over, and what reads it too: views that wait for windows to close, views of which a version was promoted by
hand, kappa.*. A comment "# not postgresql: WHY" right above a block (in a file's first paragraph: for the whole file) keeps it to kappa.

usage: oracle.py --kappa PROGRAM [--jobs N] [FILE..]
"""
import argparse
import concurrent.futures
import decimal
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import pgwire  # noqa: E402
import postgres  # noqa: E402
import server  # noqa: E402
import slt  # noqa: E402

ONLY_KAPPA = re.compile(r"\bEMIT\s+ON\b|\bttl = '1 second'|\bkappa\.|\b(PROMOTE|ROLLBACK|RETIRE)\b|\$late\b|\w\$\d|^\s*(EXPLAIN|SHOW|ALTER)\b|\bCUMULATE\s*\(", re.I)
CHANGES_ROWS = re.compile(r"^\s*(INSERT|UPDATE|DELETE|CREATE\s+(OR\s+REPLACE\s+)?MATERIALIZED)\b", re.I)
VIEW = re.compile(r"^\s*CREATE\s+(OR\s+REPLACE\s+)?MATERIALIZED\s+VIEW\s+(IF\s+NOT\s+EXISTS\s+)?(\w+|\"[^\"]+\")(\s+WITH\s*\([^)]*\))?\s+AS\s+(.*)$", re.I | re.S)
AS_OF = re.compile(r"\b(?:ASOF\s+(LEFT\s+)?JOIN\s+(\w+)|(LEFT\s+)?JOIN\s+(\w+)\s+FOR\s+SYSTEM_TIME\s+AS\s+OF\s+(\w+\.\w+))\s+(?:AS\s+)?(\w+)\s+ON\s+(.*?)"
                   r"(?=\)|\s+(?:WHERE|GROUP|HAVING|ORDER|LEFT|RIGHT|FULL|CROSS|JOIN|ASOF|UNION|INTERSECT|EXCEPT|LIMIT|OFFSET|FETCH|WINDOW)\b|\s*$)", re.I | re.S)
WINDOW = re.compile(r"\b(TUMBLE|HOP|SESSION)\s*\(", re.I)
FIRST_DEFINED_TYPE = 16384  # from here on an OID is somebody's own type
FLOATS, NUMERIC, INTERVAL, JSONB, VARCHAR = {700, 701}, 1700, 1186, 3802, {1043: 25, 1015: 1009}
RECORDS = {2249, 2287}  # rows of tables: there a type of their own


class Difference(Exception):
    """Two answers that must be equal are not. `kind` says which, so that a reducer keeps to one kind."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


# ---- kappa's SQL as PostgreSQL's

def arguments(sql, at):
    """The arguments of a call whose parenthesis opens before `at`, and where it ends."""
    parts, depth, start, quote = [], 0, at, ""
    while True:
        c = sql[at]
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([":
            depth += 1
        elif c in ")]" and depth > 0:
            depth -= 1
        elif c == ")" or (c == "," and depth == 0):
            parts.append(sql[start:at].strip())
            start = at + 1
            if c == ")":
                return parts, at + 1
        at += 1


def window_name(rest, source):
    """The alias that a window function's sub-select needs when none is written behind it."""
    alias = re.match(r"\s+(AS\s+)?(?!(WHERE|GROUP|ORDER|JOIN|LEFT|RIGHT|FULL|INNER|CROSS|NATURAL|ON|USING|HAVING|UNION|EXCEPT|INTERSECT|LIMIT|OFFSET|EMIT|WINDOW|FETCH)\b)\w+", rest, re.I)
    return "" if alias else f" AS {source if re.fullmatch(chr(92) + 'w+', source) else 'windows'}"


def session(sql, at):
    """SESSION(source [PARTITION BY k, ..], time, gap) or (source, time, gap, k, ..): its sub-select, the source, and where the call ends."""
    parts, end = arguments(sql, at)
    source, *by = re.split(r"\s+PARTITION\s+BY\s+", parts[0], flags=re.I)
    keys, time, gap = (by + parts[1:-2], parts[-2], parts[-1]) if by else (parts[3:], parts[1], parts[2])
    time, gap = "src." + time.split(".")[-1], f"({gap})::interval"
    names = [f"k{n}" for n in range(len(keys))]
    named = "".join(f", src.{key.split('.')[-1]} AS {name}" for key, name in zip(keys, names))
    partition = ", ".join(f"src.{key.split('.')[-1]}" for key in keys)
    by_keys = f"PARTITION BY {partition} " if keys else ""
    begins = f"CASE WHEN {time} - lag({time}) OVER ({by_keys}ORDER BY {time}) <= {gap} THEN 0 ELSE 1 END"
    rows = f"SELECT src AS row, {time} AS time{named}, {begins} AS begins FROM {expand_windows(source)} src WHERE isfinite({time})"
    numbered = f"SELECT f.*, sum(begins) OVER ({'PARTITION BY ' + ', '.join(names) + ' ' if keys else ''}ORDER BY time) AS number FROM ({rows}) f"
    same = ", ".join([*names, "number"])
    ends = f"max(time) OVER (PARTITION BY {same}) + make_interval(secs => extract(epoch FROM {gap})::float8)"
    return f"SELECT (g.row).*, min(time) OVER (PARTITION BY {same}) AS window_start, {ends} AS window_end FROM ({numbered}) g", source, end


def expand_windows(sql):
    """TUMBLE, HOP and SESSION as sub-selects. Windows are lengths of time, not of the calendar: so are the intervals here. NULL and infinity are in none."""
    found = WINDOW.search(sql)
    while found:
        if found[1].upper() == "SESSION":
            body, source, end = session(sql, found.end())
            sql = sql[:found.start()] + f"({body}){window_name(sql[end:], source)}" + sql[end:]
            found = WINDOW.search(sql)
            continue
        (source, at, *sizes), end = arguments(sql, found.end())
        length = [f"make_interval(secs => extract(epoch FROM {size})::float8)" for size in sizes]
        column = f"src.{at.split('.')[-1]}"
        if found[1].upper() == "TUMBLE":
            size, offset = length[0], length[1] if len(length) > 1 else None
            moved, back = (f"({column} - {offset})", f" + {offset}") if offset else (column, "")
            start = f"date_bin({size}, {moved}, 'epoch'){back}"
            body = f"SELECT src.*, {start} AS window_start, {start} + {size} AS window_end FROM {source} src WHERE isfinite({column})"
        else:
            slide, size, offset = length[0], length[1], length[2] if len(length) > 2 else None
            moved, back = (f"({column} - {offset})", f" + {offset}") if offset else (column, "")
            body = (f"SELECT src.*, starts.at{back} AS window_start, starts.at{back} + {size} AS window_end FROM {source} src, "
                    f"generate_series(date_bin({slide}, {moved}, 'epoch'), {moved} - {size} + interval '1 microsecond', -{slide}) starts(at) WHERE isfinite({column})")
        sql = sql[:found.start()] + f"({expand_windows(body)}){window_name(sql[end:], source)}" + sql[end:]
        found = WINDOW.search(sql)
    return sql


def expand_as_of(sql):
    """As-of joins, and those with versions in a stream (whose time is called "at"), as LATERAL sub-selects of one row."""
    found = AS_OF.search(sql)
    while found:
        outer, right, name, condition = found[1] or found[3] or "", found[2] or found[4], found[6], found[7]
        if found[5]:
            condition = f"{condition} AND {found[5]} >= {name}.at"
        mirrored = {">": "<", "<": ">"}
        times = re.search(rf"(>=|>|<=|<)\s*({name}\.\w+)", condition) or re.search(rf"({name}\.\w+)\s*(>=|>|<=|<)", condition)
        if not times:
            return sql
        op, time = times.groups() if times[1][0] in mirrored else (mirrored[times[2][0]], times[1])
        order = "DESC" if op[0] == ">" else "ASC"
        one = f"SELECT * FROM {right} {name} WHERE {condition} ORDER BY {time} {order} LIMIT 1"
        sql = f"{sql[:found.start()]}{outer}JOIN LATERAL ({one}) {name} ON true{sql[found.end():]}"
        found = AS_OF.search(sql)
    return sql


def to_postgres(sql):
    """The statement as PostgreSQL takes it; None when there is nothing to do there."""
    if ONLY_KAPPA.search(sql):
        return None
    view = VIEW.match(sql)
    if view:
        return f"CREATE {'OR REPLACE ' if view[1] else ''}VIEW {view[3]} AS {expand_as_of(expand_windows(strip_emit(view[5])))}"
    sql = re.sub(r"^(\s*CREATE\s+)(STREAM|SOURCE)\b", r"\1TABLE", sql, flags=re.I)
    if re.match(r"\s*CREATE\s+TABLE\b", sql, re.I):
        columns, end = arguments(sql, sql.index("(") + 1)
        return sql[:sql.index("(")] + "(" + ", ".join(column for column in columns if not re.match(r"WATERMARK\s+FOR\b", column, re.I)) + ")"
    sql = re.sub(r"^(\s*DROP\s+)(STREAM|SOURCE)\b", r"\1TABLE", sql, flags=re.I)
    sql = re.sub(r"^(\s*DROP\s+)MATERIALIZED\s+VIEW\b", r"\1VIEW", sql, flags=re.I)
    return expand_as_of(expand_windows(strip_emit(sql)))


def strip_emit(sql):
    return re.sub(r"\s+EMIT\s+CHANGES\s*;?\s*$", "", sql, flags=re.I)


# ---- comparing rows

def interval_seconds(text):
    """An interval as one length, as PostgreSQL compares them: 30 days a month, 24 hours a day."""
    total = decimal.Decimal(0)
    for number, unit in re.findall(r"([+-]?\d+) (year|mon|day)", text):
        total += int(number) * {"year": 360, "mon": 30, "day": 1}[unit] * 86400
    clock = re.search(r"([+-]?)(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    if clock:
        seconds = int(clock[2]) * 3600 + int(clock[3]) * 60 + decimal.Decimal(clock[4])
        total += seconds * (-1 if clock[1] == "-" else 1)
    return total


def loose(value, oid):
    """A value such that equal ones are equal: the last digits of floats are cut off, numerics lose their scale."""
    if value is None:
        return (1, "")
    if oid in FLOATS:
        number = float(value) or 0.0  # -0 is 0
        return (0, "NaN" if number != number else f"{number:.{5 if oid == 700 else 11}e}")
    if oid == NUMERIC and value not in ("NaN", "Infinity", "-Infinity"):
        return (0, str(decimal.Decimal(value).normalize(decimal.Context(prec=5000)) + 0))
    if oid == JSONB:
        number = lambda text: "number " + str(decimal.Decimal(text).normalize() + 0)  # noqa: E731
        return (0, json.dumps(json.loads(value, parse_int=number, parse_float=number)))
    if oid == INTERVAL:
        return (0, str(interval_seconds(value)))
    return (0, value)


def nearly(a, b, oid):
    if a == b or loose(a, oid) == loose(b, oid):
        return True
    if a is None or b is None or oid not in FLOATS:
        return False
    x, y = float(a), float(b)
    if min(abs(x), abs(y)) == 0:
        return max(abs(x), abs(y)) < 1e-12  # what rounding leaves of a difference
    return x == y or abs(x - y) <= (1e-5 if oid == 700 else 1e-9) * max(abs(x), abs(y))


def sort_key(row):
    return [(value is None, value or "") for value in row]


def same_rows(left, right, types, ordered=False):
    """None when the two are the same rows, else what differs."""
    if not ordered:
        left, right = sorted(left, key=sort_key), sorted(right, key=sort_key)
    if left == right:
        return None
    if not ordered:
        key = lambda row: [loose(value, oid) for value, oid in zip(row, types)]  # noqa: E731
        left, right = sorted(left, key=key), sorted(right, key=key)
    if len(left) == len(right) and all(all(map(nearly, a, b, types)) for a, b in zip(left, right)):
        return None
    spare = list(right)
    extra = [row for row in left if row not in spare or spare.remove(row)]
    shown = lambda rows: "".join("\n    " + "  ".join(map(slt.shown, row)) for row in rows[:8])  # noqa: E731
    return f"{len(left)} rows against {len(right)}\n  only in the first:{shown(extra)}\n  only in the second:{shown(spare)}"


def exact(mine, theirs):
    """The types of a result's columns; a numeric with a scale has one look only, so that it is none of the types that are compared loosely.
    (Folding CASE WHEN true, PostgreSQL finds a scale for a column that its type does not have.)"""
    return [0 if oid == NUMERIC and min(modifiers) >= 0 else oid for oid, *modifiers in zip(theirs.types, mine.modifiers, theirs.modifiers)]


def same_types(left, right):
    common = lambda oid: VARCHAR.get(oid, oid) if oid < FIRST_DEFINED_TYPE and oid not in RECORDS else FIRST_DEFINED_TYPE  # noqa: E731
    return list(map(common, left)) == list(map(common, right))


# ---- one file

class Pair:
    """A session of kappa and one of PostgreSQL that are told the same. Counts what was compared."""

    def __init__(self, kappa, reference):
        self.kappa, self.reference = kappa, reference
        self.views = {}      # name -> query, of those that PostgreSQL has too
        self.beyond = set()  # names that mean something else there, or nothing
        self.compared = self.passed_over = 0

    def execute(self, sql, everywhere=True):
        """Runs one statement in both and gives both answers: a Result, a ServerError, or None where it does not run."""
        mine, theirs = attempt(self.kappa, sql), None
        translated = to_postgres(sql) if everywhere and not self.mentions(sql, self.beyond) else None
        if translated is not None:
            theirs = attempt(self.reference, translated)
        words = re.findall(r"\w+", sql)
        view = VIEW.match(sql)
        if view:
            name = view[3].strip('"')
            if isinstance(mine, pgwire.Result) and isinstance(theirs, pgwire.Result) and "'manual'" not in (view[4] or ""):
                self.views[name] = strip_emit(view[5])
            elif isinstance(mine, pgwire.Result):
                self.leave(name)
        elif words and words[0].upper() == "ALTER" and isinstance(mine, pgwire.Result):
            self.leave(words[3])
        elif words and words[0].upper() == "DROP" and isinstance(mine, pgwire.Result):
            gone = set(words[2:])
            self.views = {name: query for name, query in self.views.items() if name not in gone}
            self.beyond -= gone
        return mine, theirs

    @staticmethod
    def mentions(sql, names):
        return not names.isdisjoint(re.findall(r"\w+", sql))

    def leave(self, name):
        """From now on `name` and what reads it is kappa's alone."""
        if name in self.beyond:
            return
        self.passed_over += 1
        self.beyond.add(name)
        self.views.pop(name, None)
        for reader in [reader for reader, query in self.views.items() if self.mentions(query, {name})]:
            self.leave(reader)

    def check_views(self):
        for name, query in self.views.items():
            self.check_view(name, query)

    def check_view(self, name, query, once=True):
        live = self.kappa.query(f'SELECT * FROM "{name}"')[-1]
        reference = attempt(self.reference, f'SELECT * FROM "{name}"')
        whole = attempt(self.kappa, query) if once else None
        if isinstance(reference, pgwire.ServerError):
            # A row for which an expression fails: PostgreSQL refuses the whole query, and so does kappa's; a view goes on with NULL.
            self.passed_over += 1
            if reference.sqlstate.startswith("42"):
                raise Difference("PostgreSQL refuses the view", f"{name}: {reference}\n  {query}")
            return
        if isinstance(whole, pgwire.ServerError) and of_a_value(whole):
            self.passed_over += 1  # it computed what PostgreSQL saw no need for
            whole = None
        if isinstance(whole, pgwire.ServerError):
            raise Difference("kappa refuses the query of a view", f"{name}: {whole}\n  {query}")
        self.compared += 1
        if live.columns != reference.columns or not same_types(live.types, reference.types):
            raise Difference("columns differ", f"view {name} has {live.columns} {live.types}, PostgreSQL's {reference.columns} {reference.types}")
        for kind, left, right in (("live view, PostgreSQL", live, reference), ("live view, the query run once", live, whole)):
            different = None if right is None else same_rows(left.rows, right.rows, exact(live, reference))
            if different:
                raise Difference(kind, f"view {name}: {different}\n  {query}")


def of_a_value(error):
    """Whether it is a value that fails and not the statement: then how far each system computes what it does not need decides who fails."""
    return error.sqlstate[:2] in ("21", "22") or (error.sqlstate == "0A000" and error.message.startswith(("cannot convert", "removing elements", "searching for elements")))


def attempt(connection, sql):
    try:
        results = connection.query(sql)
        return results[-1] if results else pgwire.Result([], [], "", [], [])
    except pgwire.ServerError as error:
        return error


def run_block(pair, block, everywhere):
    mine, theirs = pair.execute(block.sql, everywhere)
    if block.head.startswith("statement error"):
        state = block.head.split()[2]
        if re.search(r"\bSESSION\s*\(", block.sql, re.I):
            return  # what it may not be is kappa's own
        if state != "0A000" and isinstance(theirs, pgwire.Result):
            raise Difference("PostgreSQL takes what must fail", block.sql)
        if isinstance(theirs, pgwire.ServerError) and state != "0A000" and theirs.sqlstate != state:
            raise Difference("SQLSTATE differs", f"PostgreSQL says {theirs}\n  {block.sql}")
        return
    if isinstance(mine, pgwire.ServerError):
        raise Difference("kappa fails", f"{mine} {mine.detail} {mine.hint}\n  {block.sql}")
    if isinstance(theirs, pgwire.ServerError) and theirs.sqlstate == "0A000":
        pair.passed_over += 1  # it lacks what kappa has
        theirs = None
    if isinstance(theirs, pgwire.ServerError):
        raise Difference("PostgreSQL fails", f"{theirs}\n  {block.sql}")
    if block.kind == "query" and theirs is not None:
        pair.compared += 1
        sort = "rowsort" in block.head
        if mine.columns != theirs.columns or not same_types(mine.types, theirs.types):
            raise Difference("columns differ", f"kappa: {mine.columns} {mine.types}, PostgreSQL: {theirs.columns} {theirs.types}\n  {block.sql}")
        different = same_rows(mine.rows, theirs.rows, exact(mine, theirs), ordered=not sort)
        if different:
            raise Difference("query, PostgreSQL", f"{different}\n  {block.sql}")
    if CHANGES_ROWS.match(block.sql):
        pair.check_views()


def run_file(kappa, reference, path, schema):
    blocks, _ = slt.parse(path)
    if blocks and "# not postgresql:" in path.read_text().split("\n\n")[0]:
        return 0, 1
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kappa-oracle-", dir=server.memory_folder()))
    instance = server.Server(kappa, folder / "data")
    pair = None
    try:
        instance.start()
        pair = Pair(instance.connect(), reference.connect())
        pair.reference.query(f"CREATE SCHEMA {schema}; SET search_path = {schema}; SET statement_timeout = '20s'")
        for block in blocks:
            try:
                if block.kind in ("restart", "crash"):
                    pair.kappa.close()
                    instance.kill() if block.kind == "crash" else instance.stop()
                    instance.start()
                    pair.kappa = instance.connect()
                    pair.check_views()
                else:
                    run_block(pair, block, "# not postgresql:" not in block.notes)
            except Difference as difference:
                raise Difference(difference.kind, f"{path}:{block.line}: {difference}") from None
        return pair.compared, pair.passed_over
    finally:
        instance.kill()
        if pair:
            pair.reference.query(f"DROP SCHEMA {schema} CASCADE")
            pair.reference.close()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description="Compares kappa with PostgreSQL over the corpus.")
    parser.add_argument("--kappa", required=True)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    files = options.files or sorted((slt.ROOT / "sql").rglob("*.slt"))
    compared = passed_over = failed = 0
    postgres.end_on_sigterm()
    with postgres.Postgres() as reference, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runs = {pool.submit(run_file, options.kappa, reference, path, f"corpus_{i}"): path for i, path in enumerate(files)}
        for run in concurrent.futures.as_completed(runs):
            try:
                counts = run.result()
                compared, passed_over = compared + counts[0], passed_over + counts[1]
            except Exception as failure:  # every failure of a file is that file's
                failed += 1
                print(f"FAILED {failure}" if isinstance(failure, Difference) else f"FAILED {runs[run]}: {failure!r}", flush=True)
    print(f"oracle: {len(files)} files, {compared} comparisons of views and queries with PostgreSQL, {passed_over} passed over, {failed} files failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
