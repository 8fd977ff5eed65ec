// The keys of groups as a user sees them.
#pragma once

#include "data/batch.h"

namespace kappa::ops {

/// Keys lie without trailing zeros, so that equal ones are the same bytes. Where the type says how many digits follow the point, they are
/// shown with them again.
data::Batch AsShown(data::Batch keys);

}  // namespace kappa::ops
