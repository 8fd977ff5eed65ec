// CheckpointStore over RocksDB: pages under generation keys, one record per arena, and a manifest that is written last.
// The write-ahead log is off: every Write ends with a flush, which is durable and keeps the order of writes, so the
// manifest never gets to disk without the pages that it speaks of.
#include "state/checkpoint.h"

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "base/bytes.h"
#include "state/checkpoint_format.h"
#include "state/memory.h"

namespace kappa::state {
namespace {

constexpr size_t kBatchBytesMax = 2u << 20;  // pages are handed to RocksDB in pieces of this size
constexpr size_t kPagesAhead = 64;           // pages that are out of memory are fetched so many at a time
constexpr std::string_view kManifestKey = "M";

std::string ArenaKey(uint32_t id) {
  ByteWriter key;
  key.Bytes("A");
  key.Big<uint32_t>(id);
  return key.Take();
}
std::string PagePrefix(uint32_t id) {
  ByteWriter key;
  key.Bytes("P");
  key.Big<uint32_t>(id);
  return key.Take();
}
std::string PageKey(uint32_t id, uint32_t page, uint64_t generation) {
  ByteWriter key;
  key.Bytes("P");
  key.Big<uint32_t>(id);
  key.Big<uint32_t>(page);
  key.Big<uint64_t>(generation);
  return key.Take();
}

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

Error Corrupted(std::string what) {
  return Error(sqlstate::kDataCorrupted, "checkpoint is damaged: " + std::move(what))
      .Hint("Delete the checkpoint folder: state is rebuilt from the log.");
}
Status FromRocks(const rocksdb::Status& status) {
  if (status.ok()) return {};
  if (status.IsCorruption()) return Corrupted(status.ToString());
  return Error(status.IsNoSpace() ? sqlstate::kDiskFull : sqlstate::kIoError, "checkpoint store failed: " + status.ToString());
}

/// RocksDB keeps no log of its own: what fails comes back as a status, and a log file on a full disk would end the process, because Debian's RocksDB
/// asserts that no file is written after an error.
class NoLog final : public rocksdb::Logger {
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::Options MakeOptions() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.info_log = std::make_shared<NoLog>();
  // Memory: two memtables, and the cache of blocks and indexes. Pages pass through; none is worth keeping here.
  options.write_buffer_size = 16u << 20;
  options.max_write_buffer_number = 2;
  options.max_background_jobs = 2;
  // Tidying up can wait for those who compute; a checkpoint that must wait for it is only later.
  (void)options.env->LowerThreadPoolCPUPriority(rocksdb::Env::Priority::LOW, rocksdb::CpuPriority::kLow);
  options.max_open_files = 256;
  // Pages go to blob files: compaction then moves keys of 17 bytes, not pages of 16 KiB.
  options.enable_blob_files = true;
  options.min_blob_size = 1024;
  options.blob_file_size = 128u << 20;
  options.enable_blob_garbage_collection = true;
  options.blob_garbage_collection_age_cutoff = 0.5;
  options.blob_garbage_collection_force_threshold = 0.5;
  std::vector<rocksdb::CompressionType> supported = rocksdb::GetSupportedCompressions();
  bool lz4 = std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end();
  options.compression = lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  options.blob_compression_type = options.compression;
  options.bottommost_compression = options.compression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(8u << 20);
  table.cache_index_and_filter_blocks = true;
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

/// One stored arena: which generation of each page is the valid one.
struct StoredArena {
  uint32_t id = 0;
  std::vector<uint64_t> generations;  // by page
};

}  // namespace

struct CheckpointStore::Impl {
  std::string folder;
  std::unique_ptr<rocksdb::DB> db;     // null: it could not be opened again
  mutable std::shared_mutex db_mutex;  // for who does not hold `mutex`, which a write holds long
  bool failed = false;                 // the last write
  mutable std::mutex mutex;
  uint64_t generation = 0;  // of the last visible checkpoint
  uint32_t next_id = 1;
  std::optional<std::string> meta;
  std::map<std::string, StoredArena, std::less<>> arenas;

  Status Put(rocksdb::WriteBatch& batch) {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    Status status = FromRocks(db->Write(options, &batch));
    failed |= !status.ok();
    batch.Clear();
    return status;
  }
  Status Flush() {
    Status status = FromRocks(db->Flush(rocksdb::FlushOptions()));
    failed |= !status.ok();
    return status;
  }
  Status OpenDatabase();
  Status Recover();
  Status ReadAll();
};

Status CheckpointStore::Impl::OpenDatabase() {
  rocksdb::DB* opened = nullptr;
  KAPPA_RETURN_IF_ERROR(FromRocks(rocksdb::DB::Open(MakeOptions(), folder, &opened)));
  std::unique_lock lock(db_mutex);
  db.reset(opened);
  return {};
}

/// After an error of the disk RocksDB may refuse to write for ever, though there is room again: opened anew, it has the last whole checkpoint.
Status CheckpointStore::Impl::Recover() {
  uint64_t errors = 0;
  if (db != nullptr) db->GetIntProperty("rocksdb.background-errors", &errors);
  if (!failed && errors == 0) return {};
  failed = true;
  {
    std::unique_lock lock(db_mutex);
    db.reset();
  }
  KAPPA_RETURN_IF_ERROR(OpenDatabase());
  generation = 0;
  next_id = 1;
  meta.reset();
  arenas.clear();
  KAPPA_RETURN_IF_ERROR(ReadAll());
  failed = false;
  return {};
}

Status CheckpointStore::Impl::ReadAll() {
  std::string value;
  rocksdb::Status found = db->Get({}, ToSlice(kManifestKey), &value);
  if (found.IsNotFound()) return {};
  KAPPA_RETURN_IF_ERROR(FromRocks(found));
  auto manifest = DecodeManifest(value);
  if (!manifest.ok()) return Corrupted(manifest.error().message());
  generation = manifest->generation;
  next_id = manifest->next_id;
  meta = std::move(manifest->meta);

  std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}));
  for (it->Seek("A"); it->Valid() && it->key().size() == 5 && it->key()[0] == 'A'; it->Next()) {
    std::string name;
    auto generations = DecodeArena(it->value().ToStringView(), name);
    if (!generations) return Corrupted("arena record");
    ByteReader key(it->key().ToStringView().substr(1));
    arenas[name] = {key.Big<uint32_t>(), std::move(*generations)};
  }
  return FromRocks(it->status());
}

CheckpointStore::CheckpointStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CheckpointStore::~CheckpointStore() = default;

Result<std::unique_ptr<CheckpointStore>> CheckpointStore::Open(const std::string& folder) {
  auto impl = std::make_unique<Impl>();
  impl->folder = folder;
  KAPPA_RETURN_IF_ERROR(impl->OpenDatabase());
  KAPPA_RETURN_IF_ERROR(impl->ReadAll());
  return std::unique_ptr<CheckpointStore>(new CheckpointStore(std::move(impl)));
}

Status CheckpointStore::Write(std::string_view meta, std::span<const Part> parts) {
  std::lock_guard lock(impl_->mutex);
  Impl& impl = *impl_;
  KAPPA_RETURN_IF_ERROR(impl.Recover());
  const uint64_t generation = impl.generation + 1;
  std::map<std::string, StoredArena, std::less<>> changed;
  uint32_t next_id = impl.next_id;
  rocksdb::WriteBatch batch, superseded;
  for (const Part& part : parts) {
    KAPPA_CHECK(!changed.contains(part.name));
    StoredArena& arena = changed[part.name];
    if (auto known = impl.arenas.find(part.name); known != impl.arenas.end()) arena = known->second;
    else arena.id = next_id++;
    const size_t pages = part.delta.snapshot.page_count();
    for (size_t page = pages; page < arena.generations.size(); ++page)
      superseded.Delete(PageKey(arena.id, static_cast<uint32_t>(page), arena.generations[page]));
    arena.generations.resize(pages, 0);
    for (size_t i = 0; i < part.delta.pages.size(); ++i) {
      const uint32_t page = part.delta.pages[i];
      if (page >= pages) continue;
      if (i % kPagesAhead == 0) {
        for (size_t k = i; k < std::min(i + kPagesAhead, part.delta.pages.size()) && part.delta.pages[k] < pages; ++k)
          WillRead(&part.delta.snapshot.page(part.delta.pages[k]), kPageBytes);
      }
      std::string_view bytes(part.delta.snapshot.page(page).bytes.data(), kPageBytes);
      batch.Put(PageKey(arena.id, page, generation), Sealed(bytes));
      if (arena.generations[page] != 0) superseded.Delete(PageKey(arena.id, page, arena.generations[page]));
      arena.generations[page] = generation;
      if (batch.GetDataSize() > kBatchBytesMax) KAPPA_RETURN_IF_ERROR(impl.Put(batch));
    }
    for (uint64_t stored : arena.generations) KAPPA_CHECK(stored != 0);
  }
  KAPPA_RETURN_IF_ERROR(impl.Put(batch));

  for (const auto& [name, arena] : changed) superseded.Put(ArenaKey(arena.id), EncodeArena(name, arena.generations));
  std::optional<std::string> old_meta = std::exchange(impl.meta, std::string(meta));
  impl.generation = generation;
  impl.next_id = next_id;
  superseded.Put(ToSlice(kManifestKey), EncodeManifest({impl.generation, impl.next_id, impl.meta}));
  Status status = impl.Put(superseded);
  if (!status.ok()) {
    impl.meta = std::move(old_meta);
    return status;
  }
  for (auto& [name, arena] : changed) impl.arenas[name] = std::move(arena);
  return impl.Flush();
}

Result<std::optional<std::string>> CheckpointStore::LoadMeta() {
  std::lock_guard lock(impl_->mutex);
  return impl_->meta;
}

Result<bool> CheckpointStore::LoadArena(std::string_view name, Arena& arena) {
  std::lock_guard lock(impl_->mutex);
  auto found = impl_->arenas.find(name);
  if (found == impl_->arenas.end()) return false;
  const StoredArena& stored = found->second;
  rocksdb::ReadOptions options;
  options.readahead_size = 4u << 20;
  options.fill_cache = false;
  std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(options));
  const std::string prefix = PagePrefix(stored.id);
  arena.Clear();
  uint32_t next = 0;
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    ByteReader key(it->key().ToStringView().substr(prefix.size()));
    auto page = key.Big<uint32_t>();
    auto generation = key.Big<uint64_t>();
    if (page >= stored.generations.size() || generation != stored.generations[page]) continue;  // left by a write that did not end
    auto body = Unseal(it->value().ToStringView());
    if (page != next || !body || body->size() != kPageBytes) return Corrupted("page " + std::to_string(page) + " of " + std::string(name));
    arena.LoadPage(page, *body);
    ++next;
  }
  KAPPA_RETURN_IF_ERROR(FromRocks(it->status()));
  if (next != stored.generations.size()) return Corrupted("pages of " + std::string(name) + " are missing");
  if (next != 0) KAPPA_RETURN_IF_ERROR(arena.CheckLoaded());
  return true;
}

std::vector<std::string> CheckpointStore::Names(std::string_view prefix) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<std::string> names;
  for (auto it = impl_->arenas.lower_bound(prefix); it != impl_->arenas.end() && it->first.starts_with(prefix); ++it) names.push_back(it->first);
  return names;
}

Status CheckpointStore::Drop(std::string_view prefix) {
  std::lock_guard lock(impl_->mutex);
  KAPPA_RETURN_IF_ERROR(impl_->Recover());
  rocksdb::WriteBatch batch;
  auto first = impl_->arenas.lower_bound(prefix);
  auto last = first;
  for (; last != impl_->arenas.end() && last->first.starts_with(prefix); ++last) {
    batch.Delete(ArenaKey(last->second.id));
    batch.DeleteRange(PagePrefix(last->second.id), PagePrefix(last->second.id + 1));
  }
  if (first == last) return {};
  KAPPA_RETURN_IF_ERROR(impl_->Put(batch));
  impl_->arenas.erase(first, last);
  return impl_->Flush();
}

uint64_t CheckpointStore::disk_bytes() const {
  uint64_t sst = 0, blobs = 0;
  std::shared_lock lock(impl_->db_mutex);
  if (impl_->db == nullptr) return 0;
  impl_->db->GetIntProperty("rocksdb.total-sst-files-size", &sst);
  impl_->db->GetIntProperty("rocksdb.total-blob-file-size", &blobs);
  return sst + blobs;
}

uint64_t CheckpointStore::memory_bytes() const {
  uint64_t total = 0;
  std::shared_lock lock(impl_->db_mutex);
  if (impl_->db == nullptr) return 0;
  for (const char* property : {"rocksdb.cur-size-all-mem-tables", "rocksdb.block-cache-usage", "rocksdb.estimate-table-readers-mem"}) {
    uint64_t bytes = 0;
    impl_->db->GetIntProperty(property, &bytes);
    total += bytes;
  }
  return total;
}

Arena::Delta FullDelta(Arena& arena) {
  Arena::Delta delta = arena.TakeDelta();
  delta.pages.resize(delta.snapshot.page_count());
  for (uint32_t i = 0; i < delta.pages.size(); ++i) delta.pages[i] = i;
  return delta;
}

}  // namespace kappa::state
