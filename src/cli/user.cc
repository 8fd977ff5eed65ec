#include "cli/user.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "auth/users.h"
#include "cli/client.h"
#include "cli/serve_security.h"
#include "io/folder.h"

namespace kappa::cli {
namespace {

struct UserArguments {
  std::string data = DefaultDataFolder();
  std::string users_file;
  std::string name;
  std::string path() const { return UsersFile(users_file, data); }
};

/// A terminal that does not show what is typed.
class NoEcho {
 public:
  NoEcho() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
  }
  ~NoEcho() { ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_); }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  termios before_{};
};

Result<std::string> ReadPassword(const std::string& name) {
  std::string password;
  if (::isatty(STDIN_FILENO) == 0) {
    std::getline(std::cin, password);
    KAPPA_RETURN_IF_ERROR(auth::CheckPassword(password));
    return password;
  }
  std::string again;
  {
    const NoEcho quiet;
    fmt::print(stderr, "Password for user \"{}\": ", name);
    std::getline(std::cin, password);
    fmt::print(stderr, "\nThe same again: ");
    std::getline(std::cin, again);
    fmt::print(stderr, "\n");
  }
  if (password != again) return Error(sqlstate::kInvalidParameterValue, "the passwords are not the same");
  KAPPA_RETURN_IF_ERROR(auth::CheckPassword(password));
  return password;
}

int Done(const Status& status, const std::string& text) {
  if (!status.ok()) {
    PrintError(status.error());
    return 1;
  }
  fmt::print("{}\n", text);
  return 0;
}

Error NoSuchUser(const UserArguments& arguments) {
  return Error(sqlstate::kUndefinedObject, fmt::format("user \"{}\" does not exist in \"{}\"", arguments.name, arguments.path()))
      .Hint("See who does with \"kappa user list\".");
}

/// `is_new`: the user must not exist; else it must.
int SetPassword(const UserArguments& arguments, bool is_new) {
  Status checked = auth::CheckUserName(arguments.name);
  if (!checked.ok()) return Done(checked, "");
  Result<std::string> password = ReadPassword(arguments.name);
  if (!password.ok()) return Done(password.error(), "");
  Status changed = auth::ChangeUserFile(arguments.path(), [&](auth::UserFile& file) -> Status {
    const bool exists = file.users.contains(arguments.name);
    if (exists && is_new) {
      return Error(sqlstate::kDuplicateObject, fmt::format("user \"{}\" already exists", arguments.name))
          .Hint("Change the password with \"kappa user password\".");
    }
    if (!exists && !is_new) return NoSuchUser(arguments);
    file.users.insert_or_assign(arguments.name, auth::MakeUser(*password));
    return Status::Ok();
  });
  OPENSSL_cleanse(password->data(), password->size());
  return Done(changed,
              is_new ? fmt::format("added user \"{}\"", arguments.name) : fmt::format("changed the password of user \"{}\"", arguments.name));
}

int DeleteUser(const UserArguments& arguments) {
  Status changed = auth::ChangeUserFile(arguments.path(), [&](auth::UserFile& file) -> Status {
    return file.users.erase(arguments.name) == 1 ? Status::Ok() : Status(NoSuchUser(arguments));
  });
  return Done(changed, fmt::format("deleted user \"{}\"", arguments.name));
}

int ListUsers(const UserArguments& arguments) {
  Result<std::string> text = io::ReadWholeFile(arguments.path());
  if (!text.ok()) return Done(text.error(), "");
  Result<auth::UserFile> file = auth::UserFile::Parse(arguments.path(), *text);
  if (!file.ok()) return Done(file.error(), "");
  for (const auto& [name, user] : file->users) fmt::print("{}\n", name);
  return 0;
}

}  // namespace

void AddUserCommands(CLI::App& app, std::function<int()>* run) {
  auto arguments = std::make_shared<UserArguments>();
  CLI::App* command = app.add_subcommand("user", "Users that clients authenticate as");
  command->require_subcommand(1);
  command->footer(
      "A password is asked for at the terminal, or read from standard input, one line; it is never an argument.\n"
      "A running server sees a change with the next authentication; sessions that are open go on.\n\n"
      "Example: kappa user add ann --data ./kappa-data");
  auto verb = [&](const char* name, const char* text, bool takes_name, std::function<int(const UserArguments&)> act) {
    CLI::App* sub = command->add_subcommand(name, text);
    if (takes_name) sub->add_option("name", arguments->name, "Letters, digits and \"._@-\"")->required();
    sub->add_option("--data", arguments->data, "Data folder whose file of users is meant (or $KAPPA_DATA)")->capture_default_str();
    sub->add_option("--users", arguments->users_file, "Another file of users")->type_name("FILE");
    sub->callback([arguments, run, act = std::move(act)] { *run = [arguments, act] { return act(*arguments); }; });
  };
  verb("add", "Add a user", true, [](const UserArguments& given) { return SetPassword(given, /*is_new=*/true); });
  verb("password", "Change a user's password", true, [](const UserArguments& given) { return SetPassword(given, /*is_new=*/false); });
  verb("delete", "Delete a user", true, DeleteUser);
  verb("list", "Names of all users", false, ListUsers);
}

}  // namespace kappa::cli
