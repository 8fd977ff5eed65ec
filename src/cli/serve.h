// kappa serve: the log, the engine and all listeners in one process.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace kappa::cli {
/// Adds the command; when the line names it, `*run` is set to what gives the exit status.
void AddServeCommand(CLI::App& app, std::function<int()>* run);
}  // namespace kappa::cli
