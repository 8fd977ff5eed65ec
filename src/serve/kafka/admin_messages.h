// Messages of administrators: settings and partitions of topics, deleting records, folders, access control.
#pragma once

#include "serve/kafka/codec.h"
#include "serve/kafka/group_messages.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/topic_messages.h"

namespace kappa::serve::kafka {

struct CreatePartitionsRequest {
  struct Assignment {
    std::vector<int32_t> brokers;
    template <class C> void Fields(C& c) {
      c(brokers);
      c.Tags();
    }
  };
  struct Topic {
    std::string name;
    int32_t count = 0;  // afterwards
    std::optional<std::vector<Assignment>> assignments;
    template <class C> void Fields(C& c) {
      c(name);
      c(count);
      c(assignments);
      c.Tags();
    }
  };
  std::vector<Topic> topics;
  int32_t timeout_ms = 0;
  bool validate_only = false;
  template <class C> void Fields(C& c) {
    c(topics);
    c(timeout_ms);
    c(validate_only);
    c.Tags();
  }
};

struct CreatePartitionsResponse {
  struct Topic {
    std::string name;
    Code error = Code::kNone;
    std::optional<std::string> message;
    template <class C> void Fields(C& c) {
      c(name);
      c(error);
      c(message);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(topics);
    c.Tags();
  }
};

/// Changes of settings, a list of them for each resource.
template <class Change> struct ConfigChanges {
  using Config = Change;
  struct Resource {
    int8_t type = 0;
    std::string name;
    std::vector<Config> configs;
    template <class C> void Fields(C& c) {
      c(type);
      c(name);
      c(configs);
      c.Tags();
    }
  };
  std::vector<Resource> resources;
  bool validate_only = false;
  template <class C> void Fields(C& c) {
    c(resources);
    c(validate_only);
    c.Tags();
  }
};

/// All settings of a resource: what is not named goes back to its default.
using AlterConfigsRequest = ConfigChanges<CreateTopicsRequest::Config>;

struct IncrementalConfig {
  static constexpr int8_t kSet = 0, kDelete = 1;  // 2 and 3 append to and subtract from lists
  std::string name;
  int8_t operation = 0;
  std::optional<std::string> value;
  template <class C> void Fields(C& c) {
    c(name);
    c(operation);
    c(value);
    c.Tags();
  }
};
using IncrementalAlterConfigsRequest = ConfigChanges<IncrementalConfig>;

/// Answers both of the above.
struct AlterConfigsResponse {
  struct Resource {
    Code error = Code::kNone;
    std::optional<std::string> message;
    int8_t type = 0;
    std::string name;
    template <class C> void Fields(C& c) {
      c(error);
      c(message);
      c(type);
      c(name);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Resource> resources;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(resources);
    c.Tags();
  }
};

struct DeleteRecordsRequest {
  struct Partition {
    int32_t index = 0;
    int64_t offset = -1;  // -1: all that is durable
    template <class C> void Fields(C& c) {
      c(index);
      c(offset);
      c.Tags();
    }
  };
  std::vector<OfTopic<Partition>> topics;
  int32_t timeout_ms = 0;
  template <class C> void Fields(C& c) {
    c(topics);
    c(timeout_ms);
    c.Tags();
  }
};

struct DeletedRecords {
  int32_t index = 0;
  int64_t low_watermark = -1;
  Code error = Code::kNone;
  template <class C> void Fields(C& c) {
    c(index);
    c(low_watermark);
    c(error);
    c.Tags();
  }
};
using DeleteRecordsResponse = ByTopic<DeletedRecords>;

struct OffsetForLeaderEpochRequest {
  struct Partition {
    int32_t index = 0;
    int32_t current_leader_epoch = -1;
    int32_t leader_epoch = -1;
    template <class C> void Fields(C& c) {
      c(index);
      c(current_leader_epoch);
      c(leader_epoch);
      c.Tags();
    }
  };
  int32_t replica_id = -2;
  std::vector<OfTopic<Partition>> topics;
  template <class C> void Fields(C& c) {
    if (c.Since(3)) c(replica_id);
    c(topics);
    c.Tags();
  }
};

struct LeaderEpochEnd {
  Code error = Code::kNone;
  int32_t index = 0;
  int32_t leader_epoch = -1;
  int64_t end_offset = -1;
  template <class C> void Fields(C& c) {
    c(error);
    c(index);
    c(leader_epoch);
    c(end_offset);
    c.Tags();
  }
};
using OffsetForLeaderEpochResponse = ByTopic<LeaderEpochEnd>;

struct DescribeLogDirsRequest {
  std::optional<std::vector<OfTopic<int32_t>>> topics;  // null: all
  template <class C> void Fields(C& c) {
    c(topics);
    c.Tags();
  }
};

struct DescribeLogDirsResponse {
  struct Partition {
    int32_t index = 0;
    int64_t bytes = 0;
    int64_t offset_lag = 0;
    bool is_future = false;
    template <class C> void Fields(C& c) {
      c(index);
      c(bytes);
      c(offset_lag);
      c(is_future);
      c.Tags();
    }
  };
  struct Folder {
    Code error = Code::kNone;
    std::string path;
    std::vector<OfTopic<Partition>> topics;
    int64_t total_bytes = -1;   // of the file system
    int64_t usable_bytes = -1;
    template <class C> void Fields(C& c) {
      c(error);
      c(path);
      c(topics);
      if (c.Since(4)) {
        c(total_bytes);
        c(usable_bytes);
      }
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::vector<Folder> folders;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    if (c.Since(3)) c(error);
    c(folders);
    c.Tags();
  }
};

struct DescribeUserScramCredentialsRequest {
  struct User {
    std::string name;
    template <class C> void Fields(C& c) {
      c(name);
      c.Tags();
    }
  };
  std::optional<std::vector<User>> users;  // null or empty: all
  template <class C> void Fields(C& c) {
    c(users);
    c.Tags();
  }
};

struct DescribeUserScramCredentialsResponse {
  struct Credential {
    static constexpr int8_t kSha256 = 1, kSha512 = 2;
    int8_t mechanism = 0;
    int32_t iterations = 0;
    template <class C> void Fields(C& c) {
      c(mechanism);
      c(iterations);
      c.Tags();
    }
  };
  struct User {
    std::string name;
    Code error = Code::kNone;
    std::optional<std::string> message;
    std::vector<Credential> credentials;
    template <class C> void Fields(C& c) {
      c(name);
      c(error);
      c(message);
      c(credentials);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::optional<std::string> message;
  std::vector<User> users;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c(message);
    c(users);
    c.Tags();
  }
};

struct DescribeAclsRequest {
  int8_t resource_type = 0;
  std::optional<std::string> resource_name;
  int8_t pattern_type = 3;
  std::optional<std::string> principal;
  std::optional<std::string> host;
  int8_t operation = 0;
  int8_t permission_type = 0;
  template <class C> void Fields(C& c) {
    c(resource_type);
    c(resource_name);
    c(pattern_type);
    c(principal);
    c(host);
    c(operation);
    c(permission_type);
    c.Tags();
  }
};

struct DescribeAclsResponse {
  struct None {
    template <class C> void Fields(C&) {}
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::optional<std::string> message;
  std::vector<None> resources;  // there are none
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c(message);
    c(resources);
    c.Tags();
  }
};

struct CreateAclsRequest {
  struct Acl {
    int8_t resource_type = 0;
    std::string resource_name;
    int8_t pattern_type = 3;
    std::string principal;
    std::string host;
    int8_t operation = 0;
    int8_t permission_type = 0;
    template <class C> void Fields(C& c) {
      c(resource_type);
      c(resource_name);
      c(pattern_type);
      c(principal);
      c(host);
      c(operation);
      c(permission_type);
      c.Tags();
    }
  };
  std::vector<Acl> acls;
  template <class C> void Fields(C& c) {
    c(acls);
    c.Tags();
  }
};

struct CreateAclsResponse {
  struct Outcome {
    Code error = Code::kNone;
    std::optional<std::string> message;
    template <class C> void Fields(C& c) {
      c(error);
      c(message);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Outcome> outcomes;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(outcomes);
    c.Tags();
  }
};

struct DeleteAclsRequest {
  std::vector<DescribeAclsRequest> filters;
  template <class C> void Fields(C& c) {
    c(filters);
    c.Tags();
  }
};

struct DeleteAclsResponse {
  struct Outcome {
    Code error = Code::kNone;
    std::optional<std::string> message;
    std::vector<DescribeAclsResponse::None> matching;  // there are none
    template <class C> void Fields(C& c) {
      c(error);
      c(message);
      c(matching);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Outcome> outcomes;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(outcomes);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
