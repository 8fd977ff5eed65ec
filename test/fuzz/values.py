"""Types and their values: few and alike, so that joins and groups meet, with the odd one among them."""

# short name -> SQL
TYPES = {
    "bool": "boolean", "i2": "smallint", "i4": "integer", "i8": "bigint", "f4": "real", "f8": "double precision", "num": "numeric", "dec": "numeric(10,2)",
    "text": "text", "vc": "varchar(8)", "bytea": "bytea", "uuid": "uuid", "date": "date", "ts": "timestamp", "tz": "timestamptz", "iv": "interval", "tm": "time",
    "json": "jsonb", "i4s": "integer[]", "texts": "text[]",
}
# What a column of this type is in an expression.
EXPRESSION_TYPE = {"dec": "num", "vc": "text"}
ORDERED = ["bool", "i2", "i4", "i8", "f4", "f8", "num", "text", "bytea", "uuid", "date", "ts", "tz", "iv", "tm", "json", "i4s", "texts"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "+05:45"]

# A JSON null is an SQL NULL once it has been through the log, so that no column has one at its top.
# Floats are multiples of a quarter: sums are exact in any order, so that a sum may be compared, grouped and shown as text.
COMMON = {
    "bool": ["true", "false"],
    "i2": ["-1", "0", "1", "2", "3", "7"],
    "i4": ["-2", "-1", "0", "1", "2", "3", "4", "5", "10", "100"],
    "i8": ["-3", "0", "1", "2", "3", "1000000", "5000000000"],
    "f4": ["-1.5", "0", "0.25", "1", "2.5", "3"],
    "f8": ["-2.25", "0", "0.5", "1", "1.75", "2", "1024"],
    "num": ["-1.5", "0", "1", "2", "0.1", "3.14159", "100", "12345678901234567890.123456789"],
    "dec": ["-1.50", "0.00", "1.00", "2.25", "9.99", "100.10"],
    "text": ["", "a", "b", "ab", "A", "abc", "B c", "10", "é"],
    "vc": ["", "a", "b", "xyz", "ñandú"],
    "bytea": ["\\x", "\\x00", "\\x61", "\\xff00"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "date": ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-31", "2024-12-31", "2025-01-01"],
    "ts": ["2024-03-31 00:59:59", "2024-03-31 01:30:00", "2024-03-31 02:30:00", "2024-10-27 01:30:00", "2024-10-27 02:30:00", "2024-02-29 23:59:59.999999", "2024-03-31 01:00:00"],
    "tz": ["2024-03-31 00:59:59+00", "2024-03-31 01:00:00+00", "2024-10-27 00:30:00+00", "2024-10-27 01:30:00+00", "2024-11-03 05:30:00+00", "2024-11-03 06:30:00+00", "2024-02-29 12:00:00+00"],
    "iv": ["00:00:00", "1 day", "-1 day", "1 mon", "02:30:00", "1 year 2 mons 3 days 04:05:06.7", "12:00:00"],
    "tm": ["00:00:00", "01:30:00", "02:30:00", "12:00:00", "23:59:59.999999"],
    "json": ["{}", "[]", '{"a": 1}', '{"a": 2, "b": [1, 2]}', '"a"', "1", "true", '[1, "a", null]', '{"b": null}'],
    "i4s": ["{}", "{1}", "{1,2}", "{2,1,NULL}", "{3,3}"],
    "texts": ["{}", "{a}", "{a,b}", '{"",NULL,"x y"}'],
}
ODD = {
    "i2": ["-32768", "32767"],
    "i4": ["-2147483648", "2147483647"],
    "i8": ["-9223372036854775808", "9223372036854775807"],
    "f4": ["NaN", "Infinity", "-Infinity", "-0"],
    "f8": ["NaN", "Infinity", "-Infinity", "-0"],
    "num": ["NaN", "Infinity", "-Infinity", "1" + "0" * 60, "-0." + "0" * 30 + "1", "9" * 100],
    "dec": ["NaN", "99999999.99", "-0.01"],
    "text": ["日本語", "🙂", "a\tb", "a'b\\c", "%_", "ß", " x ", "İ", "line\nbreak", "NULL", "é", "x" * 200],
    "vc": ["🙂🙂", "       ", "日本"],
    "bytea": ["\\xdeadbeef" * 1, "\\x" + "00ff" * 20],
    "date": ["infinity", "-infinity", "0001-01-01", "0044-03-15 BC", "9999-12-31"],
    "ts": ["infinity", "-infinity", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00", "2024-03-31 02:00:00"],
    "tz": ["infinity", "-infinity", "1900-01-01 00:00:00+00", "2038-01-19 03:14:08+00", "2024-10-27 01:00:00+00"],
    "iv": ["30 days", "24:00:00", "-1 mons +29 days", "00:00:00.000001", "-00:00:01"],
    "tm": ["24:00:00", "00:00:00.000001"],
    "json": ['"é\\n🙂"', '{"a": {"a": [[], {}]}}', "1.5e10", "-0.001", '""'],
    "i4s": ["{NULL}", "{{1,2},{3,4}}"],
    "texts": ["{NULL}", '{"NULL","{}","\\""}'],
}


def plain(rng, type_, odd=0.06):
    """A value's text."""
    return rng.choice(ODD[type_] if type_ in ODD and rng.random() < odd else COMMON[type_])


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def literal(rng, type_, nulls=0.15):
    """A value as INSERT takes it."""
    if rng.random() < nulls:
        return "NULL"
    text = plain(rng, type_)
    if type_ in ("i2", "i4", "i8", "bool"):
        return text
    return quoted(text)


def constant(rng, type_, nulls=0.05):
    """A value with its type, as an expression."""
    if rng.random() < nulls:
        return f"NULL::{TYPES[type_]}"
    text = plain(rng, type_, odd=0.02)
    if type_ == "i4" and not text.startswith("-") or type_ == "bool":
        return text
    return f"{quoted(text)}::{TYPES[type_]}"
