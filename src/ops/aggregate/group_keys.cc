#include "ops/aggregate/group_keys.h"

#include "data/numeric.h"

namespace kappa::ops {

data::Batch AsShown(data::Batch keys) {
  for (data::ColumnPtr& column : keys.columns) {
    const data::Type& type = column->type();
    if (type.id != data::TypeId::kNumeric || type.modifier < 0 || data::NumericScale(type.modifier) <= 0) continue;
    data::ColumnBuilder builder(type, column->size());
    for (int64_t i = 0; i < column->size(); ++i) {
      if (column->IsNull(i)) {
        builder.AppendNull();
        continue;
      }
      auto number = data::Numeric::FromBytes(column->data<data::StringView>()[i].view());
      auto scaled = number.Round(data::NumericScale(type.modifier));  // only ever adds zeros
      builder.AppendBytes((scaled.ok() ? *scaled : number).ToBytes());
    }
    column = builder.Finish();
  }
  return keys;
}

}  // namespace kappa::ops
