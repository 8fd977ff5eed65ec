// The catalog: streams, tables, views, versions and routes, as plain values. Stored as a log of changes; this header holds
// the values, catalog_log.h how they are stored.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/type.h"

namespace kappa::catalog {

struct Stream {
  uint32_t id = 0;
  std::string name;
  data::Schema schema;
  int event_time = -1;             // column of WATERMARK FOR, -1 when the stream has none
  int64_t watermark_delay_us = 0;
  std::string topic;
  int32_t partitions = 1;
  std::string key;                 // column whose value is the record key for INSERT; may be empty
  std::string format = "json";
  std::string json_timestamps = "iso";
  int64_t retention_ms = -1;
  int64_t idle_timeout_ms = 60'000;      // a partition without records for so long is declared idle; -1 never
  bool read_uncommitted = false;   // takes records of transactions that are open, or were aborted
  bool drop_late = false;          // late rows reach no view; else views take them like any other, unless they wait for windows to close
  int64_t allowed_lateness_us = 0; // how far behind the watermark's delay a row is still in time
  std::map<int, std::string> domains;  // columns whose type is a domain
  int64_t future_limit_us = 86'400'000'000;  // event times further ahead of the epoch's wall time do not move the watermark
  std::string sql;                 // CREATE STREAM .. as the user wrote it
  int64_t created_us = 0;
};

struct Table {
  uint32_t id = 0;
  std::string name;
  data::Schema schema;
  std::vector<int> primary_key;    // at least one
  int version_time = -1;           // column that says from when on a row is valid (FOR SYSTEM_TIME AS OF); -1: none
  int64_t ttl_us = 0;              // rows that did not change for so long go; 0: never
  std::map<int, std::string> domains;  // columns whose type is a domain
  std::string topic;
  std::string sql;
  int64_t created_us = 0;
};

enum class VersionState : uint8_t { kReplaying, kReady, kServing, kRetired, kFailed };
std::string_view ToString(VersionState state);

struct ViewVersion {
  uint32_t id = 0;                 // unique over all views: names state on disk
  int number = 0;                  // 1, 2, ..
  std::string sql;                 // CREATE [OR REPLACE] MATERIALIZED VIEW .. as the user wrote it
  std::string query;               // the SELECT (with EMIT), as the user wrote it
  data::Schema schema;
  std::vector<int> key_columns;    // columns that identify a row (group keys) for diff and point reads; may be empty
  std::vector<std::string> depends_on;  // names of streams, tables and views
  uint64_t plan_hash = 0;
  std::map<uint32_t, int64_t> input_rows;  // records of its streams and tables when it was made: the order of its joins follows them
  VersionState state = VersionState::kReplaying;
  std::string failure;
  bool promote_when_ready = false;
  bool dead_letters = false;       // rows of streams for which an expression fails become dead letters; else it gives NULL
  int64_t ttl_us = 0;              // rows and groups to which nothing came for so long go; 0: never
  uint64_t created_epoch = 0;
  int64_t created_us = 0;
  int64_t ready_us = 0;
  int64_t promoted_us = 0;
};

struct Route {
  int version = 0;
  int percent = 0;
};

struct View {
  uint32_t id = 0;
  std::string name;
  std::vector<ViewVersion> versions;  // ascending by number
  int serving = 0;                    // number of the promoted version; 0 while version 1 still replays
  int previous = 0;                   // what ROLLBACK goes back to; 0 none
  std::vector<Route> routes;          // shares of reads, sum 100; empty: all to `serving`

  const ViewVersion* FindVersion(int number) const;
};

/// CREATE TYPE.
struct NamedType {
  uint32_t id = 0;
  std::string name;
  std::vector<std::string> labels;  // of an enum
  std::string sql;
  int64_t created_us = 0;
  bool composite = false;           // AS (..), not AS ENUM
  data::Schema fields = {};         // of a composite type

  data::Type type() const;
};

/// CREATE DOMAIN. Its constraints are read from the statement, each time that they are needed.
struct Domain {
  uint32_t id = 0;
  std::string name;
  data::Type base;
  std::string parent;  // the domain that it is over; empty: none
  bool not_null = false;
  std::string sql;
  int64_t created_us = 0;
};

/// An immutable state of the catalog.
struct Snapshot {
  uint64_t change = 0;  // number of the last change applied
  std::map<std::string, Stream, std::less<>> streams;
  std::map<std::string, Table, std::less<>> tables;
  std::map<std::string, View, std::less<>> views;
  std::map<std::string, NamedType, std::less<>> types;
  std::map<std::string, Domain, std::less<>> domains;

  const Stream* FindStream(std::string_view name) const;
  const Table* FindTable(std::string_view name) const;
  const View* FindView(std::string_view name) const;
  const NamedType* FindType(std::string_view name) const;
  const Domain* FindDomain(std::string_view name) const;
  /// Of types and domains, which share their names.
  bool TypeExists(std::string_view name) const { return FindType(name) != nullptr || FindDomain(name) != nullptr; }
  bool Exists(std::string_view name) const;
  std::vector<std::string> Names() const;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace kappa::catalog
