// The rows of pg_type for the types that kappa has or that clients expect to find, as in PostgreSQL 15.
#include "engine/pg_catalog_types.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace kappa::engine {
namespace {

// oid typname typlen typbyval typtype typcategory typispreferred typelem typarray, then oid and name of typinput, typoutput,
// typreceive and typsend, then typcollation typalign typstorage.
constexpr std::string_view kTypes = R"(16 bool 1 1 b B 1 0 1000 1242 boolin 1243 boolout 2436 boolrecv 2437 boolsend 0 c p
17 bytea -1 0 b U 0 0 1001 1244 byteain 31 byteaout 2412 bytearecv 2413 byteasend 0 i x
18 char 1 1 b Z 0 0 1002 1245 charin 33 charout 2434 charrecv 2435 charsend 0 c p
19 name 64 0 b S 0 18 1003 34 namein 35 nameout 2422 namerecv 2423 namesend 950 c p
20 int8 8 1 b N 0 0 1016 460 int8in 461 int8out 2408 int8recv 2409 int8send 0 d p
21 int2 2 1 b N 0 0 1005 38 int2in 39 int2out 2404 int2recv 2405 int2send 0 s p
22 int2vector -1 0 b A 0 21 1006 40 int2vectorin 41 int2vectorout 2410 int2vectorrecv 2411 int2vectorsend 0 i p
23 int4 4 1 b N 0 0 1007 42 int4in 43 int4out 2406 int4recv 2407 int4send 0 i p
24 regproc 4 1 b N 0 0 1008 44 regprocin 45 regprocout 2444 regprocrecv 2445 regprocsend 0 i p
25 text -1 0 b S 1 0 1009 46 textin 47 textout 2414 textrecv 2415 textsend 100 i x
26 oid 4 1 b N 1 0 1028 1798 oidin 1799 oidout 2418 oidrecv 2419 oidsend 0 i p
28 xid 4 1 b U 0 0 1011 50 xidin 51 xidout 2440 xidrecv 2441 xidsend 0 i p
30 oidvector -1 0 b A 0 26 1013 54 oidvectorin 55 oidvectorout 2420 oidvectorrecv 2421 oidvectorsend 0 i p
114 json -1 0 b U 0 0 199 321 json_in 322 json_out 323 json_recv 324 json_send 0 i x
199 _json -1 0 b A 0 114 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
700 float4 4 1 b N 0 0 1021 200 float4in 201 float4out 2424 float4recv 2425 float4send 0 i p
701 float8 8 1 b N 1 0 1022 214 float8in 215 float8out 2426 float8recv 2427 float8send 0 d p
705 unknown -2 0 p X 0 0 0 109 unknownin 110 unknownout 2416 unknownrecv 2417 unknownsend 0 c p
1000 _bool -1 0 b A 0 16 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1001 _bytea -1 0 b A 0 17 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1002 _char -1 0 b A 0 18 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1003 _name -1 0 b A 0 19 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 950 i x
1005 _int2 -1 0 b A 0 21 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1006 _int2vector -1 0 b A 0 22 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1007 _int4 -1 0 b A 0 23 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1008 _regproc -1 0 b A 0 24 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1009 _text -1 0 b A 0 25 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 100 i x
1011 _xid -1 0 b A 0 28 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1013 _oidvector -1 0 b A 0 30 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1014 _bpchar -1 0 b A 0 1042 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 100 i x
1015 _varchar -1 0 b A 0 1043 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 100 i x
1016 _int8 -1 0 b A 0 20 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1021 _float4 -1 0 b A 0 700 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1022 _float8 -1 0 b A 0 701 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1028 _oid -1 0 b A 0 26 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1042 bpchar -1 0 b S 0 0 1014 1044 bpcharin 1045 bpcharout 2430 bpcharrecv 2431 bpcharsend 100 i x
1043 varchar -1 0 b S 0 0 1015 1046 varcharin 1047 varcharout 2432 varcharrecv 2433 varcharsend 100 i x
1082 date 4 1 b D 0 0 1182 1084 date_in 1085 date_out 2468 date_recv 2469 date_send 0 i p
1083 time 8 1 b D 0 0 1183 1143 time_in 1144 time_out 2470 time_recv 2471 time_send 0 d p
1114 timestamp 8 1 b D 0 0 1115 1312 timestamp_in 1313 timestamp_out 2474 timestamp_recv 2475 timestamp_send 0 d p
1115 _timestamp -1 0 b A 0 1114 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1182 _date -1 0 b A 0 1082 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1183 _time -1 0 b A 0 1083 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1184 timestamptz 8 1 b D 1 0 1185 1150 timestamptz_in 1151 timestamptz_out 2476 timestamptz_recv 2477 timestamptz_send 0 d p
1185 _timestamptz -1 0 b A 0 1184 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1186 interval 16 0 b T 1 0 1187 1160 interval_in 1161 interval_out 2478 interval_recv 2479 interval_send 0 d p
1187 _interval -1 0 b A 0 1186 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1231 _numeric -1 0 b A 0 1700 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1263 _cstring -1 0 b A 0 2275 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
1266 timetz 12 0 b D 0 0 1270 1350 timetz_in 1351 timetz_out 2472 timetz_recv 2473 timetz_send 0 d p
1270 _timetz -1 0 b A 0 1266 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
1700 numeric -1 0 b N 0 0 1231 1701 numeric_in 1702 numeric_out 2460 numeric_recv 2461 numeric_send 0 i m
2205 regclass 4 1 b N 0 0 2210 2218 regclassin 2219 regclassout 2452 regclassrecv 2453 regclasssend 0 i p
2206 regtype 4 1 b N 0 0 2211 2220 regtypein 2221 regtypeout 2454 regtyperecv 2455 regtypesend 0 i p
2210 _regclass -1 0 b A 0 2205 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
2211 _regtype -1 0 b A 0 2206 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
2249 record -1 0 p P 0 0 2287 2290 record_in 2291 record_out 2402 record_recv 2403 record_send 0 d x
2275 cstring -2 0 p P 0 0 1263 2292 cstring_in 2293 cstring_out 2500 cstring_recv 2501 cstring_send 0 c p
2276 any 4 1 p P 0 0 0 2294 any_in 2295 any_out 0 - 0 - 0 i p
2277 anyarray -1 0 p P 0 0 0 2296 anyarray_in 2297 anyarray_out 2502 anyarray_recv 2503 anyarray_send 0 d x
2278 void 4 1 p P 0 0 0 2298 void_in 2299 void_out 3120 void_recv 3121 void_send 0 i p
2279 trigger 4 1 p P 0 0 0 2300 trigger_in 2301 trigger_out 0 - 0 - 0 i p
2283 anyelement 4 1 p P 0 0 0 2312 anyelement_in 2313 anyelement_out 0 - 0 - 0 i p
2287 _record -1 0 p P 0 2249 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 d x
2950 uuid 16 0 b U 0 0 2951 2952 uuid_in 2953 uuid_out 2961 uuid_recv 2962 uuid_send 0 c p
2951 _uuid -1 0 b A 0 2950 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
3802 jsonb -1 0 b U 0 0 3807 3806 jsonb_in 3804 jsonb_out 3805 jsonb_recv 3803 jsonb_send 0 i x
3807 _jsonb -1 0 b A 0 3802 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
4089 regnamespace 4 1 b N 0 0 4090 4084 regnamespacein 4085 regnamespaceout 4087 regnamespacerecv 4088 regnamespacesend 0 i p
4090 _regnamespace -1 0 b A 0 4089 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
4096 regrole 4 1 b N 0 0 4097 4098 regrolein 4092 regroleout 4094 regrolerecv 4095 regrolesend 0 i p
4097 _regrole -1 0 b A 0 4096 0 750 array_in 751 array_out 2400 array_recv 2401 array_send 0 i x
)";

class Words {
 public:
  explicit Words(std::string_view line) : line_(line) {}
  std::string_view Text() {
    const size_t end = std::min(line_.find(' '), line_.size());
    const std::string_view word = line_.substr(0, end);
    line_.remove_prefix(std::min(end + 1, line_.size()));
    return word;
  }
  int64_t Number() {
    const std::string_view word = Text();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    KAPPA_CHECK(error == std::errc() && end == word.data() + word.size());
    return value;
  }

 private:
  std::string_view line_;
};

std::vector<PgType> ParseTypes() {
  std::vector<PgType> types;
  for (std::string_view rest = kTypes; !rest.empty();) {
    const size_t end = rest.find('\n');
    Words words(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    PgType type;
    type.oid = words.Number();
    type.name = words.Text();
    type.length = words.Number();
    type.by_value = words.Number() != 0;
    type.kind = words.Text();
    type.category = words.Text();
    type.preferred = words.Number() != 0;
    type.element = words.Number();
    type.array = words.Number();
    for (PgProcedure* procedure : {&type.input, &type.output, &type.receive, &type.send}) {
      procedure->oid = words.Number();
      procedure->name = words.Text();
    }
    type.collation = words.Number();
    type.alignment = words.Text();
    type.storage = words.Text();
    types.push_back(type);
  }
  return types;
}

}  // namespace

const std::vector<PgType>& PgTypes() {
  static const auto* const types = new std::vector<PgType>(ParseTypes());
  return *types;
}

const PgType* FindPgType(int64_t oid) {
  for (const PgType& type : PgTypes()) {
    if (type.oid == oid) return &type;
  }
  return nullptr;
}

const PgType* FindPgType(std::string_view name) {
  for (const PgType& type : PgTypes()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

}  // namespace kappa::engine
