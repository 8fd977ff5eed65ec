// The users of a server: a file of names and verifiers, and that file as a running server sees it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "auth/scram.h"
#include "base/error.h"

namespace kappa::sqlstate {
inline constexpr const char* kInvalidPassword = "28P01";
inline constexpr const char* kInvalidAuthorization = "28000";
}  // namespace kappa::sqlstate

namespace kappa::auth {

inline constexpr size_t kUserNameBytesMax = 63;
inline constexpr size_t kPasswordBytesMax = 1024;

/// Letters, digits and "._@-", at most kUserNameBytesMax; else invalid_parameter_value.
Status CheckUserName(std::string_view name);
/// Printable ASCII, from 1 to kPasswordBytesMax bytes; else invalid_parameter_value. The error does not show it.
Status CheckPassword(std::string_view password);

struct User {
  Verifier sha256, sha512;
  const Verifier& Of(Hash hash) const { return hash == Hash::kSha256 ? sha256 : sha512; }
};
/// With new salts.
User MakeUser(std::string_view password, int iterations = kIterations);

/// The file's contents. Format: docs/formats/users.md.
struct UserFile {
  /// What salts of users that do not exist are made of: a name's salt must stay the same over restarts.
  std::string unknown_key;
  std::map<std::string, User, std::less<>> users;

  static UserFile Make() { return {.unknown_key = RandomBytes(32), .users = {}}; }
  /// Fails with data_corrupted, naming `path` and the line.
  static Result<UserFile> Parse(const std::string& path, std::string_view text);
  std::string Text() const;
};

/// Reads the file, lets `change` have it, and writes it so that only its owner can read it. A missing file is an empty one.
Status ChangeUserFile(const std::string& path, const std::function<Status(UserFile&)>& change);

/// Thread-safe.
class Users {
 public:
  /// Fails with undefined_file when it is missing. `on_error` is told, once for each state of the file, why it could not be read again.
  static Result<std::unique_ptr<Users>> Open(std::string path, std::function<void(const Error&)> on_error = {});

  struct Found {
    bool known = false;
    Verifier verifier;  // of a user that does not exist: one that no password fits
  };
  /// Looks whether the file changed, and reads it again.
  Found Find(std::string_view name, Hash hash);
  /// The same, and gives all of them.
  std::map<std::string, User, std::less<>> All();

 private:
  /// Tells one state of a file from another.
  struct Stamp {
    int64_t modified_ns = 0;
    uint64_t inode = 0, bytes = 0;
    bool operator==(const Stamp&) const = default;
  };
  Users(std::string path, std::function<void(const Error&)> on_error) : path_(std::move(path)), on_error_(std::move(on_error)) {}
  Stamp StampOfFile() const;
  Status Read();   // under mutex_
  void Refresh();  // under mutex_

  const std::string path_;
  const std::function<void(const Error&)> on_error_;
  std::mutex mutex_;
  Stamp stamp_;    // guarded by mutex_, as file_ is
  UserFile file_;
};

}  // namespace kappa::auth
