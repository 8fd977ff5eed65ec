"""Random expressions by type. A template's {type} is any expression of that type; {=type} one whose look is certain, not only its value:
a column of a base relation, a constant, or for intervals an expression over such (which of two equal numerics, floats or intervals a group shows is nobody's promise)."""
import re

from fuzz import values
from fuzz.tree import Node

NUMBERS = ["i2", "i4", "i8", "f4", "f8", "num"]
LOOSE = {"f4", "f8", "num", "iv", "json"}  # equal values may look different

TEMPLATES = {
    "bool": ["(({ts}, {ts}) OVERLAPS ({ts}, {ts}))", "(({tm}, {tm}) OVERLAPS ({tm}, {tm}))", "({bool} AND {bool})", "({bool} OR {bool})", "(NOT {bool})", "({bool} IS TRUE)", "({bool} IS NOT FALSE)", "({bool} IS UNKNOWN)", "({text} LIKE 'a%')", "({text} LIKE {text})",
             "({text} ILIKE '_B%')", "({text} NOT LIKE '%b')", "starts_with({text}, {text})", "({text} ~ '^[a-c]+$')", "({text} ~* 'B')", "({json} @> {json})", "({json} ? 'a')", "({json} <@ {json})", "({json} @? '$.a')", "({json} @? '$.**[*] ? (@ >= 1)')", "({json} @@ '$.a == 1')", "jsonb_path_exists({json}, 'strict $[1 to last]', '{}', true)",
             "({i4s} @> {i4s})", "({i4s} && {i4s})", "({i4} = ANY ({i4s}))", "({i4} <> ALL ({i4s}))", "({text} = ANY ({texts}))", "({i4} BETWEEN {i4} AND {i4})", "({i4} NOT BETWEEN SYMMETRIC {i4} AND {i4})",
             "({i4} IN ({i4}, {i4}, 3))", "({text} IN ('a', 'b', {text}))", "({text} NOT IN ('a', {text}))", "isfinite({ts})", "isfinite({date})", "({i4}::boolean)",
             "(({i4}, {text}) = ({i4}, {text}))", "(({i4}, {text}) <> ({i4}, {text}))", "(({text}, {i4}) < ({text}, {i4}))", "(({i8}, {date}) >= ({i8}, {date}))", "(({i4}, {text}) IN (({i4}, {text}), (1, 'a')))",
             "(({i4}, {text}) IS NULL)", "(({i4}, {num}) IS NOT NULL)", "(({i4}, {text}) IS DISTINCT FROM ({i4}, {text}))", "(({i4}, {i4}, {text}) BETWEEN ({i4}, 0, 'a') AND ({i4}, 3, {text}))",
             "COALESCE({bool}, {bool})", "CASE WHEN {bool} THEN {bool} ELSE {bool} END", "({date} < {ts})", "({i4} < {i8})", "({i8} >= {num})", "({f8} > {num})", "({i2} = {i4})", "({f4} = {f8})"],
    "i2": ["{i2}", "({i2} & {i2})", "(- {i2})", "({bool}::integer::smallint)", "abs({i2})"],
    "i4": ["regexp_instr({text}, '[ab]')", "width_bucket({i4}, ARRAY[0, 2, 5])", "bit_count({bytea})::int4", "extract(minute FROM {tm})::int4", "({i4} + {i4})", "({i4} - {i4})", "({i4} * {i4})", "({i4} / nullif({i4}, 0))", "({i4} % nullif({i4}, 0))", "(- {i4})", "abs({i4})", "length({text})", "octet_length({text})", "octet_length({bytea})",
           "position({text} in {text})", "ascii({text})", "cardinality({i4s})", "array_length({texts}, 1)", "({i4s})[1]", "({i4s})[{i4}]", "({date} - {date})", "({i2} + {i4})", "({i2}::integer)", "({bool}::integer)",
           "sign({i4})::integer", "gcd({i4}, {i4})", "({i4} & {i4})", "({i4} | {i4})", "({i4} # {i4})", "(~ {i4})", "({i4} << 2)", "({i4} >> 1)", "(extract(year FROM {date})::integer)",
           "(extract(dow FROM {ts})::integer)", "(extract(isoyear FROM {date})::integer)", "(extract(hour FROM {tz})::integer)", "array_position({i4s}, {i4})", "bit_length({text})", "width_bucket({f8}, 0, 10, 5)",
           "mod({i4}, nullif({i4}, 0))", "(({json} -> 'a')::text::integer)", "char_length({text})", "strpos({text}, {text})", "div({i4}, nullif({i4}, 0))::integer", "num_nulls({i4}, {text}, {bool})"],
    "i8": ["({i8} + {i8})", "({i8} - {i4})", "({i4}::bigint * {i4})", "({i8} / nullif({i8}, 0))", "({i8} % nullif({i8}, 0))", "abs({i8})", "({i4} + {i8})", "({i4}::bigint)", "({i8} & {i8})", "(- {i8})", "lcm({i8}, 12)",
           "(extract(epoch FROM {ts})::bigint)", "factorial(abs({i4} % 5))::bigint"],
    "f4": ["({f4} + {f4})", "({f4} * {f4})", "(- {f4})", "abs({f4})", "({i4}::real)", "({f4} / nullif({f4}, 0))"],
    "f8": ["({f8} + {f8})", "({f8} - {f8})", "({f8} * {f8})", "({f8} / nullif({f8}, 0))", "abs({f8})", "floor({f8})", "ceil({f8})", "round({f8})", "trunc({f8})", "sqrt(abs({f8}))", "({i4}::double precision)", "({f4}::double precision)",
           "({num}::double precision)", "({f4} * {f8})", "(- {f8})", "sign({f8})", "degrees({f8})", "({i8} * {f8})", "cbrt({f8})", "date_part('day', {ts})", "(@ {f8})"],
    "num": ["({num} + {num})", "({num} - {num})", "({num} * {num})", "({num} / nullif({num}, 0))", "({num} % nullif({num}, 0))", "round({num}, 1)", "round({num})", "trunc({num}, 2)", "abs({num})", "ceil({num})", "floor({num})",
            "(- {num})", "({i4}::numeric)", "({i8}::numeric / 7)", "({i8} * {num})", "(extract(epoch FROM {tz}))", "(extract(second FROM {ts}))", "(extract(epoch FROM {=iv}))", "(extract(quarter FROM {date}))", "({num}::numeric(12,3))",
            "sign({num})", "sqrt(abs({num}))", "mod({i4}::numeric, 3)", "div({num}, nullif({num}, 0))", "({=f8}::numeric)", "trim_scale({num})", "(1.50 * {i4})", "power({i4}::numeric, 2)", "width_bucket({num}, 0, 100, 7)::numeric"],
    "text": ["encode(sha256(convert_to({text}, 'UTF8')), 'hex')", "regexp_replace({text}, '.', '-', 1, 2)", "regexp_substr({text}, '[a-z]', 1, 1)", "({tm}::text)", "({text} || {text})", "upper({text})", "lower({text})", "substr({text}, 2)", "substring({text} FROM 1 FOR 2)", "left({text}, {i4})", "right({text}, 2)", "replace({text}, 'a', {text})", "trim({text})", "ltrim({text}, 'a')",
             "rtrim({text})", "btrim({text}, 'ab')", "repeat({text}, 2)", "reverse({text})", "concat({text}, {i4}, {bool})", "concat_ws('-', {text}, {text})", "initcap({text})", "md5({text})", "lpad({text}, 5, 'xy')", "rpad({text}, 4)",
             "split_part({text}, 'b', 1)", "translate({text}, 'ab', 'x')", "({i4}::text)", "({i8}::text)", "({=num}::text)", "({=f8}::text)", "({date}::text)", "({bool}::text)", "({ts}::text)", "({tz}::text)", "({=iv}::text)", "({=json} ->> 'a')",
             "({=json}::text)", "to_char({ts}, 'YYYY-MM-DD HH24:MI:SS')", "to_char({i4}, 'S099')", "format('%s/%s', {text}, {i4})", "quote_literal({text})", "quote_nullable({text})", "regexp_replace({text}, '[ab]', '<\\&>')", "to_hex({i4})",
             "encode({bytea}, 'hex')", "array_to_string({texts}, ',', '*')", "array_to_string({i4s}, '|')", "({texts})[1]", "({texts}::text)", "({uuid}::text)", "({bytea}::text)", "overlay({text} placing 'ZZ' from 2 for 1)", "to_char({date}, 'Day, DD Month')",
             "jsonb_typeof({json})", "(CASE WHEN {bool} THEN {text} END)", "chr(97 + abs({i4} % 20))", "substring({text} from '[a-c]+')", "({text} || {i4})", "({json} #>> ARRAY['b', '0'])", "pg_typeof({i4})::text"],
    "bytea": ["({bytea} || {bytea})", "decode(md5({text}), 'hex')", "substr({bytea}, 1, 1)", "convert_to({text}, 'UTF8')"],
    "uuid": ["(md5({text})::uuid)", "COALESCE({uuid}, {uuid})"],
    "date": ["to_date('2024-0' || (1 + abs({i4} % 9)), 'YYYY-MM')", "({date} + {i4} % 1000)", "({date} - {i4} % 1000)", "({ts}::date)", "({tz}::date)", "make_date(2024, 1 + abs({i4} % 12), 28)", "date_trunc('month', {ts})::date", "GREATEST({date}, {date})"],
    "ts": ["({date} + {tm})", "({ts} + {=iv})", "({ts} - {=iv})", "date_trunc('hour', {ts})", "date_trunc('week', {ts})", "date_trunc('quarter', {ts})", "({date}::timestamp)", "({tz} AT TIME ZONE 'Europe/Berlin')", "({tz} AT TIME ZONE 'UTC')", "({tz}::timestamp)", "({date} + {=iv})",
           "date_bin('15 minutes', {ts}, '2024-01-01')", "make_timestamp(2024, 2, 29, abs({i4} % 24), 30, 1.5)", "LEAST({ts}, {ts})"],
    "tz": ["({tz} + {=iv})", "({tz} - {=iv})", "date_trunc('day', {tz})", "date_trunc('hour', {tz})", "date_trunc('month', {tz}, 'America/New_York')", "({ts} AT TIME ZONE 'Europe/Berlin')", "({ts}::timestamptz)", "to_timestamp({i8})", "({ts} AT TIME ZONE 'Australia/Lord_Howe')",
           "({date}::timestamptz)", "date_bin('1 hour', {tz}, '2024-01-01 00:00:00+00')"],
    "tm": ["({tm} + {iv})", "({tm} - {iv})", "({ts})::time", "make_time(1, 2, 3)"],
    "iv": ["({tm} - {tm})", "({iv} + {iv})", "({iv} - {iv})", "({ts} - {ts})", "({tz} - {tz})", "({iv} * {i4})", "(- {iv})", "justify_hours({iv})", "justify_days({iv})", "justify_interval({iv})", "make_interval(days => {i4})", "({iv} / 2)", "date_trunc('hour', {=iv})",
           "({iv} * 1.5)"],
    "json": ["to_jsonb({text})", "to_jsonb({i4})", "to_jsonb({=num})", "jsonb_build_object('a', {=json}, 'k', {i4})", "jsonb_build_array({text}, {bool}, {i4})", "({json} -> 'a')", "({json} -> 0)", "({json} -> 'b' -> 1)", "to_jsonb({bool})", "({json} || {json})",
             "to_jsonb({i4s})", "jsonb_strip_nulls({json})", "({json} #> ARRAY['a'])", "to_jsonb({ts})", "to_jsonb({date})", "to_jsonb({=f8})",
             "jsonb_path_query_array({json}, '$.**')", "jsonb_path_query_array({json}, '$.*')", "jsonb_path_query_first({json}, '$.b[last]')", "jsonb_path_query_array({json}, '$[*] ? (@.type() == \"string\")')",
             "jsonb_path_query_first({json}, '$.a + 1', '{}', true)", "jsonb_path_query_array({json}, '$.b[*] ? (@ < $x)', jsonb_build_object('x', {i4}))"],
    "i4s": ["ARRAY[{i4}, {i4}]", "array_append({i4s}, {i4})", "array_prepend({i4}, {i4s})", "({i4s} || {i4s})", "array_remove({i4s}, {i4})", "array_replace({i4s}, 1, {i4})", "array_fill({i4}, ARRAY[2])"],
    "texts": ["ARRAY[{text}, {text}]", "string_to_array({text}, 'b')", "array_append({texts}, {text})", "({texts} || {texts})", "regexp_split_to_array({text}, 'a')"],
}
SHARED = ["COALESCE({T}, {T})", "CASE WHEN {bool} THEN {T} ELSE {T} END", "NULLIF({T}, {T})", "GREATEST({T}, {T})", "LEAST({T}, {T}, {T})", "CASE {i4} WHEN 1 THEN {T} WHEN {i4} THEN {T} END"]
COMPARISONS = ["({T} = {T})", "({T} <> {T})", "({T} < {T})", "({T} >= {T})", "({T} IS NULL)", "({T} IS NOT NULL)", "({T} IS DISTINCT FROM {T})", "({T} IS NOT DISTINCT FROM {T})", "({T} IN ({T}, {T}))"]
SLOT = re.compile(r"\{(=?)(\w+)\}")

# result type -> aggregate calls; {T} is drawn from the list beside it
AGGREGATES = {  # variances of floats over what is exact: of equal ones that are not, PostgreSQL finds some that are not zero
    "i8": [("count(*)", None), ("count({T})", values.ORDERED), ("count(DISTINCT {T})", values.ORDERED), ("sum({i4})", None), ("sum({i2})", None), ("sum(DISTINCT {i4})", None), ("bit_and({i8})", None), ("bit_xor({i8})", None)],
    "num": [("sum({num})", None), ("avg({num})", None), ("avg({i4})", None), ("sum({i8})", None), ("sum(DISTINCT {num})", None), ("avg({i8})", None), ("variance({i4})", None), ("stddev_pop({num})", None), ("var_pop({i4})", None), ("stddev({i8})", None)],
    "f8": [("sum({f8})", None), ("avg({f8})", None), ("avg({f4})", None), ("stddev_samp({=f8})", None), ("var_pop({=f8})", None), ("corr({=f8}, {=f8})", None), ("covar_pop({=f8}, {=f8})", None), ("regr_slope({=f8}, {=f8})", None),
           ("percentile_cont(0.5) WITHIN GROUP (ORDER BY {f8})", None)],
    "f4": [("max({f4})", None)],  # a sum of many is rounded at each step there
    "bool": [("bool_and({bool})", None), ("bool_or({bool})", None), ("every({bool})", None)],
    "iv": [("sum({iv})", None), ("avg({iv})", None)],
    "i4": [("bit_or({i4})", None), ("bit_and({i4})", None), ("mode() WITHIN GROUP (ORDER BY {i4})", None), ("percentile_disc(0.5) WITHIN GROUP (ORDER BY {i4})", None)],
    "text": [("string_agg({text}, ',' ORDER BY {text})", None), ("string_agg(DISTINCT {text}, ';' ORDER BY {text})", None)],
    "i4s": [("array_agg({i4} ORDER BY {i4})", None), ("array_agg(DISTINCT {i4} ORDER BY {i4})", None)],
    "json": [("jsonb_agg({i4} ORDER BY {i4})", None), ("jsonb_object_agg({text}, {i4} ORDER BY {i4})", None)],
}
EXTREMA = ["i2", "i4", "i8", "f4", "f8", "num", "text", "date", "ts", "tz", "iv", "tm"]
SIMPLE_AGGREGATES = ("i8", "num", "f8", "bool", "i4", "iv", "f4")


class Column:
    def __init__(self, sql, type_, certain=True):
        self.sql, self.type, self.certain = sql, type_, certain


class Expressions:
    def __init__(self, rng):
        self.rng = rng
        self.subquery = None  # set by the queries: (type, scope) -> Node or None

    def any(self, type_, scope, depth):
        """An expression of the type over the columns in scope."""
        rng = self.rng
        columns = [column for column in scope if column.type == type_]
        if depth <= 0 or rng.random() < 0.3:
            if columns and rng.random() < 0.85:
                return Node(type_, rng.choice(columns).sql)
            return Node(type_, values.constant(rng, type_))
        if self.subquery and rng.random() < (0.1 if type_ in ("i4s", "texts") else 0.03):
            node = self.subquery(type_, scope)
            if node is not None:
                return node
        roll = rng.random()
        if type_ == "bool" and roll < 0.5:
            return self.fill(rng.choice(COMPARISONS).replace("{T}", "{" + self.present(scope, values.ORDERED) + "}"), type_, scope, depth)
        if roll < (0.1 if type_ == "bool" else 0.25):
            return self.fill(rng.choice(SHARED).replace("{T}", "{" + type_ + "}"), type_, scope, depth)
        return self.fill(rng.choice(TEMPLATES[type_]), type_, scope, depth)

    def present(self, scope, types):
        """One of the types, most often one that a column has."""
        here = [column.type for column in scope if column.type in types]
        return self.rng.choice(here) if here and self.rng.random() < 0.8 else self.rng.choice(types)

    def fill(self, template, type_, scope, depth):
        parts, at = [], 0
        for slot in SLOT.finditer(template):
            parts.append(template[at:slot.start()])
            at = slot.end()
            if slot[1]:
                if slot[2] == "iv" and all(column.certain or column.type not in LOOSE for column in scope):
                    self.subquery, subquery = None, self.subquery
                    parts.append(self.any("iv", scope, depth - 1))
                    self.subquery = subquery
                    continue
                certain = [column for column in scope if column.type == slot[2] and column.certain]
                parts.append(Node(slot[2], self.rng.choice(certain).sql if certain and self.rng.random() < 0.8 else values.constant(self.rng, slot[2])))
            else:
                parts.append(self.any(slot[2], scope, depth - 1))
        parts.append(template[at:])
        return Node(type_, *parts)

    def aggregate(self, scope, simple=False):
        """An aggregate call over the columns in scope."""
        rng = self.rng
        if rng.random() < 0.3:
            type_ = self.present(scope, EXTREMA)
            template = rng.choice(["min({T})", "max({T})"]).replace("{T}", "{" + type_ + "}")
        else:
            type_ = rng.choice(SIMPLE_AGGREGATES if simple or rng.random() < 0.8 else list(AGGREGATES))
            template, choices = rng.choice(AGGREGATES[type_])
            if choices:
                template = template.replace("{T}", "{" + self.present(scope, choices) + "}")
            if "ORDER BY" in template and "WITHIN" not in template:
                # what is ordered by is what is aggregated: then equal ones are the same, and their order does not show
                # (without sub-queries: two of the same text are not known to be equal)
                self.subquery, subquery = None, self.subquery
                argument = str(self.any(SLOT.search(template)[2], scope, 1))
                self.subquery = subquery
                template = SLOT.sub(lambda _: argument.replace("\\", "\\\\"), template) if "object" not in template else "jsonb_object_agg(COALESCE(" + argument + ", ''), 1)"
                call = Node(type_, template)
                return self.filtered(call, type_, scope)
        return self.filtered(self.fill(template, type_, scope, 2 if rng.random() < 0.3 else 1), type_, scope)

    def filtered(self, call, type_, scope):
        if self.rng.random() < 0.15:
            return Node(type_, call, Node(None, " FILTER (WHERE ", self.any("bool", scope, 1), ")", optional=True))
        return call
