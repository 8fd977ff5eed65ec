// A disk in memory that forgets what a real one may forget: unsynced writes, names in unsynced folders, parts of both.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "io/disk.h"

namespace kappa::sim {

using Random = std::mt19937_64;
inline bool Chance(Random& random, double probability) { return std::uniform_real_distribution<>()(random) < probability; }
inline uint64_t Below(Random& random, uint64_t bound) { return bound == 0 ? 0 : random() % bound; }

/// The simulated process has died: thrown through the code under test, up to the simulation. What that code then does while it is taken
/// down (a Log commits when it is closed) goes nowhere: the disk takes all calls of descriptors opened before for done.
struct SimulatedCrash {
  std::string reason;
};

struct DiskFaults {
  double crash = 0;       // each of these, at any call that changes something; the process dies in the middle
  double sync_fails = 0;  // EIO; the pages count as clean from then on, although they were not written
  double write_fails = 0;
  double read_fails = 0;
  double full = 0;        // ENOSPC, after a part was written
};

/// Files are bytes, of which each sector of 512 is either on the disk or dirty. A folder's names are durable once it was synced; a
/// rename between two folders happens in both or in neither. One thread.
class SimulatedDisk final : public io::Disk {
 public:
  /// An empty disk, to be mounted at `folder`.
  SimulatedDisk(const std::string& folder, Random& random);

  DiskFaults faults;
  /// The number of the call at which the process dies, as counted by calls(); 0: none.
  uint64_t dies_at_call = 0;
  /// Called in the middle of a Sync that takes long: others go on meanwhile. What they write is not part of the sync.
  std::function<void()> during_sync;

  /// A new process: calls count again.
  void BeginProcess() { dead_ = false; }
  /// The process is gone; the page cache stays. Open descriptors are void.
  void KillProcess();
  /// The power is gone: of what was not synced, any part may be there. Implies KillProcess.
  void CutPower();
  /// Flips one bit at or behind `from` of a file whose path contains `part`, durably: the path and the position, or none when there is no such file.
  std::optional<std::pair<std::string, uint64_t>> RotBit(const std::string& part, uint64_t from);
  /// Of all that the disk has now, and of everything that was ever asked of it.
  uint64_t Digest() const;
  /// How many calls changed something.
  uint64_t calls() const { return calls_; }
  /// Of the page cache, by those who asked for it. What they read then is the same.
  uint64_t dropped_bytes() const { return dropped_bytes_; }

  int Open(const std::string& path, int flags, int& descriptor) override;
  void Close(int descriptor) override;
  int Read(int descriptor, uint64_t position, char* into, size_t bytes, size_t& got) override;
  int Write(int descriptor, uint64_t position, const iovec* pieces, int count, size_t& put) override;
  int Sync(int descriptor) override;
  int Truncate(int descriptor, uint64_t bytes) override;
  int Preallocate(int descriptor, uint64_t position, uint64_t bytes) override;
  int Size(int descriptor, uint64_t& bytes) override;
  int SendTo(int, int, uint64_t, size_t, size_t&) override { return ENOTSUP; }  // there are no sockets
  void DropFromCache(int, uint64_t, uint64_t bytes) override { dropped_bytes_ += bytes; }
  int Rename(const std::string& from, const std::string& to) override;
  int Unlink(const std::string& path) override;
  int MakeFolder(const std::string& path) override;
  int SyncFolder(const std::string& path) override;
  int List(const std::string& folder, std::vector<std::string>& names) override;
  Status RemoveTree(const std::string& folder) override;
  Kind KindOf(const std::string& path, bool follow) override;
  int FreeBytes(const std::string& path, uint64_t& bytes) override;
  int Lock(int) override { return 0; }
  int ProcessId() const override { return 1; }
  void EndProcess(const Status& failed) override;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Names = std::map<std::string, NodePtr>;
  struct Node {
    bool folder = false;
    // of a file
    std::string bytes, durable_bytes;
    std::set<uint64_t> dirty;  // numbers of sectors
    std::set<uint64_t>* dirtied = nullptr;  // during a sync: those that were written meanwhile
    uint64_t syncs = 0;
    // of a folder
    Names names, durable_names;
  };
  /// A change of names that is not durable yet: `node` comes to `to`, leaves `from`; either may be missing.
  struct Change {
    Node* from = nullptr;
    std::string from_name;
    Node* to = nullptr;
    std::string to_name;
    NodePtr node;
    std::vector<NodePtr> kept;  // folders that it names live as long as it
  };

  uint64_t dropped_bytes_ = 0;

  void Step(const char* call, const std::string& what);
  void NamesStep(const char* call, const std::string& what);
  bool Crashes();
  static void Dirty(Node& file, uint64_t sector);
  NodePtr Find(const std::string& path) const;
  NodePtr ParentOf(const std::string& path, std::string& name) const;
  Node* FileOf(int descriptor);
  void Apply(const Change& change);
  void MakeDurable(const std::vector<bool>& chosen);
  void LoseSectors(Node& file);
  void Settle(const NodePtr& folder);
  void HashTree(const NodePtr& folder, const std::string& path, uint64_t& hash) const;
  void Files(const NodePtr& folder, const std::string& path, std::vector<std::pair<std::string, NodePtr>>& found) const;

  Random& random_;
  NodePtr root_ = std::make_shared<Node>();
  std::vector<Change> changes_;  // oldest first
  std::map<int, NodePtr> open_;
  int next_descriptor_ = 3;
  int first_alive_ = 3;  // descriptors below are of processes that died
  bool dead_ = false;  // until BeginProcess
  bool in_sync_ = false;
  int calls_after_names_ = 0;  // how many are still near a change of names
  uint64_t calls_ = 0;
  uint64_t history_ = 0;
};

}  // namespace kappa::sim
