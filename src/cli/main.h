// The command line's entry point.
#pragma once

namespace kappa::cli {
/// Exit status: 0 done, 1 failed, 2 usage.
int Main(int argc, char** argv);
}  // namespace kappa::cli
