// kappa topic: create, list, describe, delete, produce, consume, groups, offsets, verify.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace kappa::cli {
/// Adds the commands; when the line names one, `*run` is set to what gives the exit status.
void AddTopicCommands(CLI::App& app, std::function<int()>* run);
}  // namespace kappa::cli
