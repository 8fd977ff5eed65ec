// kappa run and kappa generate: batch mode, and input for it.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace kappa::cli {
void AddRunCommand(CLI::App& app, std::function<int()>* run);
void AddGenerateCommand(CLI::App& app, std::function<int()>* run);
}  // namespace kappa::cli
