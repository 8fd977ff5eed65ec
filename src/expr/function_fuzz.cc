// Fuzzes the functions that read a little language of their own: patterns, templates, format strings, paths, time zones.
#include <cstddef>
#include <cstdint>

#include "data/text.h"
#include "data/utf8.h"
#include "expr/expression.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kappa;
  if (size < 2) return 0;
  const size_t split = data[0] % size;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view a = input.substr(0, split), b = input.substr(std::min(split, input.size()));
  if (!data::IsUtf8(a) || !data::IsUtf8(b)) return 0;
  const auto text = [](std::string_view s) { return expr::MakeLiteral(data::Value::Text(std::string(s))); };
  const auto run = [](Result<expr::ExprPtr> expression) {
    expr::EvalContext context;
    if (expression.ok()) static_cast<void>(expr::EvaluateConstant(**expression, context));
  };
  for (const char* op : {"~~", "~~*", "~"}) run(expr::MakeOperator(op, {text(a), text(b)}, 1));
  for (const char* name :
       {"like_escape", "similar_to_escape", "format", "encode", "decode", "string_to_array", "regexp_split_to_array", "split_part", "ltrim"}) {
    run(expr::MakeFunction(name, {text(a), text(b)}, 1));
  }
  run(expr::MakeFunction("regexp_replace", {text(a), text(b), text(a), text("g")}, 1));
  run(expr::MakeFunction("translate", {text(a), text(b), text(a)}, 1));
  const auto time = expr::MakeLiteral(data::Value::Fixed<int64_t>(data::TypeId::kTimestamp, 1'600'000'000'123'456));
  run(expr::MakeFunction("to_char", {time, text(a)}, 1));
  run(expr::MakeFunction("to_char", {expr::MakeLiteral(data::Value::Int8(-1234567)), text(a)}, 1));
  run(expr::MakeFunction("date_trunc", {text(a), time}, 1));
  run(expr::MakeFunction("timezone", {text(b), time}, 1));
  auto document = data::FromText(a, data::TypeId::kJsonb);
  if (document.ok()) {
    for (const char* name : {"jsonb_path_exists", "jsonb_path_query_array"}) {
      run(expr::MakeFunction(name, {expr::MakeLiteral(*std::move(document)), text(b)}, 1));
      document = data::FromText(a, data::TypeId::kJsonb);
    }
  }
  for (const data::Type type : {data::Type(data::TypeId::kJsonb), data::Type(data::TypeId::kInterval), data::Type::ArrayOf(data::TypeId::kText),
                                data::Type(data::TypeId::kNumeric)}) {
    run(expr::MakeCast(text(a), type, expr::CastContext::kExplicit, 1));
  }
  return 0;
}
