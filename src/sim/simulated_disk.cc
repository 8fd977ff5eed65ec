// Durability as POSIX promises it, and nothing more.
#include "sim/simulated_disk.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/hash.h"

namespace kappa::sim {
namespace {

constexpr uint64_t kSectorBytes = 512;
// Changes of names are rare, and the moments around them matter: so much likelier is a death, for so many calls from one on.
constexpr double kNamesCrashWeight = 10;
constexpr int kCallsAfterNames = 20;

uint64_t SectorOf(uint64_t position) { return position / kSectorBytes; }

}  // namespace

SimulatedDisk::SimulatedDisk(const std::string& folder, Random& random) : random_(random) {
  root_->folder = true;
  MakeFolder(folder);
  SyncFolder("");
}

void SimulatedDisk::Dirty(Node& file, uint64_t sector) {
  file.dirty.insert(sector);
  if (file.dirtied != nullptr) file.dirtied->insert(sector);
}

/// Every call that changes something passes here: it becomes part of the history, and may be the last one.
void SimulatedDisk::Step(const char* call, const std::string& what) {
  ++calls_;
  history_ = Hash64(what, Hash64(call, history_));
  if (calls_ == dies_at_call || Crashes()) {
    KillProcess();
    throw SimulatedCrash{std::string("killed in ") + call};
  }
}

/// A change of names: this and the next calls are likelier to be the last.
void SimulatedDisk::NamesStep(const char* call, const std::string& what) {
  calls_after_names_ = kCallsAfterNames;
  Step(call, what);
}

bool SimulatedDisk::Crashes() {
  const double weight = calls_after_names_ > 0 ? kNamesCrashWeight : 1;
  if (calls_after_names_ > 0) --calls_after_names_;
  return Chance(random_, faults.crash * weight);
}

void SimulatedDisk::KillProcess() {
  dead_ = true;
  first_alive_ = next_descriptor_;
  open_.clear();
}

void SimulatedDisk::EndProcess(const Status& failed) {
  if (dead_) return;
  KillProcess();
  throw SimulatedCrash{failed.ToString()};
}

SimulatedDisk::NodePtr SimulatedDisk::Find(const std::string& path) const {
  NodePtr node = root_;
  for (size_t at = 0; at < path.size() && node != nullptr;) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) {
      auto found = node->names.find(path.substr(at, end - at));
      node = found == node->names.end() ? nullptr : found->second;
    }
    at = end + 1;
  }
  return node;
}

SimulatedDisk::NodePtr SimulatedDisk::ParentOf(const std::string& path, std::string& name) const {
  const size_t slash = path.rfind('/');
  name = path.substr(slash + 1);
  return slash == path.npos ? root_ : Find(path.substr(0, slash));
}

SimulatedDisk::Node* SimulatedDisk::FileOf(int descriptor) {
  if (descriptor < first_alive_) return nullptr;
  auto found = open_.find(descriptor);
  KAPPA_CHECK(found != open_.end());
  return found->second.get();
}

void SimulatedDisk::Apply(const Change& change) {
  if (change.from != nullptr) change.from->durable_names.erase(change.from_name);
  if (change.to != nullptr) change.to->durable_names[change.to_name] = change.node;
}

int SimulatedDisk::Open(const std::string& path, int flags, int& descriptor) {
  if (dead_) return EIO;
  std::string name;
  NodePtr parent = ParentOf(path, name);
  if (parent == nullptr) return ENOENT;
  auto found = parent->names.find(name);
  if ((flags & O_CREAT) != 0) {
    NamesStep("create", path);
    if (found != parent->names.end() && (flags & O_EXCL) != 0) return EEXIST;
    if (found == parent->names.end()) {
      if (Chance(random_, faults.full)) return ENOSPC;
      found = parent->names.emplace(name, std::make_shared<Node>()).first;
      changes_.push_back({.to = parent.get(), .to_name = name, .node = found->second, .kept = {parent}});
    }
  }
  if (found == parent->names.end()) return ENOENT;
  if (found->second->folder) return EISDIR;
  descriptor = next_descriptor_++;
  open_[descriptor] = found->second;
  return 0;
}

void SimulatedDisk::Close(int descriptor) { open_.erase(descriptor); }

int SimulatedDisk::Read(int descriptor, uint64_t position, char* into, size_t bytes, size_t& got) {
  got = 0;
  const Node* file = FileOf(descriptor);
  if (file == nullptr || Chance(random_, faults.read_fails)) return EIO;
  if (position >= file->bytes.size()) return 0;
  got = std::min<size_t>(bytes, file->bytes.size() - position);
  if (got > 1 && Chance(random_, 0.05)) got = 1 + Below(random_, got);  // short, as it may be
  std::memcpy(into, file->bytes.data() + position, got);
  return 0;
}

int SimulatedDisk::Write(int descriptor, uint64_t position, const iovec* pieces, int count, size_t& put) {
  put = 0;
  std::string data;
  for (int i = 0; i < count; ++i) data.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  Node* file = FileOf(descriptor);
  if (file == nullptr) {
    put = data.size();
    return 0;
  }
  const NodePtr kept = open_[descriptor];
  ++calls_;
  int error = 0;
  bool crash = false;
  if (calls_ == dies_at_call) crash = true;
  else if (Chance(random_, faults.write_fails)) error = EIO;
  else if (Chance(random_, faults.full)) error = ENOSPC;
  else crash = Crashes();
  // What fails, and what a death interrupts, has written any part; a call that succeeds may write less than it was asked.
  const bool part = error != 0 || crash || Chance(random_, 0.02);
  if (part) data.resize(error != 0 || crash ? Below(random_, data.size() + 1) : 1 + Below(random_, data.size()));
  history_ = Hash64(data, Hash64("write", history_ + position));
  if (!data.empty()) {
    if (file->bytes.size() < position) {
      for (uint64_t sector = SectorOf(file->bytes.size()); sector <= SectorOf(position); ++sector) Dirty(*file, sector);
      file->bytes.resize(position, '\0');
    }
    file->bytes.replace(position, std::min(data.size(), file->bytes.size() - position), data);
    for (uint64_t sector = SectorOf(position); sector <= SectorOf(position + data.size() - 1); ++sector) Dirty(*file, sector);
  }
  if (crash) {
    KillProcess();
    throw SimulatedCrash{"killed in write"};
  }
  if (error == 0) put = data.size();
  return error;
}

int SimulatedDisk::Sync(int descriptor) {
  Node* file = FileOf(descriptor);
  if (file == nullptr) return 0;
  const NodePtr kept = open_[descriptor];
  Step("sync", std::to_string(file->bytes.size()));
  const bool fails = Chance(random_, faults.sync_fails);
  const std::string bytes = file->bytes;
  const std::set<uint64_t> dirty = file->dirty;
  const uint64_t syncs = file->syncs;
  std::set<uint64_t> dirtied;
  if (during_sync && !in_sync_) {
    struct Leave {
      bool& in_sync;
      Node& file;
      ~Leave() {
        in_sync = false;
        file.dirtied = nullptr;
      }
    } leave{in_sync_, *file};
    in_sync_ = true;
    file->dirtied = &dirtied;
    during_sync();
  }
  if (file->syncs != syncs) return 0;  // another sync came and went meanwhile, and took all of this with it
  ++file->syncs;
  file->dirty = std::move(dirtied);
  if (fails) return EIO;  // and the pages stay clean: a second sync would write nothing
  file->durable_bytes.resize(bytes.size());
  for (uint64_t sector : dirty) {
    const uint64_t from = sector * kSectorBytes;
    if (from >= bytes.size()) continue;
    file->durable_bytes.replace(from, std::min<uint64_t>(kSectorBytes, bytes.size() - from), bytes, from, kSectorBytes);
  }
  return 0;
}

int SimulatedDisk::Truncate(int descriptor, uint64_t bytes) {
  Node* file = FileOf(descriptor);
  if (file == nullptr) return 0;
  Step("truncate", std::to_string(bytes));
  if (Chance(random_, faults.write_fails)) return EIO;
  if (bytes > file->bytes.size()) {
    for (uint64_t sector = SectorOf(file->bytes.size()); sector <= SectorOf(bytes); ++sector) Dirty(*file, sector);
  } else {
    Dirty(*file, SectorOf(bytes));
  }
  file->bytes.resize(bytes, '\0');
  return 0;
}

int SimulatedDisk::Preallocate(int descriptor, uint64_t, uint64_t) { return FileOf(descriptor) != nullptr && Chance(random_, 0.1) ? ENOSPC : 0; }

int SimulatedDisk::Size(int descriptor, uint64_t& bytes) {
  const Node* file = FileOf(descriptor);
  if (file == nullptr) return EIO;
  bytes = file->bytes.size();
  return 0;
}

int SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  if (dead_) return 0;
  NamesStep("rename", from + " " + to);
  std::string from_name, to_name;
  NodePtr from_parent = ParentOf(from, from_name), to_parent = ParentOf(to, to_name);
  if (from_parent == nullptr || to_parent == nullptr || !from_parent->names.contains(from_name)) return ENOENT;
  if (Chance(random_, faults.full)) return ENOSPC;
  NodePtr node = from_parent->names[from_name];
  if (auto there = to_parent->names.find(to_name); there != to_parent->names.end() && there->second->folder && !there->second->names.empty())
    return ENOTEMPTY;
  from_parent->names.erase(from_name);
  to_parent->names[to_name] = node;
  changes_.push_back({from_parent.get(), from_name, to_parent.get(), to_name, node, {from_parent, to_parent}});
  return 0;
}

int SimulatedDisk::Unlink(const std::string& path) {
  if (dead_) return 0;
  std::string name;
  NodePtr parent = ParentOf(path, name);
  if (parent == nullptr || !parent->names.contains(name)) return ENOENT;
  NamesStep("unlink", path);
  if (parent->names[name]->folder) return EISDIR;
  parent->names.erase(name);
  changes_.push_back({.from = parent.get(), .from_name = name, .kept = {parent}});
  return 0;
}

int SimulatedDisk::MakeFolder(const std::string& path) {
  if (dead_) return 0;
  std::string name;
  NodePtr parent = ParentOf(path, name);
  if (parent == nullptr) return ENOENT;
  if (parent->names.contains(name)) return EEXIST;
  NamesStep("mkdir", path);
  if (Chance(random_, faults.full)) return ENOSPC;
  auto folder = std::make_shared<Node>();
  folder->folder = true;
  parent->names[name] = folder;
  changes_.push_back({.to = parent.get(), .to_name = name, .node = folder, .kept = {parent}});
  return 0;
}

/// What was changed in this folder becomes durable, and of other folders what came before in the same changes.
int SimulatedDisk::SyncFolder(const std::string& path) {
  if (dead_) return 0;
  Step("folder sync", path);
  NodePtr folder = Find(path);
  if (folder == nullptr) return ENOENT;
  if (Chance(random_, faults.sync_fails)) return EIO;
  std::set<const Node*> touched{folder.get()};
  std::vector<bool> chosen(changes_.size());
  for (size_t i = changes_.size(); i-- > 0;) {
    const Change& change = changes_[i];
    if (!touched.contains(change.from) && !touched.contains(change.to)) continue;
    chosen[i] = true;
    if (change.from != nullptr) touched.insert(change.from);
    if (change.to != nullptr) touched.insert(change.to);
  }
  MakeDurable(chosen);
  return 0;
}

void SimulatedDisk::MakeDurable(const std::vector<bool>& chosen) {
  std::vector<Change> left;
  for (size_t i = 0; i < changes_.size(); ++i) {
    if (chosen[i]) Apply(changes_[i]);
    else left.push_back(std::move(changes_[i]));
  }
  changes_ = std::move(left);
}

int SimulatedDisk::List(const std::string& folder, std::vector<std::string>& names) {
  if (dead_) return EIO;
  NodePtr node = Find(folder);
  if (node == nullptr) return ENOENT;
  if (!node->folder) return ENOTDIR;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return 0;
}

Status SimulatedDisk::RemoveTree(const std::string& folder) {
  if (dead_) return {};
  NodePtr node = Find(folder);
  if (node == nullptr) return {};
  while (!node->names.empty()) {
    const std::string path = folder + "/" + node->names.begin()->first;
    if (node->names.begin()->second->folder) {
      KAPPA_RETURN_IF_ERROR(RemoveTree(path));
    } else {
      Unlink(path);
    }
  }
  std::string name;
  NodePtr parent = ParentOf(folder, name);
  NamesStep("rmdir", folder);
  parent->names.erase(name);
  changes_.push_back({.from = parent.get(), .from_name = name, .kept = {parent}});
  return {};
}

io::Disk::Kind SimulatedDisk::KindOf(const std::string& path, bool) {
  NodePtr node = Find(path);
  return node == nullptr ? Kind::kMissing : node->folder ? Kind::kFolder : Kind::kFile;
}

int SimulatedDisk::FreeBytes(const std::string&, uint64_t& bytes) {
  bytes = 1ull << 40;
  return 0;
}

/// Of each folder a prefix of its changes survives; a rename between two only when both came that far.
void SimulatedDisk::CutPower() {
  KillProcess();
  const double survives = Chance(random_, 0.3) ? 0 : Chance(random_, 0.3) ? 1 : 0.7;
  std::set<const Node*> ended;
  std::vector<bool> chosen(changes_.size());
  for (size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    chosen[i] = Chance(random_, survives) && !ended.contains(change.from) && !ended.contains(change.to);
    if (chosen[i]) continue;
    if (change.from != nullptr) ended.insert(change.from);
    if (change.to != nullptr) ended.insert(change.to);
  }
  ended.erase(nullptr);
  MakeDurable(chosen);
  changes_.clear();
  Settle(root_);
}

/// Makes what is durable all that there is.
void SimulatedDisk::Settle(const NodePtr& folder) {
  folder->names = folder->durable_names;
  for (const auto& [name, node] : folder->names) {
    if (node->folder) Settle(node);
    else LoseSectors(*node);
  }
}

/// Each dirty sector is there, or not; the size is the old or the new one, or in between.
void SimulatedDisk::LoseSectors(Node& file) {
  const double survives = Chance(random_, 0.3) ? 0 : Chance(random_, 0.3) ? 1 : 0.5;
  const std::string bytes = std::exchange(file.bytes, file.durable_bytes);
  const uint64_t low = std::min(bytes.size(), file.durable_bytes.size()), high = std::max(bytes.size(), file.durable_bytes.size());
  if (!file.dirty.empty())
    file.bytes.resize(Chance(random_, 0.3)   ? file.durable_bytes.size()
                      : Chance(random_, 0.5) ? bytes.size()
                                             : low + Below(random_, high - low + 1),
                      '\0');
  for (uint64_t sector : std::exchange(file.dirty, {})) {
    const uint64_t from = sector * kSectorBytes;
    if (from >= bytes.size() || from >= file.bytes.size() || !Chance(random_, survives)) continue;
    const uint64_t length = std::min({kSectorBytes, bytes.size() - from, file.bytes.size() - from});
    file.bytes.replace(from, length, bytes, from, length);
  }
  file.durable_bytes = file.bytes;
}

void SimulatedDisk::Files(const NodePtr& folder, const std::string& path, std::vector<std::pair<std::string, NodePtr>>& found) const {
  for (const auto& [name, node] : folder->names) {
    if (node->folder) Files(node, path + "/" + name, found);
    else found.emplace_back(path + "/" + name, node);
  }
}

std::optional<std::pair<std::string, uint64_t>> SimulatedDisk::RotBit(const std::string& part, uint64_t from) {
  std::vector<std::pair<std::string, NodePtr>> files;
  Files(root_, "", files);
  std::erase_if(files, [&](const auto& file) { return file.second->bytes.size() <= from || file.first.find(part) == std::string::npos; });
  if (files.empty()) return std::nullopt;
  auto& [path, node] = files[Below(random_, files.size())];
  const uint64_t position = from + Below(random_, node->bytes.size() - from);
  const char flipped = static_cast<char>(node->bytes[position] ^ static_cast<char>(1 << Below(random_, 8)));
  node->bytes[position] = flipped;
  if (position < node->durable_bytes.size()) node->durable_bytes[position] = flipped;
  return std::pair(path, position);
}

uint64_t SimulatedDisk::Digest() const {
  std::vector<std::pair<std::string, NodePtr>> files;
  Files(root_, "", files);
  uint64_t hash = history_;
  for (const auto& [path, node] : files) hash = Hash64(node->bytes, Hash64(path, hash));
  return hash;
}

}  // namespace kappa::sim
