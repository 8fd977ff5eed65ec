// ARRAY[..], subscripts, and comparisons with ANY or ALL elements of an array.
#include "expr/call.h"

namespace kappa::expr {

Result<ExprPtr> MakeArrayComparison(std::string_view, ExprPtr, ExprPtr, bool, int position) {
  return Error(sqlstate::kFeatureNotSupported, "ANY and ALL over arrays are not supported").At(position);
}
Result<ExprPtr> MakeArray(std::vector<ExprPtr>, int position) { return Error(sqlstate::kFeatureNotSupported, "ARRAY[] is not supported").At(position); }
Result<ExprPtr> MakeSubscript(ExprPtr, ExprPtr, int position) { return Error(sqlstate::kFeatureNotSupported, "subscripts are not supported").At(position); }

}  // namespace kappa::expr
