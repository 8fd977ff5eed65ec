-- Makes all_types.csv and all_types.jsonl beside it with PostgreSQL 15:
--   psql -X -q -f all_types.sql
SET TimeZone = 'UTC';
SET extra_float_digits = 1;
CREATE TEMP TABLE t (
  id int4, "Quoted, ""name""" text, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric, n2 numeric(12,2), vc varchar(5), by bytea,
  d date, ts timestamp, tz timestamptz, iv interval, j jsonb, u uuid, ta text[], ia int4[], na numeric[], tza timestamptz[]
);
INSERT INTO t VALUES
  (1, 'plain', true, -32768, -9223372036854775808, 1.5, 0.1, 12.340, 12.34, 'abc', '\xdeadbeef', '2026-01-01', '2026-01-01 10:20:30.123',
   '2026-01-01 10:20:30.5+02', '1 year 2 mons 3 days 04:05:06.7', '{"b":1,"a":[true,null,"x"]}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
   '{a,"b c",NULL,"NULL","",","}', '{1,2,NULL}', '{1.50,NaN}', '{"2026-01-01 00:00:00+00",NULL}'),
  (2, '', false, 32767, 9223372036854775807, 'NaN', 'Infinity', 'NaN', -0.01, '', '', 'infinity', '-infinity', 'infinity', '-1 days', '"text"',
   'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{}', '{{1,2},{3,4}}', '{}', '{}'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, E'a "quote", a comma\nand a line\r\nend', true, 0, 0, -0.0, 1e300, 'Infinity', 9999999999.99, 'äöü€x', '\x00ff', '0044-03-15 BC', '0044-03-15 12:00:00 BC',
   '9999-12-31 23:59:59.999999', '00:00:00', '{"k":"\"\\\n"}', '00000000-0000-0000-0000-000000000000', E'{"a\\"b","c\\\\d","line\nend"}', '{{{1}}}', '{-0.001}',
   '{infinity}'),
  (5, '\.', true, 1, 1, 3.4028235e38, 4.9e-324, 1e-20, 0, E'\t', 'x', '1970-01-01', '1970-01-01', '1969-12-31 23:59:59.999999', '-00:00:00.000001', '[]',
   'ffffffff-ffff-ffff-ffff-ffffffffffff', '{" lead","trail "}', '{0}', '{123456789012345678901234567890.123456789}', '{"0044-03-15 BC"}'),
  (6, ' spaces ', true, 1, 1, 1e-7, 123456789.123, 123456789012345678901234567890123456789012345678901234567890, 1, 'x', '\x', '5874897-12-31', '1999-12-31 23:59:59',
   '2000-02-29', '3 mons -4 days +05:00:00', 'null', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{é,"{}"}', '{-2147483648}', '{0}', '{}'),
  (7, 'Unicode é€😀', true, 1, 1, 1e10, 1e15, 100, 1, 'x', '\x', '2026-02-28', '2026-02-28', '2026-02-28', '178956970 years 7 mons', '{"n":1.50,"e":1e2,"z":-0.0}',
   'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, NULL, NULL, NULL),
  (8, '/path and \ and '' and tab' || chr(9) || chr(1) || chr(127), false, 1, 1, 16777216, 1e16, 0.00, 1, 'x', '\x', '2026-02-28', '2026-02-28', '2026-02-28',
   '-1 years -2 mons +3 days -04:05:06.789', '0', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', NULL, NULL, NULL, NULL);
\copy t TO 'all_types.csv' WITH (FORMAT csv, HEADER)
\t on
\a
\o all_types.jsonl
SELECT row_to_json(t) FROM t;
\o
CREATE TEMP TABLE one (v text);
INSERT INTO one VALUES ('\.'), (NULL), (''), ('x'), ('\.x'), (' ');
\copy one TO 'one_column.csv' WITH (FORMAT csv, HEADER)
