#!/bin/sh
# Writes test/golden/data/*.tsv: PostgreSQL 15's answers about values, which src/data/golden_test.cc compares with ours.
# Needs a PostgreSQL 15 server that the PG* environment variables reach (any database; it creates temporary objects only).
# Every line: operation, arguments..., answer ("!SQLSTATE message" for an error, \N for NULL), in COPY's text format.
set -eu
cd "$(dirname "$0")"
mkdir -p data
psql -XAtq -v ON_ERROR_STOP=1 <<'SQL'
set timezone = 'UTC'; set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set client_min_messages = error;
create function pg_temp.try(statement text) returns text language plpgsql as $$
declare answer text; state text; problem text;
begin
  execute statement into answer;
  return answer;
exception when others then
  get stacked diagnostics state = returned_sqlstate, problem = message_text;
  return '!' || state || ' ' || problem;
end $$;

-- Reading values of every type.
create temp table input(type text, value text);
insert into input select 'numeric', unnest(array['0','1','-1','+5','  12  ','1.50','-0.00','0.000','.5','5.','.','-','','abc','1e5','1.5e-3','1E+3','1e','1e400',
  '1e131071','1e131072','1e-16383','1e-16384','0e-20000','NaN','nan','Infinity','-inf','+INF','infinit','1_000','0x10','12 3','--1',
  '123456789012345678','1234567890123456789','99999999999999999999999999999999999999','170141183460469231731687303715884105727',
  '170141183460469231731687303715884105728','-170141183460469231731687303715884105728','-170141183460469231731687303715884105729',
  repeat('9',100)||'.'||repeat('7',100),'-'||repeat('1234567890',10),'0.'||repeat('0',50)||'1','000000000000000000000000123','1.000000000000000000000000000000000000000000']);
insert into input select t, unnest(array['0','123.456','-99.995','99.994','99.995','1e10','NaN','Infinity','0.004','-0.006','12345','12355','0.05'])
  from unnest(array['numeric(4,2)','numeric(3)','numeric(5,-2)','numeric(2,2)','numeric(3,5)']) t;
insert into input select t, unnest(array['0','1','-1','+7',' 42 ','','x','1.5','1e3','32767','32768','-32768','-32769','2147483647','2147483648','9223372036854775807',
  '9223372036854775808','-9223372036854775808','-9223372036854775809','+ 1','0x1F','00012','4294967295','4294967296'])
  from unnest(array['smallint','integer','bigint','oid']) t;
insert into input select t, unnest(array['0','-0','1','1.5','1e20','1e15','1e14','123456789012345678','0.0001','0.00001','1e-7','NaN','nan','Infinity','-infinity','inf','1e400','-1e400',
  '1e-400','1e39','1e-46','3.4028235e38','1.17549435e-38','4.9e-324','2.2250738585072014e-308','1.7976931348623157e308','0.1','0.30000000000000004','100000','1000000','123456','1234567',
  '',' 5 ','x','1e','+3','.5','5.','1e5x','16777216','16777217','9007199254740993','5e-45']) from unnest(array['float4','float8']) t;
insert into input select 'boolean', unnest(array['t','true','TRUE','tr','y','yes','on','1','f','false','n','no','off','of','o','0','2','',' true ','tru e','maybe']);
insert into input select 'date', unnest(array['2024-01-02','2024-1-2','20240102','240102','1/2/2024','01/02/24','Jan 2, 2024','2 January 2024','2-Jan-2024','Jan-02-2024','2024-Jan-02','January 8, 1999',
  '2024.060','2024-060','J2451187','jd 2451187','1999.008','99-Jan-08','08-Jan-99','2024-02-29','2023-02-29','2024-13-01','2024-02-30','13/02/2024','0001-01-01','0001-01-01 BC','0044-03-15 BC',
  '4714-11-24 BC','4714-11-23 BC','5874897-12-31','5874898-01-01','infinity','-infinity','epoch','','abc','2024','2024-01','0000-01-01','2024-01-02 10:20:30','Monday, Jan 1 2024','2024-01-01 AD','99-01-01']);
insert into input select t, unnest(array['2024-01-02 03:04:05','2024-01-02T03:04:05Z','2024-01-02T03:04:05.123456+02:00','2024-01-02 03:04:05.1234567','2024-01-02 03:04:05.9999999','2024-01-02 03:04','2024-01-02',
  '2024-01-02 24:00:00','2024-01-02 24:00:01','2024-01-02 23:59:60','2024-01-02 25:00','2024-01-02 10:60','2024-01-02 03:04:05 PM','2024-01-02 12:00 AM','2024-01-02 13:00 PM','2024-01-02 03:04:05-08',
  '2024-01-02 03:04:05+0530','2024-01-02 03:04:05+05:30:15','2024-01-02 03:04:05 America/New_York','2024-07-02 03:04:05 America/New_York','2024-01-02 03:04:05 EST','2024-01-02 03:04:05 PST','2024-01-02 03:04:05 UTC',
  '2024-01-02 03:04:05 Foo/Bar','2024-01-02 03:04:05 europe/berlin','2024-03-10 02:30 America/New_York','2024-11-03 01:30 America/New_York','20240102T030405','20240102 030405','20240102T0304','2024-01-02 03:04:05 BC','0001-01-01 00:00:00 BC',
  'Jan 2 2024 3:04 PM','Tue Jan 02 03:04:05 2024','Tue Jan 02 03:04:05.5 2024 PST','2024-01-02 03:04:05+16','2024-01-02 03:04:05+15:59','infinity','-infinity','epoch','','abc','2024-02-30 00:00','2024-13-01 00:00',
  '294246-12-31 23:59:59','4714-11-24 00:00:00 BC','4714-11-23 23:59:59 BC','999999-01-01','1/2/2024 3:04','2024-01-02  03:04:05   +01','2024-01-02t03:04:05z','2011-03-02T17:37:17+00:00','1883-11-18 12:03:57 America/New_York','2024-01-02 03:04:05 Z',
  '2024-01-02 3:4:5','2024-01-02 030405','99/12/31 10:00','2024-W01-1','1999-01-08 04:05:06.789-8','January 8 04:05:06 1999 PST','2024-01-02 at 03:04'])
  from unnest(array['timestamp','timestamptz']) t;
insert into input select t, unnest(array['2024-01-02 03:04:05.123456','2024-01-02 03:04:05.9996','1999-12-31 23:59:59.5','1999-12-31 23:59:58.5']) from unnest(array['timestamp(0)','timestamp(3)','timestamptz(1)']) t;
insert into input select 'interval', unnest(array['1','5 minutes','1 day 02:03:04','1 day 2:03','-1 day','1 mon -3 days','1 year 2 mons 3 days 04:05:06.789','P1DT2H','P1Y2M3DT4H5M6.5S','P1W','PT36H','P0.5D','P-1Y','P0001-02-03T04:05:06','P00010203T040506','PT-5M',
  '@ 1 minute','1 day ago','@ 1 year 2 days ago','1.5 days','1.5 months','1.5 years','0.5 week','2 weeks','1 decade','1 century','1 millennium','1.1 century','100 ms','1500 us','1-2','-1-2','1-2 3 4:05:06','1 2:03:04','1 -2:03:04','-1 2:03','2:03.5','00:00:00.0000005','1:2:3','100:00:00',
  '1 foo','','abc','1 day 1 day','5 seconds 5','1h','1h30m','1 hr 2 min 3 sec','3 qtr','1d 2h 3m 4s','999999999999 years','2147483647 mons','2147483648 days','9223372036854775807 us','9223372036854775808 us','.5 sec','-.5 sec','1e3 sec','infinity','-00:00:01','-1 year -2 mons +3 days -04:05:06',
  '1 mon 1.5 days','1 year 1.25 months','10 minutes 3.5 seconds','1 day -00:00:01','23 hours 59 min 59.9999999 sec','P1Y-1M','P','PT','1 month, 2 days','2 days 12:30','25:61','1:70','3 days 5 milliseconds 7 microseconds']);
insert into input select t, unnest(array['5','1:02','1 day 02:03:04.56','1-2','13 months','90 minutes','1.5']) from unnest(array['interval minute','interval hour','interval day','interval second','interval second(1)','interval year','interval month',
  'interval year to month','interval day to hour','interval day to minute','interval day to second','interval hour to minute','interval hour to second','interval minute to second','interval(2)']) t;
insert into input select 'jsonb', unnest(array['null','true',' false ','1','-0','-0.0','1.50','1e5','1.5E-3','1E400','"x"','"a\nb\u0041\"\\\/"','"\ud83d\ude00"','"\ud83d"','"\u0000"','"\u001f"','[]','{}','[1, 2,3]','[ ]','{"b":1,"a":2}','{"bb":1,"a":2,"c":3}','{"a":1,"a":2}',
  '{"a":{"z":[1,{"y":null}],"b":"x"}}','','{','[1,','{"a"}','{"a":}','{a:1}','[1 2]','[1,]','{"a":1,}','tru','nulll','01','1.','.5','-','+1','"abc','"a'||chr(9)||'b"','"\x"','"\u12"','[1]]','{"a":1}}','"ü"','{"ü":1,"zz":2,"a":3}','1 2','[[[[1]]]]','NaN','''a''','{"":1}',
  '{"a\u0062":1,"ab":2}','12345678901234567890.123456789','0.10','1.0','100','-5.00e2','[}','{]','{"a":1 "b":2}','{"a" 1}','{1:2}','["a":1]','"\uD83D\u0041"','"\uDE00"']);
insert into input select 'bytea', unnest(array['','abc','\x','\xDEADbeef','\xde ad','\x1','\xgg','a\\b','a\101','a\1','\000\377']);
insert into input select 'uuid', unnest(array['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11','A0EEBC999C0B4EF8BB6D6BB9BD380A11','{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}','a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11','','a0eebc99','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g','a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11x']);
insert into input select 'integer[]', unnest(array['{}','{1,2,3}','{1,NULL,3}',' { 1 , 2 } ','{{1,2},{3,4}}','{{1},{2,3}}','{1,{2}}','{1,2','1,2','{1,2}x','{,}','{1,}','{x}','{"1","2"}','{null}','','{{}}','{{{1}}}','{99999999999}']);
insert into input select 'text[]', unnest(array['{}','{a,b}','{"a b",c d}','{"NULL",NULL,null}','{"a\"b","c\\d",e\\f}','{"{","}",","}','{""}','{ a , b }','{"a" , "b"}','{a"b}','{"a"b}','{a\,b}','{"x','{{a,b},{c,NULL}}','{ü}']);
insert into input select 'varchar(3)', unnest(array['','abc','abc ','äöü']);
copy (select 'input', type, value, pg_temp.try(format('select (%L::%s)::text', value, type)) from input) to stdout \g 'data/input.tsv'

-- Numbers.
create temp table number(value numeric);
insert into number select unnest(array['0','0.00','1','-1','2','3','7','10','100','9999','10000','10001','0.1','0.5','-0.5','1.5','2.5','-2.5','0.0001','0.00012345','123.456','-987654.321','1e10','1e-10','99999999.99',
  '12345678901234567890','1234567890123456789012345678901234567890.123456789','-99999999999999999999999999999999999999','0.00000000000000000001','3.14159265358979323846','1e38','-1e39','1e100','NaN','Infinity','-Infinity']::numeric[]);
create temp table op(name text, expression text);
insert into op values ('add','%s+%s'),('subtract','%s-%s'),('multiply','%s*%s'),('divide','%s/%s'),('modulo','%s%%%s'),('div','div(%s,%s)'),
  ('compare','case when %s<%2$s then -1 when %1$s>%2$s then 1 else 0 end');
copy (select op.name, a.value, b.value, pg_temp.try('select (' || format(replace(op.expression,'%s+%s','%s+%s'), quote_literal(a.value)||'::numeric', quote_literal(b.value)||'::numeric') || ')::text')
      from op, number a, number b) to stdout \g 'data/numeric_binary.tsv'
create temp table base(value numeric); insert into base select unnest(array['0','1','-1','2','2.0','10','0.5','-1.5','1.0000001','99.99','1234567.89','0.001','NaN','Infinity','-Infinity']::numeric[]);
create temp table exponent(value numeric); insert into exponent select unnest(array['0','1','-1','2','3','-3','0.5','-0.5','1.5','10','20','-20','100','1000','0.333333','2147483648','NaN','Infinity','-Infinity']::numeric[]);
copy (select 'power', a.value, b.value, pg_temp.try(format('select power(%L::numeric,%L::numeric)::text', a.value, b.value)) from base a, exponent b
      union all select 'log', a.value, b.value, pg_temp.try(format('select log(%L::numeric,%L::numeric)::text', a.value, b.value)) from base a, number b)
  to stdout \g 'data/numeric_power.tsv'
create temp table unary(name text, expression text);
insert into unary values ('text','%s'),('abs','abs(%s)'),('negate','-%s'),('ceil','ceil(%s)'),('floor','floor(%s)'),('round0','round(%s)'),('round2','round(%s,2)'),('round-2','round(%s,-2)'),('trunc0','trunc(%s)'),('trunc3','trunc(%s,3)'),
  ('trunc-1','trunc(%s,-1)'),('sqrt','sqrt(%s)'),('exp','exp(%s)'),('ln','ln(%s)'),('int8','(%s)::int8'),('int4','(%s)::int4'),('int2','(%s)::int2'),('float8','(%s)::float8'),('float4','(%s)::float4'),('canonical','trim_scale(%s)');
copy (select u.name, n.value, pg_temp.try('select (' || format(u.expression, quote_literal(n.value)||'::numeric') || ')::text') from unary u, (select value from number union select unnest(array['-0.4','-0.5','-1.5','149','150','151','-149','-150','32767.5','2147483647.4','9223372036854775807.4','9223372036854775807.5','1e400','5000','-5000','1e-400','123456789.123456789']::numeric[])) n)
  to stdout \g 'data/numeric_unary.tsv'
create temp table double(value float8); insert into double select unnest(array[0,'-0',1,0.1,1e15,123456789.123456789,1e-7,1e300,-2.5,'NaN','Infinity','-Infinity',1.0/3,123456789012345678,5e-324]::float8[]);
copy (select 'float8_to_numeric', value::text, pg_temp.try(format('select %L::float8::numeric::text', value)) from double
      union all select 'float4_to_numeric', value::text, pg_temp.try(format('select %L::float4::numeric::text', value)) from double where abs(value) < 1e38 and (value = 0 or abs(value) > 1e-30) or value in ('NaN','Infinity','-Infinity')) to stdout \g 'data/numeric_float.tsv'

-- Dates and times.
create temp table moment(value timestamp);
insert into moment select unnest(array['2024-01-31 10:20:30.123456','2024-02-29','2023-03-01 00:00:00','1999-12-31 23:59:59.999999','2000-01-01','1970-01-01','1969-12-31 23:59:59.5','2024-03-10 06:30','2024-03-10 07:30','2024-11-03 05:30','2024-11-03 06:30','0001-01-01','0001-12-31 BC','0044-03-15 12:00 BC','4713-01-01 BC',
  '2001-01-01','2000-12-31','1900-02-28','2020-12-31 12:00','2021-01-03','2026-01-01','200000-06-15 01:02:03','infinity','-infinity']::timestamp[]);
create temp table span(value interval);
insert into span select unnest(array['1 mon','-1 mon','1 day','-1 day','1 hour','12 mons 3 days -04:05:06.7','13 mons','1 year','-100 years','00:00:00.000001','31 days','5 years 1 mon -1 day','0','30 days','36:00:00','-25:00:00','1 mon -1 day','2147483647 days','178956970 years','1 day -1 hour','-1 mon 40 days 30:00:00']::interval[]);
create temp table field(name text); insert into field select unnest(array['microseconds','milliseconds','second','minute','hour','day','week','month','quarter','year','decade','century','millennium','dow','isodow','doy','isoyear','julian','epoch','timezone','timezone_hour','timezone_minute','foo']);
copy (
  select 'timestamp+interval', m.value::text, s.value::text, pg_temp.try(format('select (%L::timestamp+%L::interval)::text', m.value, s.value)) from moment m, span s
  union all select 'timestamp-timestamp', a.value::text, b.value::text, pg_temp.try(format('select (%L::timestamp-%L::timestamp)::text', a.value, b.value)) from moment a, moment b
  union all select 'age', a.value::text, b.value::text, pg_temp.try(format('select age(%L::timestamp,%L::timestamp)::text', a.value, b.value)) from moment a, moment b
  union all select 'trunc_timestamp', f.name, m.value::text, pg_temp.try(format('select date_trunc(%L,%L::timestamp)::text', f.name, m.value)) from field f, moment m
  union all select 'trunc_interval', f.name, s.value::text, pg_temp.try(format('select date_trunc(%L,%L::interval)::text', f.name, s.value)) from field f, span s
  union all select 'extract_timestamp', f.name, m.value::text, pg_temp.try(format('select extract(%s from %L::timestamp)::text', f.name, m.value)) from field f, moment m
  union all select 'extract_date', f.name, m.value::date::text, pg_temp.try(format('select extract(%s from %L::date)::text', f.name, m.value::date)) from field f, moment m
  union all select 'extract_interval', f.name, s.value::text, pg_temp.try(format('select extract(%s from %L::interval)::text', f.name, s.value)) from field f, span s
  union all select 'interval+', a.value::text, b.value::text, pg_temp.try(format('select (%L::interval+%L::interval)::text', a.value, b.value)) from span a, span b
  union all select 'interval-', a.value::text, b.value::text, pg_temp.try(format('select (%L::interval-%L::interval)::text', a.value, b.value)) from span a, span b
  union all select 'interval*', a.value::text, f::text, pg_temp.try(format('select (%L::interval*%L::float8)::text', a.value, f)) from span a, unnest(array[0,1,-1,0.5,1.5,0.1,2.7,1e10,'NaN']::float8[]) f
  union all select 'interval/', a.value::text, f::text, pg_temp.try(format('select (%L::interval/%L::float8)::text', a.value, f)) from span a, unnest(array[0,1,-1,0.5,3,7,0.1,1e-10]::float8[]) f
  union all select 'compare_interval', a.value::text, b.value::text, (case when a.value<b.value then -1 when a.value>b.value then 1 else 0 end)::text from span a, span b
  union all select 'justify_hours', value::text, '', pg_temp.try(format('select justify_hours(%L::interval)::text', value)) from span
  union all select 'justify_days', value::text, '', pg_temp.try(format('select justify_days(%L::interval)::text', value)) from span
  union all select 'justify_interval', value::text, '', pg_temp.try(format('select justify_interval(%L::interval)::text', value)) from span
  union all select 'date_bin', s.value::text, m.value::text, pg_temp.try(format('select date_bin(%L::interval,%L::timestamp,timestamp %L)::text', s.value, m.value, '2001-01-01 00:07')) from span s, moment m
  union all select 'to_timestamp', x::text, '', pg_temp.try(format('select to_timestamp(%L::float8)::text', x)) from unnest(array[0,1.5,-1.5,1e9,1234567890.123456,1e13,'NaN','Infinity','-Infinity',1e18,-1e18]::float8[]) x
  union all select 'make_date', a, '', pg_temp.try('select make_date('||a||')::text') from unnest(array['2024,2,29','2023,2,29','0,1,1','-44,3,15','2024,13,1','-4714,1,1','5874898,1,1']) a
) to stdout \g 'data/datetime.tsv'

-- The same in a zone with daylight saving time.
set timezone = 'America/New_York';
copy (
  select 'timestamptz+interval', m.value::text, s.value::text, pg_temp.try(format('select (%L::timestamptz+%L::interval)::text', m.value||case when isfinite(m.value) then '+00' else '' end, s.value)) from (select value from moment where isfinite(value) and value > '0002-01-01' and value < '3000-01-01') m, span s
  union all select 'trunc_timestamptz', f.name, m.value::text, pg_temp.try(format('select date_trunc(%L,%L::timestamptz)::text', f.name, m.value||'+00')) from field f, (select value from moment where isfinite(value) and value > '0002-01-01' and value < '3000-01-01') m
  union all select 'extract_timestamptz', f.name, m.value::text, pg_temp.try(format('select extract(%s from %L::timestamptz)::text', f.name, m.value||'+00')) from field f, (select value from moment where isfinite(value) and value > '0002-01-01' and value < '3000-01-01') m
) to stdout \g 'data/datetime_zone.tsv'
set timezone = 'UTC';

-- Structured values.
create temp table document(value jsonb);
insert into document select unnest(array['null','true','false','0','1','1.0','-5','1e3','""','"a"','"b"','"abc"','[]','{}','[1]','[1,2]','[2,1]','[[1]]','[null]','["a"]','["a","b"]','{"a":1}','{"a":1.0}','{"a":1,"b":2}','{"b":1}','{"aa":1}','{"a":{"b":[1,2,{"c":null}]}}','{"a":{"b":[2]}}','[{"a":1}]','[1,[2,3],{"x":"y"}]','[1,1.0,1]','{"a":[]}','{"a":"x"}']::jsonb[]);
create temp table list(value text); insert into list select unnest(array['{}','{1}','{1,2}','{2,1}','{NULL}','{1,NULL}','{{1,2}}','{{1},{2}}','{1,2,3}','{-1}']);
copy (
  select 'compare_json', a.value::text, b.value::text, (case when a.value<b.value then -1 when a.value>b.value then 1 else 0 end)::text from document a, document b
  union all select 'contains_json', a.value::text, b.value::text, (a.value@>b.value)::text from document a, document b
  union all select 'concat_json', a.value::text, b.value::text, pg_temp.try(format('select (%L::jsonb||%L::jsonb)::text', a.value, b.value)) from document a, document b
  union all select 'typeof_json', value::text, '', jsonb_typeof(value) from document
  union all select 'text_json', value::text, '', value #>> '{}' from document
  union all select 'strip_json', value::text, '', jsonb_strip_nulls(value)::text from document
  union all select 'key_json', value::text, k, (value -> k)::text from document, unnest(array['a','b','aa','']) k
  union all select 'element_json', value::text, i::text, (value -> i)::text from document, unnest(array[0,1,2,-1,-2,5]) i
  union all select 'path_json', value::text, p, (value #> p::text[])::text from document, unnest(array['{}','{a}','{a,b}','{a,b,2,c}','{0}','{1,0}','{-1}','{2,x}']) p
  union all select 'exists_json', value::text, k, (value ? k)::text from document, unnest(array['a','b','x']) k
  union all select 'delete_json', value::text, k, pg_temp.try(format('select (%L::jsonb - %L::text)::text', value, k)) from document, unnest(array['a','b']) k
  union all select 'delete_index_json', value::text, i::text, pg_temp.try(format('select (%L::jsonb - %s)::text', value, i)) from document, unnest(array['0','(-1)','3']) i
  union all select 'compare_array', a.value, b.value, (case when a.value::int[]<b.value::int[] then -1 when a.value::int[]>b.value::int[] then 1 else 0 end)::text from list a, list b
) to stdout \g 'data/structured.tsv'
SQL
wc -l data/*.tsv
