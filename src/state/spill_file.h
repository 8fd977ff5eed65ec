// The spill file: slabs of pages mapped from an unnamed file, of which a bounded number of bytes is in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"

namespace kappa::state {

inline constexpr size_t kSlabBytes = 2u << 20;

/// The mapping is shared with the file, so the system may drop any page that it has written, and brings it back when it is
/// touched; nobody who holds a pointer notices. Which pages go is decided here, not by the system's shortage: a clock passes
/// over the slabs. It takes a slab out of the page table and begins to write it; some slabs later it looks again, and what was
/// not touched meanwhile leaves memory.
///
/// Threads: all calls from any thread. Disk: a slab's blocks are allocated before it is used, so a full disk is an error of
/// AddSlab and never a SIGBUS. An I/O error on reading ends the process by SIGBUS: state is rebuilt from the log.
class SpillFile {
 public:
  /// Fails with io_error.
  static Result<std::unique_ptr<SpillFile>> Open(const std::string& folder);
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;
  ~SpillFile();

  /// A slab of zeroes, aligned to its size. Fails with disk_full, and io_error.
  Result<char*> AddSlab();
  /// Gives its blocks back to the disk.
  void RemoveSlab(char* slab);
  /// Before a page is overwritten as a whole: spares reading it back when it is out. The bytes may become zero.
  void Forget(char* page, size_t bytes);
  /// Begins to read what is out.
  void BeginRead(const char* address, size_t bytes);
  bool Holds(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(base_) < slabs_max_ * kSlabBytes;
  }

  /// Bytes in memory, as good as the system tells.
  uint64_t resident_bytes() const;
  uint64_t file_bytes() const { return slabs_.load() * kSlabBytes; }
  /// Sends pages out until at most `bytes` are in memory, or a whole turn of the clock found no more to send. One thread works;
  /// others return at once unless `wait`.
  void Shrink(uint64_t bytes, bool wait);
  const std::string& folder() const { return folder_; }

 private:
  static constexpr size_t kSystemPage = 4096;
  static constexpr size_t kSlabSystemPages = kSlabBytes / kSystemPage;
  struct SlabState {
    std::atomic<uint64_t> out[kSlabSystemPages / 64];  // system pages that left memory and were not asked for since
    std::atomic<bool> present;
  };
  struct Leaving {
    size_t slab;
    size_t pages;  // that were in memory when it left the page table
  };
  SpillFile(int fd, std::string folder) : fd_(fd), folder_(std::move(folder)) {}
  Status Reserve();  // addresses
  char* address(size_t slab) const { return base_ + slab * kSlabBytes; }
  size_t CountResident(size_t slab, unsigned char* resident) const;
  void Unmap(size_t slab);
  void FinishOldest();

  const int fd_;
  const std::string folder_;
  char* base_ = nullptr;  // addresses are taken with the first slab
  char* reserved_ = nullptr;
  size_t reserved_bytes_ = 0;
  size_t slabs_max_ = 0;
  SlabState* states_ = nullptr;  // of slabs_max_ slabs, in memory that costs nothing until it is used
  int statm_ = -1;
  int64_t other_pages_ = 0;  // of files in memory that are not ours

  std::mutex slabs_mutex_;
  std::deque<size_t> free_slabs_;
  size_t slabs_end_ = 0;  // slabs from here were never used
  std::atomic<size_t> slabs_{0};
  std::atomic<size_t> clock_end_{0};  // slabs_end_, for the clock

  std::mutex clock_mutex_;
  size_t hand_ = 0;
  std::deque<Leaving> leaving_;
  std::atomic<size_t> leaving_pages_{0};
};

}  // namespace kappa::state
