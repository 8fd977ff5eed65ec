// Messages about quotas of clients: DescribeClientQuotas, AlterClientQuotas.
#pragma once

#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"

namespace kappa::serve::kafka {

/// One part of whom a quota is for.
struct QuotaEntityPart {
  std::string kind;
  std::optional<std::string> name;  // null: the default
  template <class C> void Fields(C& c) {
    c(kind);
    c(name);
    c.Tags();
  }
};

struct DescribeClientQuotasRequest {
  struct Part {
    static constexpr int8_t kExact = 0, kDefault = 1, kAny = 2;
    std::string kind;
    int8_t match = kExact;
    std::optional<std::string> name;  // of an exact match
    template <class C> void Fields(C& c) {
      c(kind);
      c(match);
      c(name);
      c.Tags();
    }
  };
  std::vector<Part> parts;
  bool strict = false;  // only entities that have no further part
  template <class C> void Fields(C& c) {
    c(parts);
    c(strict);
    c.Tags();
  }
};

struct DescribeClientQuotasResponse {
  struct Value {
    std::string key;
    double value = 0;
    template <class C> void Fields(C& c) {
      c(key);
      c(value);
      c.Tags();
    }
  };
  struct Entry {
    std::vector<QuotaEntityPart> entity;
    std::vector<Value> values;
    template <class C> void Fields(C& c) {
      c(entity);
      c(values);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::optional<std::string> message;
  std::optional<std::vector<Entry>> entries;  // null with an error
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c(message);
    c(entries);
    c.Tags();
  }
};

struct AlterClientQuotasRequest {
  struct Change {
    std::string key;
    double value = 0;
    bool remove = false;
    template <class C> void Fields(C& c) {
      c(key);
      c(value);
      c(remove);
      c.Tags();
    }
  };
  struct Entry {
    std::vector<QuotaEntityPart> entity;
    std::vector<Change> changes;
    template <class C> void Fields(C& c) {
      c(entity);
      c(changes);
      c.Tags();
    }
  };
  std::vector<Entry> entries;
  bool validate_only = false;
  template <class C> void Fields(C& c) {
    c(entries);
    c(validate_only);
    c.Tags();
  }
};

struct AlterClientQuotasResponse {
  struct Entry {
    Code error = Code::kNone;
    std::optional<std::string> message;
    std::vector<QuotaEntityPart> entity;
    template <class C> void Fields(C& c) {
      c(error);
      c(message);
      c(entity);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Entry> entries;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(entries);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
