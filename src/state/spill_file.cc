#include "state/spill_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace kappa::state {
namespace {

// Slabs between leaving the page table and leaving memory: long enough that a page in use is touched again, and that the disk
// gets many writes at a time.
constexpr size_t kLeavingMin = 2;
constexpr size_t kLeavingMax = 64;
constexpr auto kTmpfs = 0x01021994, kRamfs = static_cast<int>(0x858458f6);  // statfs(2)

Error SystemError(const std::string& what, const std::string& folder) {
  const int error = errno;
  return Error(error == ENOSPC || error == EDQUOT || error == EFBIG ? sqlstate::kDiskFull : sqlstate::kIoError,
               fmt::format("{} \"{}\": {}", what, folder, std::strerror(error)));
}

int OpenUnnamed(const std::string& folder) {
  const int fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string path = folder + "/spill.XXXXXX";  // file systems without unnamed files
  const int named = mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) unlink(path.c_str());
  return named;
}

}  // namespace

Result<std::unique_ptr<SpillFile>> SpillFile::Open(const std::string& folder) {
  const int fd = OpenUnnamed(folder);
  if (fd < 0) return SystemError("could not make a spill file in", folder);
  std::unique_ptr<SpillFile> file(new SpillFile(fd, folder));
  file->statm_ = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file->statm_ < 0) return SystemError("could not open", "/proc/self/statm");
  return file;
}

Status SpillFile::Reserve() {
  struct statvfs disk{};
  if (fstatvfs(fd_, &disk) != 0) return SystemError("could not look at the disk of", folder_);
  struct statfs system{};
  if (fstatfs(fd_, &system) == 0 && (system.f_type == kTmpfs || system.f_type == kRamfs)) {
    fmt::print(stderr, "kappa: \"{}\" is a folder in memory: state beyond its bound stays in memory\n", folder_);
  }
  // Addresses for as much as the disk could hold; they cost nothing. Where they are rationed, a quarter of the ration.
  uint64_t bytes = std::min<uint64_t>(static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize, 64ull << 40);
  rlimit ration{};
  if (getrlimit(RLIMIT_AS, &ration) == 0 && ration.rlim_cur != RLIM_INFINITY) bytes = std::min<uint64_t>(bytes, ration.rlim_cur / 4);
  bytes = std::max<uint64_t>(bytes / kSlabBytes, 1) * kSlabBytes;
  const size_t slabs = bytes / kSlabBytes;
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* states = mmap(nullptr, slabs * sizeof(SlabState), PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (states == MAP_FAILED) return SystemError("could not reserve addresses for the spill file in", folder_);
  void* reserved = mmap(nullptr, bytes + kSlabBytes, PROT_NONE, kFlags, -1, 0);
  if (reserved == MAP_FAILED) {
    Error error = SystemError("could not reserve addresses for the spill file in", folder_);
    munmap(states, slabs * sizeof(SlabState));
    return error;
  }
  reserved_ = static_cast<char*>(reserved);
  reserved_bytes_ = bytes + kSlabBytes;
  states_ = static_cast<SlabState*>(states);
  slabs_max_ = slabs;
  base_ = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(reserved) + kSlabBytes - 1) & ~(kSlabBytes - 1));
  other_pages_ = static_cast<int64_t>(resident_bytes() / kSystemPage);
  return {};
}

SpillFile::~SpillFile() {
  if (reserved_ != nullptr) munmap(reserved_, reserved_bytes_);
  if (states_ != nullptr) munmap(states_, slabs_max_ * sizeof(SlabState));
  if (statm_ >= 0) close(statm_);
  close(fd_);
}

Result<char*> SpillFile::AddSlab() {
  std::lock_guard lock(slabs_mutex_);
  if (base_ == nullptr) KAPPA_RETURN_IF_ERROR(Reserve());
  const bool again = !free_slabs_.empty();
  const size_t slab = again ? free_slabs_.front() : slabs_end_;
  if (slab == slabs_max_) {
    errno = ENOMEM;
    return SystemError("no addresses are left for the spill file in", folder_);
  }
  const auto offset = static_cast<off_t>(slab * kSlabBytes);
  int error;
  do {
    error = fallocate(fd_, 0, offset, kSlabBytes) == 0 ? 0 : errno;
    if (error == EOPNOTSUPP) error = posix_fallocate(fd_, offset, kSlabBytes);  // writes zeroes
  } while (error == EINTR);
  errno = error;
  if (error != 0) return SystemError("could not grow the spill file in", folder_);
  if (!again) {
    void* mapped = mmap(address(slab), kSlabBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_, offset);
    if (mapped == MAP_FAILED) return SystemError("could not map the spill file in", folder_);
    // A page of 16 KiB is fetched by the operator that knows what it will read; the system need not guess.
    madvise(mapped, kSlabBytes, MADV_RANDOM);
    madvise(mapped, kSlabBytes, MADV_DONTDUMP);
    clock_end_ = ++slabs_end_;
  } else {
    free_slabs_.pop_front();
  }
  states_[slab].present = true;
  ++slabs_;
  return address(slab);
}

void SpillFile::RemoveSlab(char* slab) {
  const size_t number = static_cast<size_t>(slab - base_) / kSlabBytes;
  states_[number].present = false;
  for (auto& bits : states_[number].out) bits = 0;
  (void)fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(number * kSlabBytes), kSlabBytes);
  std::lock_guard lock(slabs_mutex_);
  --slabs_;
  free_slabs_.push_back(number);
}

void SpillFile::Forget(char* page, size_t bytes) {
  const size_t first = static_cast<size_t>(page - base_) / kSystemPage;
  bool out = false;
  for (size_t p = first; p < first + bytes / kSystemPage; ++p) {
    std::atomic<uint64_t>& bits = states_[p / kSlabSystemPages].out[p % kSlabSystemPages / 64];
    const uint64_t bit = 1ull << (p % 64);
    if ((bits.load(std::memory_order_relaxed) & bit) != 0) out |= (bits.fetch_and(~bit, std::memory_order_relaxed) & bit) != 0;
  }
  if (out) (void)fallocate(fd_, FALLOC_FL_ZERO_RANGE, page - base_, static_cast<off_t>(bytes));
}

void SpillFile::BeginRead(const char* address, size_t bytes) {
  const size_t first = static_cast<size_t>(address - base_) / kSystemPage;
  const size_t last = static_cast<size_t>(address - base_ + static_cast<ptrdiff_t>(bytes) - 1) / kSystemPage;
  for (size_t p = first; p <= last;) {
    size_t end = p;
    for (; end <= last; ++end) {
      std::atomic<uint64_t>& bits = states_[end / kSlabSystemPages].out[end % kSlabSystemPages / 64];
      const uint64_t bit = 1ull << (end % 64);
      if ((bits.load(std::memory_order_relaxed) & bit) == 0) break;
      bits.fetch_and(~bit, std::memory_order_relaxed);
    }
    if (end > p) madvise(base_ + p * kSystemPage, (end - p) * kSystemPage, MADV_WILLNEED);
    p = end + 1;
  }
}

uint64_t SpillFile::resident_bytes() const {
  char text[128];
  const ssize_t size = pread(statm_, text, sizeof text - 1, 0);
  if (size <= 0) return 0;
  text[size] = 0;
  int64_t pages = 0;
  // Size, resident, shared: the last one counts pages of files that the page table holds.
  if (std::sscanf(text, "%*s %*s %ld", &pages) != 1) return 0;
  return static_cast<uint64_t>(std::max<int64_t>(pages - other_pages_, 0) + static_cast<int64_t>(leaving_pages_.load())) * kSystemPage;
}

size_t SpillFile::CountResident(size_t slab, unsigned char* resident) const {
  if (mincore(address(slab), kSlabBytes, resident) != 0) return 0;
  size_t count = 0;
  for (size_t i = 0; i < kSlabSystemPages; ++i) count += resident[i] & 1;
  return count;
}

void SpillFile::Unmap(size_t slab) {
  unsigned char resident[kSlabSystemPages];
  const size_t pages = CountResident(slab, resident);
  if (pages == 0) return;
  madvise(address(slab), kSlabBytes, MADV_DONTNEED);
  (void)sync_file_range(fd_, static_cast<off_t>(slab * kSlabBytes), kSlabBytes, SYNC_FILE_RANGE_WRITE);
  leaving_.push_back({slab, pages});
  leaving_pages_ += pages;
}

void SpillFile::FinishOldest() {
  const Leaving leaving = leaving_.front();
  leaving_.pop_front();
  const auto offset = static_cast<off_t>(leaving.slab * kSlabBytes);
  (void)sync_file_range(fd_, offset, kSlabBytes, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
  (void)posix_fadvise(fd_, offset, kSlabBytes, POSIX_FADV_DONTNEED);  // passes over what the page table holds again, and over what is not written
  leaving_pages_ -= leaving.pages;
  if (!states_[leaving.slab].present) return;
  unsigned char resident[kSlabSystemPages];
  CountResident(leaving.slab, resident);
  for (size_t word = 0; word < kSlabSystemPages / 64; ++word) {
    uint64_t bits = 0;
    for (size_t i = 0; i < 64; ++i) bits |= static_cast<uint64_t>((resident[word * 64 + i] & 1) == 0) << i;
    states_[leaving.slab].out[word].store(bits, std::memory_order_relaxed);
  }
}

void SpillFile::Shrink(uint64_t bytes, bool wait) {
  if (resident_bytes() <= bytes) return;
  std::unique_lock lock(clock_mutex_, std::defer_lock);
  if (wait) lock.lock();
  else if (!lock.try_lock()) return;
  const size_t end = clock_end_.load();
  const size_t leaving_max = std::clamp(bytes / kSlabBytes / 8, kLeavingMin, kLeavingMax);
  for (size_t turn = 0; turn < 2 * end && resident_bytes() > bytes; ++turn) {
    hand_ = (hand_ + 1) % end;
    const bool waits = std::any_of(leaving_.begin(), leaving_.end(), [&](const Leaving& l) { return l.slab == hand_; });
    if (!waits && states_[hand_].present) Unmap(hand_);
    while (leaving_.size() > leaving_max || (waits && !leaving_.empty())) FinishOldest();
  }
}

}  // namespace kappa::state
