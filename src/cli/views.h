// Commands that talk to a running server about views: sql, status, plan, compare, route, promote, rollback, replay, verify.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace kappa::cli {
void AddViewCommands(CLI::App& app, std::function<int()>* run);
}  // namespace kappa::cli
