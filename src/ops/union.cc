// Union: UNION ALL passes the batches of every port on.
#include "ops/factories.h"

namespace kappa::ops {
namespace {

// Input        changes of any weight on any port.
// State        none.
// Watermark    passed by.
// Retractions  passed on.
// Cost         none.
// Threads      one at a time.
class Union final : public Operator {
 public:
  Status OnBatch(int, data::ChangeBatch batch, Output& out) override {
    if (batch.rows > 0) out.push_back(std::move(batch));
    return {};
  }
};

}  // namespace

std::unique_ptr<Operator> MakeUnion(const plan::Union&, const OperatorOptions&) { return std::make_unique<Union>(); }

}  // namespace kappa::ops
