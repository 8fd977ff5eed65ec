// The IS TRUE family, and functions that look at NULLs only.
#include "expr/functions/register.h"
#include "expr/kernel.h"

namespace kappa::expr {
namespace {

/// IS [NOT] TRUE, FALSE, UNKNOWN: the answers for false, true and NULL.
Kernel TruthTest(bool if_false, bool if_true, bool if_null) {
  return [if_false, if_true, if_null](KernelCall& call) -> Result<data::ColumnPtr> {
    auto out = MakeOutput(call);
    uint8_t* values = out->mutable_data<uint8_t>();
    const Argument& argument = call.arguments[0];
    for (int64_t row = 0; row < call.rows; ++row) {
      values[row] = argument.IsNull(row) ? if_null : argument.Get<uint8_t>(row) != 0 ? if_true : if_false;
    }
    return data::ColumnPtr(std::move(out));
  };
}

Kernel CountNulls(bool nulls) {
  return [nulls](KernelCall& call) -> Result<data::ColumnPtr> {
    auto out = std::make_shared<data::Column>(call.type, call.rows);
    int32_t* values = out->mutable_data<int32_t>();
    for (const Argument& argument : call.arguments) {
      for (int64_t row = 0; row < call.rows; ++row) values[row] += argument.IsNull(row) == nulls;
    }
    return data::ColumnPtr(std::move(out));
  };
}

}  // namespace

void RegisterBoolean(Registry& registry) {
  const char* kUnary = "bool -> bool";
  registry.Function("is_true", kUnary, TruthTest(false, true, false), "IS TRUE").CalledOnNull().Infallible();
  registry.Function("is_not_true", kUnary, TruthTest(true, false, true), "IS NOT TRUE").CalledOnNull().Infallible();
  registry.Function("is_false", kUnary, TruthTest(true, false, false), "IS FALSE").CalledOnNull().Infallible();
  registry.Function("is_not_false", kUnary, TruthTest(false, true, true), "IS NOT FALSE").CalledOnNull().Infallible();
  registry.Function("is_unknown", kUnary, TruthTest(false, false, true), "IS UNKNOWN").CalledOnNull().Infallible();
  registry.Function("is_not_unknown", kUnary, TruthTest(true, true, false), "IS NOT UNKNOWN").CalledOnNull().Infallible();
  registry.Function("num_nulls", "variadic any -> int4", CountNulls(true), "number of arguments that are NULL").CalledOnNull();
  registry.Function("num_nonnulls", "variadic any -> int4", CountNulls(false), "number of arguments that are not NULL").CalledOnNull();
}

}  // namespace kappa::expr
