// The command line: one sub-command a verb. `kappa --help` teaches.
#include "cli/main.h"

#include <CLI/CLI.hpp>

#include "cli/run.h"
#include "cli/serve.h"
#include "cli/topic.h"
#include "cli/user.h"
#include "cli/views.h"

namespace kappa::cli {

int Main(int argc, char** argv) {
  CLI::App app{
      "kappa: an immutable event log, live SQL views over it, and new versions of them by replay.\n\n"
      "  kappa serve                          start the server\n"
      "  kappa topic produce orders FILE      append events\n"
      "  kappa sql -c 'CREATE STREAM ..'      declare streams and views (or use psql)\n"
      "  kappa status                         see what runs\n"
      "  kappa compare VIEW 1 2               two versions, row by row\n"
      "  kappa promote VIEW 2                 switch; kappa rollback VIEW switches back\n"
      "  kappa verify VIEW                    prove that a replay gives the same rows\n"
      "  kappa user add NAME                  who may connect, when the server asks\n"
      "  kappa run FILE.sql --input ..        the same SQL over files, without a server\n",
      "kappa"};
  app.set_version_flag("--version", "kappa 0.1.0");
  app.require_subcommand(1);
  app.footer("kappa COMMAND --help tells more. Exit status: 0 done, 1 failed, 2 wrong usage.");
  std::function<int()> run;
  AddServeCommand(app, &run);
  AddRunCommand(app, &run);
  AddViewCommands(app, &run);
  AddTopicCommands(app, &run);
  AddUserCommands(app, &run);
  AddGenerateCommand(app, &run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) { return app.exit(error) == 0 ? 0 : 2; }
  return run ? run() : 2;
}

}  // namespace kappa::cli
