// `kappa user`: the users of a server, in its file of users.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace kappa::cli {

void AddUserCommands(CLI::App& app, std::function<int()>* run);

}  // namespace kappa::cli
