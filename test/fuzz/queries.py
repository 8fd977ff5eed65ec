"""Random queries over relations, and random cases: relations, views over them, and changes."""
import random
import re

from fuzz import values
from fuzz.expressions import EXTREMA, LOOSE, Column, Expressions
from fuzz.tree import List, Node

AS_OF_KEYS, AS_OF_TIMES = ["bool", "i2", "i4", "i8", "text", "uuid", "date"], ["ts", "tz", "date", "i4", "i8", "text"]
HASHED = ["bool", "i2", "i4", "i8", "num", "text", "uuid", "date", "ts", "tz", "iv", "f8", "bytea", "json", "i4s"]


class Relation:
    def __init__(self, name, kind, columns, key=(), event_time=None):
        self.name, self.kind, self.columns, self.key, self.event_time = name, kind, columns, key, event_time  # columns: (name, type, certain)

    def scope(self, alias):
        return [column(f"{alias}.{name}", type_, certain) for name, type_, certain in self.columns]


def column(sql, type_, certain=True):
    """A column as expressions see it; varchar as the text that it is (PostgreSQL finds no operators for arrays of it)."""
    return Column(sql + "::text" if type_ == "vc" else sql, values.EXPRESSION_TYPE.get(type_, type_), certain)


class Statement:
    """One statement of a case. `kind`: relation, view, insert, change (UPDATE, DELETE), setting, query."""

    def __init__(self, kind, node, name=None):
        self.kind, self.node, self.name = kind, node, name

    def __str__(self):
        return str(self.node)


class Case:
    def __init__(self, label, statements):
        self.label, self.statements = label, statements


class Queries:
    def __init__(self, rng, relations):
        self.rng, self.relations = rng, relations
        self.expressions = Expressions(rng)
        self.expressions.subquery = self.scalar
        self.aliases = 0
        self.nesting = 0

    def alias(self):
        self.aliases += 1
        return f"r{self.aliases}"

    # ---- FROM

    def source(self, depth):
        """One item of FROM: (node, columns in scope)."""
        rng, alias = self.rng, self.alias()
        roll = rng.random()
        if depth > 0 and roll < 0.2:
            query, types = self.query(depth - 1, width=rng.randint(2, 4))
            return Node("from", "(", query, f") {alias}"), [Column(f"{alias}.c{i}", type_, type_ not in LOOSE) for i, type_ in enumerate(types)]
        relation = rng.choice(self.relations)
        if roll < 0.35:
            timed = [(r, name, type_) for r in self.relations for name, type_, _ in r.columns if type_ in ("ts", "tz") and r.kind != "view"]
            if timed:
                return self.window(*rng.choice(timed), alias)
        return Node("from", f"{relation.name} {alias}"), relation.scope(alias)

    def window(self, relation, column, type_, alias):
        rng = self.rng
        size = rng.choice(["1 hour", "1 day", "15 minutes", "7 days", "30 seconds"])
        if rng.random() < 0.25:
            keys = [name for name, kind, _ in relation.columns if kind in HASHED and kind not in LOOSE and name != column]
            by = f" PARTITION BY {rng.choice(keys)}" if keys and rng.random() < 0.7 else ""
            text = f"SESSION({relation.name}{by}, {column}, INTERVAL '{size}')"
        elif rng.random() < 0.6:
            offset = rng.choice(["", "", "", ", INTERVAL '10 minutes'", ", INTERVAL '-1 hour'"])
            text = f"TUMBLE({relation.name}, {column}, INTERVAL '{size}'{offset})"
        else:
            slide, size = rng.choice([("1 hour", "2 hours"), ("1 day", "3 days"), ("20 minutes", "1 hour"), ("12 hours", "1 day")])
            text = f"HOP({relation.name}, {column}, INTERVAL '{slide}', INTERVAL '{size}')"
        return Node("from", f"{text} {alias}"), relation.scope(alias) + [Column(f"{alias}.window_start", type_), Column(f"{alias}.window_end", type_)]

    def from_clause(self, depth):
        rng = self.rng
        node, scope = self.source(depth)
        joins = []
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
            if rng.random() < 0.12:
                joined = self.as_of(scope)
                if joined:
                    joins.append(joined[0])
                    scope = scope + joined[1]
                continue
            right, columns = self.source(depth - 1)
            pairs = [(a, b) for a in scope for b in columns if a.type == b.type and a.type in HASHED]
            if rng.random() < 0.1 and self.plain(scope):
                lateral, more = self.lateral(scope)
                if lateral is not None:
                    joins.append(lateral)
                    scope = scope + more
                    continue
            kind = rng.choice(["JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
            if kind == "CROSS JOIN" or not pairs:
                if kind != "CROSS JOIN" and rng.random() < 0.7:
                    continue
                joins.append(Node(None, " CROSS JOIN ", right, optional=True))
            else:
                a, b = rng.choice(pairs)
                more = Node(None, " AND ", self.expressions.any("bool", scope + columns, 1), optional=True) if rng.random() < 0.25 and kind != "FULL JOIN" else ""
                condition = Node("bool", f"{a.sql} = {b.sql}")
                times = [(x, y) for x in scope for y in columns if x.type == y.type and x.type in ("ts", "tz")]
                if times and rng.random() < 0.25:
                    x, y = rng.choice(times)
                    before, after = rng.choice([("1 hour", "0 seconds"), ("15 minutes", "15 minutes"), ("0 seconds", "1 day"), ("2 days", "1 hour")])
                    condition = Node("bool", condition, Node(None, f" AND {x.sql} BETWEEN {y.sql} - INTERVAL '{before}' AND {y.sql} + INTERVAL '{after}'", optional=True))
                if rng.random() < 0.08 and kind != "FULL JOIN":
                    condition = self.expressions.any("bool", scope + columns, 1)
                joins.append(Node(None, f" {kind} ", right, " ON ", condition, more, optional=True))
            scope = scope + columns
        return Node(None, node, *joins), scope

    def as_of(self, scope):
        """An as-of join of what is in scope with a relation: (node, columns). Of rows with one time any may be taken, so only what these share is read."""
        rng, alias = self.rng, self.alias()
        relation = rng.choice(self.relations)
        columns = [c for c in relation.scope(alias) if c.certain]

        def pairs(types):
            return [(a, b) for a in scope for b in columns if a.type == b.type and a.type in types and "::" not in a.sql + b.sql]

        times, keys = pairs(AS_OF_TIMES), pairs(AS_OF_KEYS)
        if not times:
            return None
        (left, right), key = rng.choice(times), rng.choice(keys) if keys and rng.random() < 0.8 else None
        condition = f"{left.sql} {rng.choice(['>=', '>=', '>', '<=', '<'])} {right.sql}"
        if key:
            condition = f"{key[0].sql} = {key[1].sql} AND {condition}"
        return (Node(None, f" ASOF {rng.choice(['', 'LEFT '])}JOIN {relation.name} {alias} ON {condition}", optional=True),
                [right] + ([key[1]] if key and key[1].sql != right.sql else []))

    def lateral(self, scope):
        """A sub-select of each row: an aggregate, or its first rows in an order over all that it shows."""
        rng = self.rng
        relation, inner_alias, alias = rng.choice(self.relations), self.alias(), self.alias()
        inner = relation.scope(inner_alias)
        pairs = [(a, b) for a in scope for b in inner if a.type == b.type and a.type in HASHED]
        columns = self.plain(inner)
        if not pairs or not columns:
            return None, None
        a, b = rng.choice(pairs)
        where = Node(None, f" WHERE {b.sql} {rng.choice(['=', '=', '=', '<>', '>='])} {a.sql}")
        shown = [rng.choice(columns) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.4:
            body = Node(None, f"SELECT count(*) AS c0, max({shown[0].sql}) AS c1" if shown[0].type in EXTREMA else "SELECT count(*) AS c0", f" FROM {relation.name} {inner_alias}", where)
            kinds = ["i8", shown[0].type] if shown[0].type in EXTREMA else ["i8"]
        else:
            kinds = [column.type for column in shown]
            order = Node(None, " ORDER BY " + ", ".join(f"{n + 1}{rng.choice(['', ' DESC'])}" for n in range(len(shown))) + rng.choice([" LIMIT 1", " LIMIT 2", " LIMIT 2 OFFSET 1"]), optional=True)
            body = Node(None, "SELECT " + ", ".join(f"{column.sql} AS c{n}" for n, column in enumerate(shown)) + f" FROM {relation.name} {inner_alias}", where, order)
        kind, on = rng.choice([(" CROSS JOIN LATERAL", ""), (" LEFT JOIN LATERAL", " ON true"), (" JOIN LATERAL", " ON true")])
        return Node(None, f"{kind} (", body, f") {alias}{on}", optional=True), [Column(f"{alias}.c{n}", type_, type_ not in LOOSE) for n, type_ in enumerate(kinds)]

    # ---- SELECT

    def query(self, depth, width=None):
        """(node, types of its columns c0, c1 ..)."""
        rng = self.rng
        self.nesting += 1
        try:
            if depth > 0 and rng.random() < 0.15:
                return self.set_operation(depth, width)
            node, types = self.select(depth, width)
            if rng.random() < 0.04 and " ORDER BY " not in str(node):
                keys = ", ".join(f"{n + 1}{rng.choice(['', ' DESC', ' NULLS FIRST'])}" for n in range(rng.randint(1, len(types))))
                node = Node(node.type, node, Node(None, f" ORDER BY {keys} FETCH FIRST {rng.randint(1, 4)} ROWS WITH TIES", optional=True))
            return node, types
        finally:
            self.nesting -= 1

    def set_operation(self, depth, width):
        rng = self.rng
        left, types = self.select(depth - 1, width)
        left = Node(left.type, "(", left, ")") if " ORDER BY " in str(left) else left
        right, _ = self.select(depth - 1, len(types), types)
        operator = rng.choice(["UNION ALL", "UNION ALL", "UNION", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"])
        return Node(f"query{len(types)}", left, f" {operator} ", right), types

    def select(self, depth, width=None, types=None):
        rng = self.rng
        source, scope = self.from_clause(depth)
        where = Node(None, " WHERE ", self.predicate(scope, depth), optional=True) if rng.random() < 0.5 else ""
        width = width or rng.randint(1, 5)
        form = rng.random()
        if form < 0.5:
            body, kinds = self.aggregated(scope, width, types)
        elif form < 0.54 and types is None:
            body, kinds = self.over(scope, width)
        elif form < 0.58 and types is None and self.plain(scope):
            body, kinds = self.distinct_on(scope, width)
        else:
            kinds = types or [self.expressions.present(scope, values.ORDERED) for _ in range(width)]
            items = [self.expressions.any(type_, scope, rng.choice([0, 1, 2, 3])) for type_ in kinds]
            distinct = Node(None, "DISTINCT ", optional=True) if rng.random() < 0.15 else ""
            body = ("SELECT ", distinct, self.items(items, kinds), None, "")
        head, distinct, items, _, tail = body
        return Node(f"query{len(kinds)}", head, distinct, items, " FROM ", source, where, tail), kinds

    def plain(self, scope):
        """Columns whose equal values look alike."""
        return [column for column in scope if column.type in HASHED and column.type not in LOOSE and column.certain]

    def distinct_on(self, scope, width):
        """The first row of each key; the order is over all that is shown, so that it does not matter which of two equal rows it is."""
        rng = self.rng
        columns = self.plain(scope)
        chosen = [rng.choice(columns) for _ in range(width)]
        keys = [chosen[0]] + ([chosen[-1]] if rng.random() < 0.3 else [])
        order = List(", ", [Node(None, column.sql) for column in keys] + [Node(None, column.sql + rng.choice(["", " DESC", " NULLS FIRST"])) for column in chosen], least=len(keys) + width)
        kinds = [column.type for column in chosen]
        items = self.items([Node(column.type, column.sql) for column in chosen], kinds)
        return (f"SELECT DISTINCT ON ({', '.join(dict.fromkeys(column.sql for column in keys))}) ", "", items, None, Node(None, " ORDER BY ", order)), kinds

    def items(self, nodes, types):
        return List(", ", [Node(None, cast(node, type_), f" AS c{i}") for i, (node, type_) in enumerate(zip(nodes, types))])

    def predicate(self, scope, depth):
        rng = self.rng
        if depth > 0 and rng.random() < 0.12:
            return self.membership(scope, depth)
        return self.expressions.any("bool", scope, rng.choice([1, 2, 2, 3]))

    def membership(self, scope, depth):
        """IN and EXISTS, correlated or not."""
        rng = self.rng
        relation, alias = rng.choice(self.relations), self.alias()
        inner = relation.scope(alias)
        pairs = [(a, b) for a in scope for b in inner if a.type == b.type and a.type in HASHED]
        if not pairs:
            return self.expressions.any("bool", scope, 2)
        a, b = rng.choice(pairs)
        no = rng.choice(["", "NOT "])
        if rng.random() < 0.5:
            where = Node(None, " WHERE ", self.expressions.any("bool", inner, 1), optional=True) if rng.random() < 0.5 else ""
            if len(pairs) > 1 and rng.random() < 0.3:
                c, d = rng.choice(pairs)
                how = rng.choice(["IN", "NOT IN", "< ANY", ">= ALL", "= ANY"])
                return Node("bool", f"(({a.sql}, {c.sql}) {how} (SELECT {b.sql}, {d.sql} FROM {relation.name} {alias}", where, "))")
            return Node("bool", f"({a.sql} {no}IN (SELECT {b.sql} FROM {relation.name} {alias}", where, "))")
        more = Node(None, " AND ", self.expressions.any("bool", inner + scope, 1), optional=True) if rng.random() < 0.4 else ""
        return Node("bool", f"({no}EXISTS (SELECT 1 FROM {relation.name} {alias} WHERE {b.sql} = {a.sql}", more, "))")

    def scalar(self, type_, scope):
        """A scalar sub-query that gives one row, correlated or not."""
        rng = self.rng
        if self.nesting > 1 or not self.relations:
            return None
        relation, alias = rng.choice(self.relations), self.alias()
        inner = relation.scope(alias)
        argument = [column for column in inner if column.type == type_]
        if type_ in EXTREMA and argument:
            call = f"{rng.choice(['min', 'max'])}({rng.choice(argument).sql})"
        elif type_ == "i8":
            call = "count(*)"
        elif type_ in ("i4s", "texts"):
            element = [column for column in inner if column.type == {"i4s": "i4", "texts": "text"}[type_]]
            if not element:
                return None
            call = rng.choice(element).sql
        else:
            return None
        pairs = [(a, b) for a in scope for b in inner if a.type == b.type and a.type in HASHED]
        where = ""
        if pairs and rng.random() < 0.6:
            a, b = rng.choice(pairs)
            where = Node(None, f" WHERE {b.sql} = {a.sql}", optional=True)
        if type_ in ("i4s", "texts"):
            return Node(type_, f"ARRAY(SELECT {rng.choice(['', 'DISTINCT '])}{call} FROM {relation.name} {alias}", where, f" ORDER BY 1{rng.choice(['', ' DESC', ' LIMIT 2'])})")
        return Node(type_, f"(SELECT {call} FROM {relation.name} {alias}", where, ")")

    def aggregated(self, scope, width, types):
        rng, e = self.rng, self.expressions
        keys = []
        for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3])):
            type_ = e.present(scope, HASHED)
            e.subquery, subquery = None, e.subquery
            key = e.any(type_, scope, rng.choice([0, 0, 0, 1, 2]))
            e.subquery = subquery
            keys.append((str(key), type_))
        keys = [key for key in keys if re.search(r"\br\d+\.", key[0])]  # a constant would be a position
        groups = [Column(sql, type_, type_ not in LOOSE) for sql, type_ in keys]
        kinds, items = [], []
        for i in range(width):
            wanted = types[i] if types else None
            fitting = [key for key in keys if wanted in (None, key[1])]
            if fitting and rng.random() < (0.5 if i else 0.8):
                sql, type_ = rng.choice(fitting)
                node = Node(type_, sql)
            elif wanted:
                node, type_ = self.aggregate_of(wanted, scope, groups), wanted
            else:
                node = e.aggregate(scope)
                type_ = node.type
                if rng.random() < 0.15:
                    type_ = rng.choice(["bool", "i8", "num"])
                    node = self.aggregate_of(type_, scope, groups)
            kinds.append(type_)
            items.append(node)
        having = Node(None, " HAVING ", self.aggregate_of("bool", scope, groups), optional=True) if rng.random() < 0.2 else ""
        unique = list(dict.fromkeys(sql for sql, _ in keys))
        if len(unique) > 1 and rng.random() < 0.06 and all(re.fullmatch(r"r\d+\.\w+(::text)?", sql) for sql in unique):  # of a key that is a constant in disguise PostgreSQL makes no NULL
            tail = Node(None, f" GROUP BY {rng.choice(['ROLLUP', 'CUBE'])} (", List(", ", unique), ")", having)
        elif unique:
            tail = Node(None, " GROUP BY ", List(", ", [Node("key", sql) for sql in unique]), having)
        else:
            tail = having
            if not any("(" in str(item) for item in items):
                items, kinds = [Node("i8", "count(*)")] + items[1:], ["i8"] + kinds[1:]
        if not unique and not types and all(not is_aggregate(item) for item in items):
            items[0], kinds[0] = Node("i8", "count(*)"), "i8"
        return ("SELECT ", "", self.items(items, kinds), None, tail), kinds

    def aggregate_of(self, type_, scope, groups):
        """An expression over aggregates and group keys: they stand where columns stood."""
        calls = []
        for _ in range(2):
            call = self.expressions.aggregate(scope, simple=True)
            calls.append(Column(str(call), call.type, False))
        outer = Expressions(self.rng)
        return outer.any(type_, groups + calls, 2)

    def over(self, scope, width):
        """Window functions; ties in the order are broken by every column of the scope that can be."""
        rng, e = self.rng, self.expressions
        partition = [column for column in scope if column.type in HASHED]
        items, kinds = [], []
        numbered = False  # rows that are equal are numbered in any order, by each window in its own
        for i in range(width):
            if i and rng.random() < 0.4:
                type_ = e.present(scope, values.ORDERED)
                items.append(e.any(type_, scope, 1))
                kinds.append(type_)
                continue
            keys = List(", ", [Node(None, column.sql + rng.choice(["", " DESC", " NULLS FIRST"])) for column in rng.sample(scope, min(2, len(scope)))])
            by = f"PARTITION BY {rng.choice(partition).sql} " if partition and rng.random() < 0.7 else ""
            roll = rng.random()
            if roll < 0.4:
                call, type_ = rng.choice([("rank()", "i8"), ("dense_rank()", "i8"), ("percent_rank()", "f8"), ("cume_dist()", "f8")])
                frame = ""
            elif roll < 0.8:
                node = e.aggregate(scope, simple=True)
                call, type_ = str(node).split(" FILTER")[0], node.type
                if "DISTINCT" in call or "WITHIN" in call:
                    call, type_ = "count(*)", "i8"
                frame = rng.choice(["", "", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING"])
            else:
                # every row its own peer, so that the one that comes before is the same everywhere
                keys = List(", ", [Node(None, column.sql) for column in scope if column.type not in ("json", "bytea")] or [Node(None, "1")])
                call, type_ = rng.choice([("row_number()", "i8"), ("ntile(3)", "i4"), (f"count(*)", "i8")])
                if numbered or any(column.type in LOOSE or column.type == "bytea" for column in scope):
                    call, type_ = "rank()", "i8"
                numbered = True
                frame = rng.choice(["", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"]) if call == "count(*)" else ""
            items.append(Node(type_, f"{call} OVER ({by}ORDER BY ", keys, frame, ")"))
            kinds.append(type_)
        return ("SELECT ", "", self.items(items, kinds), None, ""), kinds


def cast(node, type_):
    """Untyped literals and widths: a column of a query has one type on both sides of a set operation."""
    return Node(type_, node, f"::{values.TYPES[type_]}") if str(node).startswith("NULL") else node


def is_aggregate(node):
    text = str(node)
    return any(name + "(" in text for name in ("count", "sum", "avg", "min", "max", "bool_and", "bool_or", "every", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "bit_and", "bit_or",
                                               "bit_xor", "string_agg", "array_agg", "jsonb_agg", "jsonb_object_agg", "corr", "covar_pop", "regr_slope", "percentile_cont", "percentile_disc", "mode"))


# ---- cases

class Cases:
    def __init__(self, seed, number, prefix):
        self.rng = random.Random(f"{seed}:{number}")
        self.label = f"{seed}:{number}"
        self.prefix = prefix
        self.relations = []
        self.keys = {}

    def make(self):
        rng = self.rng
        statements = []
        for i in range(rng.choice([1, 2, 2, 3])):
            statements.append(self.relation(i))
        base = list(self.relations)
        views = [self.view(i) for i in range(rng.choice([1, 2, 2, 3]))]
        late = [] if rng.random() < 0.8 else [views.pop()]
        timed = [relation for relation in base if relation.event_time]
        if timed and rng.random() < 0.5:
            views.append(self.closing(len(views) + len(late), rng.choice(timed)))
        if rng.random() < 0.2:
            forgetting = self.forgetting(len(views) + len(late))
            views += [forgetting] if forgetting else []
        statements += views
        for epoch in range(rng.randint(3, 5)):
            for _ in range(rng.choice([1, 1, 2])):
                statements.append(self.change(rng.choice(base), epoch))
            if late and epoch == 1:
                statements += late
        statements.append(self.query())
        # Queries follow the session's time zone; views are computed in UTC, so that these read base relations only.
        if rng.random() < 0.3:
            self.relations = base
            statements.append(Statement("setting", Node(None, f"SET timezone = '{rng.choice(values.ZONES)}'")))
        statements.append(self.query())
        return Case(self.label, statements)

    def relation(self, i):
        rng = self.rng
        stream = rng.random() < 0.4
        types = [rng.choice(list(values.TYPES)) for _ in range(rng.randint(2, 5))]
        if rng.random() < 0.8:
            types[0] = rng.choice(["i4", "text", "i8"])  # something to meet by
        columns = [(f"c{n}", type_) for n, type_ in enumerate(types)]
        event_time, options = None, ""
        if stream:
            name = f"{self.prefix}s{i}"
            parts = [Node(None, f"{column} {values.TYPES[type_]}") for column, type_ in columns]
            if rng.random() < 0.5:
                event_time = ("at", rng.choice(["ts", "tz"]))
                columns.append(event_time)
                parts += [Node(None, f"at {values.TYPES[event_time[1]]}"), Node(None, "WATERMARK FOR at AS at - INTERVAL '1 hour'")]
            if rng.random() < 0.3:
                options = " WITH (partitions = 2)"
            text = Node(None, f"CREATE STREAM {name} (", List(", ", parts), ")", Node(None, options, optional=True))
            key = ()
        else:
            name = f"{self.prefix}t{i}"
            keys = rng.choice([[("id", "i4")], [("id", "i8")], [("id", "text")], [("id", "i4"), ("sub", "text")]])
            parts = [Node(None, f"{column} {values.TYPES[type_]}") for column, type_ in keys + columns]
            parts.append(Node(None, f"PRIMARY KEY ({', '.join(column for column, _ in keys)})"))
            text = Node(None, f"CREATE TABLE {name} (", List(", ", parts), ")")
            columns, key = keys + columns, [column for column, _ in keys]
        self.relations.append(Relation(name, "stream" if stream else "table", [(column, type_, True) for column, type_ in columns], key, event_time))
        return Statement("relation", text, name)

    def view(self, i):
        name = f"{self.prefix}v{i}"
        query, types = Queries(self.rng, self.relations).query(2)
        self.relations.append(Relation(name, "view", [(f"c{n}", type_, type_ not in LOOSE) for n, type_ in enumerate(types)]))
        # What nothing comes to for so long leaves: here nothing does, so that the rows are the same.
        ttl = Node(None, " WITH (ttl = '10000 days')", optional=True) if self.reads_stream(query) and self.rng.random() < 0.25 else ""
        return Statement("view", Node(None, f"CREATE MATERIALIZED VIEW {name}", ttl, " AS ", query), name)

    def reads_stream(self, query):
        return any(relation.kind == "stream" and re.search(rf"\b{relation.name}\b", str(query)) for relation in self.relations)

    def forgetting(self, i):
        """A view that forgets within the case: PostgreSQL has none, so that its replay alone is compared."""
        name = f"{self.prefix}v{i}"
        for _ in range(4):
            query, _ = Queries(self.rng, [relation for relation in self.relations if relation.kind != "view"]).query(2)
            if self.reads_stream(query):
                return Statement("view", Node(None, f"CREATE MATERIALIZED VIEW {name} WITH (ttl = '1 second') AS ", query), name)
        return None

    def recursive(self):
        """WITH RECURSIVE: a relation's columns to begin with, expressions over them in at most three rounds, some with a join."""
        rng = self.rng
        queries = Queries(rng, self.relations)
        relation = rng.choice(self.relations)
        scope = [column for column in relation.scope("r1") if column.type not in ("json",) and column.certain]
        if not scope:
            return None
        base = [rng.choice(scope) for _ in range(rng.randint(1, 3))]
        kinds = [column.type for column in base]
        names = ", ".join(f"c{n}" for n in range(len(base)))
        working = [Column(f"w.c{n}", type_) for n, type_ in enumerate(kinds)]
        union, joined, inner = rng.choice(["UNION", "UNION", "UNION ALL"]), "", working
        if rng.random() < 0.5:
            other = rng.choice(self.relations)
            pairs = [(a, b) for a in working for b in other.scope("r2") if a.type == b.type and a.type in HASHED]
            if pairs:
                a, b = rng.choice(pairs)
                union, joined, inner = "UNION", f" {rng.choice(['JOIN', 'LEFT JOIN'])} {other.name} r2 ON {b.sql} = {a.sql}", working + other.scope("r2")
        loose = Expressions(rng)
        step = [loose.any(type_, inner, rng.choice([0, 0, 1])) for type_ in kinds]
        where = Node(None, " AND ", loose.any("bool", inner, 1), optional=True) if rng.random() < 0.4 else ""
        first = Node(None, " WHERE ", queries.expressions.any("bool", scope, 1), optional=True) if rng.random() < 0.5 else ""
        items = ", ".join(f"{column.sql}::{values.TYPES[column.type]}" for column in base)
        steps = List(", ", [Node(None, node, f"::{values.TYPES[type_]}") for node, type_ in zip(step, kinds)], least=len(kinds))
        depth = 2 if joined else 3
        body = Node("query", f"WITH RECURSIVE w(n, {names}) AS (SELECT 0, {items} FROM {relation.name} r1", first, f" {union} SELECT w.n + 1, ", steps, f" FROM w{joined} WHERE w.n < {depth}", where, f") SELECT n, {names} FROM w")
        if LOOSE & set(kinds):  # which look an equal value has is open
            return Statement("query", Node(None, body))
        order = ", ".join(str(n + 1) for n in range(len(kinds) + 1))
        return Statement("query", Node(None, body, Node(None, f" ORDER BY {order}{rng.choice(['', ' LIMIT 5'])}", optional=True)))

    def closing(self, i, relation):
        """A view that gives windows when they close: PostgreSQL has none, so that its replay alone is compared."""
        rng = self.rng
        queries = Queries(rng, [relation])
        at = relation.event_time[0]
        window, scope = None, relation.scope("r1")
        form, size = rng.random(), rng.choice(["15 minutes", "1 hour", "1 day", "7 days"])
        if form < 0.4:
            window = f"TUMBLE({relation.name}, {at}, INTERVAL '{size}')"
        elif form < 0.6:
            window = f"HOP({relation.name}, {at}, INTERVAL '1 hour', INTERVAL '3 hours')"
        elif form < 0.7:
            window = f"CUMULATE({relation.name}, {at}, INTERVAL '6 hours', INTERVAL '1 day')"
        else:
            window = f"SESSION({relation.name}, {at}, INTERVAL '{size}')"
        keys = [column.sql for column in scope if column.type in HASHED and column.type not in LOOSE]
        keys = rng.sample(keys, min(len(keys), rng.choice([0, 0, 1]))) if "SESSION" not in window else []
        calls = [queries.expressions.aggregate(scope, simple=True) for _ in range(rng.randint(1, 3))]
        items = List(", ", [Node(None, text) for text in ["window_start", "window_end", *keys]] + [Node(None, call, f" AS a{n}") for n, call in enumerate(calls)], least=2 + len(keys))
        where = Node(None, " WHERE ", queries.expressions.any("bool", scope, 1), optional=True) if rng.random() < 0.3 else ""
        name = f"{self.prefix}v{i}"
        if rng.random() < 0.3:  # the rows themselves
            column = rng.choice(scope).sql
            within = ", ".join(["window_end", *keys])
            plain = List(", ", [Node(None, text) for text in ["window_end", f"{column} AS c", f"row_number() OVER (PARTITION BY {within} ORDER BY {column}) AS nth"]], least=2)
            return Statement("view", Node(None, f"CREATE MATERIALIZED VIEW {name} AS SELECT ", plain, f" FROM {window} r1", where, " EMIT ON WINDOW CLOSE"), name)
        group = ", ".join(["window_start", "window_end", *keys])
        return Statement("view", Node(None, f"CREATE MATERIALIZED VIEW {name} AS SELECT ", items, f" FROM {window} r1", where, f" GROUP BY {group} EMIT ON WINDOW CLOSE"), name)

    def query(self):
        rng = self.rng
        if rng.random() < 0.12:
            statement = self.recursive()
            if statement is not None:
                return statement
        query, types = Queries(rng, self.relations).query(2)
        query = Node(query.type, "SELECT * FROM (", query, ") q") if " ORDER BY " in str(query) else query
        order = ", ".join(f"{n + 1}{rng.choice(['', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}" for n in range(len(types)))
        limit = rng.choice(["", f" LIMIT {rng.randint(0, 5)}", f" LIMIT 3 OFFSET {rng.randint(0, 3)}", f" OFFSET {rng.randint(0, 3)}"])
        # which of two equal values a limit cuts off shows when they look different
        limit = "" if LOOSE & set(types) else limit
        return Statement("query", Node(None, query, Node(None, f" ORDER BY {order}{limit}", optional=True)))

    def row(self, relation):
        rng = self.rng
        cells = []
        for column, type_, _ in relation.columns:
            if column in relation.key:
                cells.append(str(rng.randint(0, 9)) if type_ in ("i4", "i8") else values.quoted(rng.choice(["", "a", "b", "é", "k"])))
            else:
                cells.append(values.literal(rng, type_))
        return Node("row", "(", List(", ", [Node("cell", cell) for cell in cells], least=len(cells)), ")")

    def change(self, relation, epoch):
        rng = self.rng
        own = Queries(rng, [])
        scope = [column(name, type_) for name, type_, _ in relation.columns]
        roll = rng.random()
        if relation.kind == "stream" or roll < 0.5 or epoch == 0:
            rows, seen = [], set()
            for _ in range(rng.choice([1, 2, 3, 5, 8])):
                row = self.row(relation)
                key = str([str(cell) for cell in row.parts[1].parts[:len(relation.key)]])
                if relation.key and key in seen:
                    continue
                seen.add(key)
                rows.append(row)
            conflict = ""
            if relation.key:
                rest = [name for name, _, _ in relation.columns if name not in relation.key]
                update = List(", ", [Node(None, f"{name} = excluded.{name}") for name in rest], least=len(rest))
                conflict = (Node(None, f" ON CONFLICT ({', '.join(relation.key)}) DO UPDATE SET ", update) if rng.random() < 0.8 else
                            Node(None, " ON CONFLICT DO NOTHING" if rng.random() < 0.8 else ""))
            return Statement("insert", Node(None, f"INSERT INTO {relation.name} VALUES ", List(", ", rows), conflict), relation.name)
        where = Node(None, " WHERE ", own.expressions.any("bool", scope, 2), optional=True) if rng.random() < 0.9 else ""
        if roll < 0.8:
            name, type_, _ = rng.choice([column for column in relation.columns if column[0] not in relation.key])
            value = own.expressions.any(values.EXPRESSION_TYPE.get(type_, type_), scope, rng.choice([0, 1, 2]))
            if type_ == "vc":
                value = Node(None, "left(", value, ", 8)")
            if type_ == "json":  # a JSON null is an SQL NULL once it has been through the log
                value = Node(None, "nullif(", value, ", 'null'::jsonb)")
            return Statement("change", Node(None, f"UPDATE {relation.name} SET {name} = ", value, where))
        return Statement("change", Node(None, f"DELETE FROM {relation.name}", where))

