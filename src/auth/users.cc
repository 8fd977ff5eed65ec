#include "auth/users.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "io/folder.h"

namespace kappa::auth {
namespace {

constexpr std::string_view kFirstLine = "kappa-users 1";
constexpr uint64_t kFileBytesMax = 64 << 20;

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' || c == '-';
}

/// Held while a file of this folder is read, changed and written.
class Turn {
 public:
  explicit Turn(const std::string& folder) : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ >= 0) ::flock(fd_, LOCK_EX);
  }
  ~Turn() {
    if (fd_ >= 0) ::close(fd_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  const int fd_;
};

}  // namespace

Status CheckUserName(std::string_view name) {
  if (!name.empty() && name.size() <= kUserNameBytesMax && std::ranges::all_of(name, IsNameByte)) return Status::Ok();
  return Error(sqlstate::kInvalidParameterValue, fmt::format("\"{}\" is no name of a user", name.substr(0, kUserNameBytesMax)))
      .Hint(fmt::format("A name has letters, digits and \"._@-\", at most {} of them.", kUserNameBytesMax));
}

Status CheckPassword(std::string_view password) {
  const bool printable = std::ranges::all_of(password, [](char c) { return c >= ' ' && c <= '~'; });
  if (printable && !password.empty() && password.size() <= kPasswordBytesMax) return Status::Ok();
  return Error(sqlstate::kInvalidParameterValue,
               password.empty() ? "the password is empty" : "the password is too long, or has characters that clients encode in different ways")
      .Hint(fmt::format("A password has from 1 to {} printable ASCII characters.", kPasswordBytesMax));
}

User MakeUser(std::string_view password, int iterations) {
  return {.sha256 = MakeVerifier(Hash::kSha256, password, RandomBytes(16), iterations),
          .sha512 = MakeVerifier(Hash::kSha512, password, RandomBytes(16), iterations)};
}

Result<UserFile> UserFile::Parse(const std::string& path, std::string_view text) {
  UserFile file;
  int number = 0;
  const auto wrong = [&](std::string_view what) {
    return Error(sqlstate::kDataCorrupted, fmt::format("file of users \"{}\", line {}: {}", path, number, what))
        .Hint("Restore it from a copy, or remove it and add the users again with \"kappa user add\".");
  };
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    if (end == text.npos) return wrong("the line is cut off");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (number == 1) {
      if (line != kFirstLine) return wrong(fmt::format("\"{}\" expected", kFirstLine));
      continue;
    }
    const auto word = [&] {
      const size_t space = std::min(line.find(' '), line.size());
      const std::string_view out = line.substr(0, space);
      line.remove_prefix(std::min(space + 1, line.size()));
      return out;
    };
    if (number == 2) {
      auto key = word() == "unknown" ? FromBase64(word()) : std::nullopt;
      if (!key || key->size() != 32 || !line.empty()) return wrong("\"unknown\" and a key of 32 bytes expected");
      file.unknown_key = std::move(*key);
      continue;
    }
    if (word() != "user") return wrong("\"user\" expected");
    const std::string_view name = word();
    auto sha256 = ParseVerifier(word()), sha512 = ParseVerifier(word());
    if (!CheckUserName(name).ok()) return wrong("no name of a user");
    if (!sha256 || !sha512 || sha256->hash != Hash::kSha256 || sha512->hash != Hash::kSha512 || !line.empty()) {
      return wrong(fmt::format("user \"{}\" has no valid verifiers", name));
    }
    if (!file.users.emplace(name, User{std::move(*sha256), std::move(*sha512)}).second) return wrong(fmt::format("user \"{}\" is there twice", name));
  }
  if (number < 2) return wrong("the file ends early");
  return file;
}

std::string UserFile::Text() const {
  std::string out = fmt::format("{}\nunknown {}\n", kFirstLine, Base64(unknown_key));
  for (const auto& [name, user] : users) out += fmt::format("user {} {} {}\n", name, VerifierText(user.sha256), VerifierText(user.sha512));
  return out;
}

Status ChangeUserFile(const std::string& path, const std::function<Status(UserFile&)>& change) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Turn turn(folder.empty() ? "." : folder);
  UserFile file = UserFile::Make();
  if (io::Exists(path)) {
    KAPPA_ASSIGN_OR_RETURN(const std::string text, io::ReadWholeFile(path, kFileBytesMax));
    KAPPA_ASSIGN_OR_RETURN(file, UserFile::Parse(path, text));
  }
  KAPPA_RETURN_IF_ERROR(change(file));
  const mode_t before = ::umask(0077);
  Status written = io::WriteFileAtomically(path, file.Text());
  ::umask(before);
  return written;
}

Result<std::unique_ptr<Users>> Users::Open(std::string path, std::function<void(const Error&)> on_error) {
  if (!io::Exists(path)) {
    return Error(sqlstate::kUndefinedFile, fmt::format("file of users \"{}\" does not exist", path))
        .Hint(fmt::format("Make it by adding a user: kappa user add NAME --users {}", path));
  }
  std::unique_ptr<Users> users(new Users(std::move(path), std::move(on_error)));
  const std::lock_guard lock(users->mutex_);
  users->stamp_ = users->StampOfFile();
  KAPPA_RETURN_IF_ERROR(users->Read());
  return users;
}

Users::Stamp Users::StampOfFile() const {
  struct stat status{};
  if (::stat(path_.c_str(), &status) != 0) return {};
  return {status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec, status.st_ino, static_cast<uint64_t>(status.st_size)};
}

Status Users::Read() {
  KAPPA_ASSIGN_OR_RETURN(const std::string text, io::ReadWholeFile(path_, kFileBytesMax));
  KAPPA_ASSIGN_OR_RETURN(file_, UserFile::Parse(path_, text));
  return Status::Ok();
}

void Users::Refresh() {
  const Stamp now = StampOfFile();
  if (now == stamp_) return;
  stamp_ = now;
  if (Status read = Read(); !read.ok() && on_error_) on_error_(read.error());
}

std::map<std::string, User, std::less<>> Users::All() {
  const std::lock_guard lock(mutex_);
  Refresh();
  return file_.users;
}

Users::Found Users::Find(std::string_view name, Hash hash) {
  const std::lock_guard lock(mutex_);
  Refresh();
  // Both are made whether the user exists or not, so that the time tells nothing.
  const int iterations = file_.users.empty() ? kIterations : file_.users.begin()->second.Of(hash).iterations;
  Found found{.verifier = {.hash = hash,
                           .iterations = iterations,
                           .salt = Hmac(Hash::kSha256, file_.unknown_key, fmt::format("salt {} {}", static_cast<int>(hash), name)).substr(0, 16),
                           .stored_key = Hmac(hash, file_.unknown_key, fmt::format("stored {}", name)),
                           .server_key = Hmac(hash, file_.unknown_key, fmt::format("server {}", name))}};
  if (const auto at = file_.users.find(name); at != file_.users.end()) found = {.known = true, .verifier = at->second.Of(hash)};
  return found;
}

}  // namespace kappa::auth
