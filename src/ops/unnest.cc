// Unnest: a row for each element of an array.
#include "ops/factories.h"

namespace kappa::ops {

Result<std::unique_ptr<Operator>> MakeUnnest(const plan::Unnest&, const OperatorOptions&) {
  return Error(sqlstate::kFeatureNotSupported, "unnest is not supported");
}

}  // namespace kappa::ops
