#include "cli/main.h"

namespace kappa::cli {
int Main(int, char**) { return 2; }
}  // namespace kappa::cli
