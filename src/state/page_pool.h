// The memory of pages: slabs of 2 MiB in huge pages where the system gives them, shared by all arenas of the process; beyond
// the process's bound, slabs of the spill file.
#pragma once

#include "state/arena.h"

namespace kappa::state {

/// A page that returns to the pool when its last holder lets go, from any thread. Its bytes are zero when `zeroed`, else
/// anything. Slabs that fall empty go back to the system, but for a few.
PagePtr NewPage(bool zeroed);

}  // namespace kappa::state
