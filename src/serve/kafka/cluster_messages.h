// Messages about the server and its topics: ApiVersions, Metadata, FindCoordinator, Create/DeleteTopics, DescribeConfigs, DescribeCluster.
#pragma once

#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"

namespace kappa::serve::kafka {

struct ApiVersionsRequest {
  std::string client_software_name;
  std::string client_software_version;
  template <class C> void Fields(C& c) {
    if (c.Since(3)) {
      c(client_software_name);
      c(client_software_version);
    }
    c.Tags();
  }
};

struct ApiVersionsResponse {
  struct Range {
    ApiKey key{};
    int16_t min = 0;
    int16_t max = 0;
    template <class C> void Fields(C& c) {
      c(key);
      c(min);
      c(max);
      c.Tags();
    }
  };
  struct Supported {
    std::string name;
    int16_t min = 0;
    int16_t max = 0;
    template <class C> void Fields(C& c) {
      c(name);
      c(min);
      c(max);
      c.Tags();
    }
  };
  struct Finalized {
    std::string name;
    int16_t max = 0;
    int16_t min = 0;
    template <class C> void Fields(C& c) {
      c(name);
      c(max);
      c(min);
      c.Tags();
    }
  };
  Code error = Code::kNone;
  std::vector<Range> apis;
  int32_t throttle_ms = 0;
  std::vector<Supported> supported_features;
  int64_t finalized_epoch = 0;
  std::vector<Finalized> finalized_features;
  template <class C> void Fields(C& c) {
    c(error);
    c(apis);
    if (c.Since(1)) c(throttle_ms);
    c.Tags(Tagged{0, supported_features}, Tagged{1, finalized_epoch}, Tagged{2, finalized_features});
  }
};

struct MetadataRequest {
  struct Topic {
    std::string name;
    template <class C> void Fields(C& c) {
      c(name);
      c.Tags();
    }
  };
  std::optional<std::vector<Topic>> topics;  // null: all; in version 0 an empty list means all
  bool allow_auto_topic_creation = true;
  bool include_cluster_operations = false;
  bool include_topic_operations = false;
  template <class C> void Fields(C& c) {
    c(topics);
    if (c.Since(4)) c(allow_auto_topic_creation);
    if (c.Since(8)) {
      c(include_cluster_operations);
      c(include_topic_operations);
    }
    c.Tags();
  }
};

inline constexpr int32_t kOperationsUnknown = INT32_MIN;  // authorized operations, when the client did not ask

struct MetadataResponse {
  struct Broker {
    int32_t id = 0;
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;
    template <class C> void Fields(C& c) {
      c(id);
      c(host);
      c(port);
      if (c.Since(1)) c(rack);
      c.Tags();
    }
  };
  struct Partition {
    Code error = Code::kNone;
    int32_t index = 0;
    int32_t leader = 0;
    int32_t leader_epoch = -1;
    std::vector<int32_t> replicas, in_sync_replicas, offline_replicas;
    template <class C> void Fields(C& c) {
      c(error);
      c(index);
      c(leader);
      if (c.Since(7)) c(leader_epoch);
      c(replicas);
      c(in_sync_replicas);
      if (c.Since(5)) c(offline_replicas);
      c.Tags();
    }
  };
  struct Topic {
    Code error = Code::kNone;
    std::string name;
    bool is_internal = false;
    std::vector<Partition> partitions;
    int32_t authorized_operations = kOperationsUnknown;
    template <class C> void Fields(C& c) {
      c(error);
      c(name);
      if (c.Since(1)) c(is_internal);
      c(partitions);
      if (c.Since(8)) c(authorized_operations);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Broker> brokers;
  std::optional<std::string> cluster_id;
  int32_t controller_id = 0;
  std::vector<Topic> topics;
  int32_t authorized_operations = kOperationsUnknown;
  template <class C> void Fields(C& c) {
    if (c.Since(3)) c(throttle_ms);
    c(brokers);
    if (c.Since(2)) c(cluster_id);
    if (c.Since(1)) c(controller_id);
    c(topics);
    if (c.Since(8)) c(authorized_operations);
    c.Tags();
  }
};

struct FindCoordinatorRequest {
  std::string key;                // before version 4
  int8_t key_type = 0;            // 0 group, 1 transaction
  std::vector<std::string> keys;  // since version 4
  template <class C> void Fields(C& c) {
    if (!c.Since(4)) c(key);
    if (c.Since(1)) c(key_type);
    if (c.Since(4)) c(keys);
    c.Tags();
  }
};

struct FindCoordinatorResponse {
  struct Coordinator {
    std::string key;
    int32_t node_id = -1;
    std::string host;
    int32_t port = -1;
    Code error = Code::kNone;
    std::optional<std::string> message;
    template <class C> void Fields(C& c) {
      c(key);
      c(node_id);
      c(host);
      c(port);
      c(error);
      c(message);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::optional<std::string> message;
  int32_t node_id = -1;
  std::string host;
  int32_t port = -1;
  std::vector<Coordinator> coordinators;  // since version 4, instead of the above
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    if (c.Since(4)) {
      c(coordinators);
    } else {
      c(error);
      if (c.Since(1)) c(message);
      c(node_id);
      c(host);
      c(port);
    }
    c.Tags();
  }
};

struct CreateTopicsRequest {
  struct Assignment {
    int32_t partition = 0;
    std::vector<int32_t> brokers;
    template <class C> void Fields(C& c) {
      c(partition);
      c(brokers);
      c.Tags();
    }
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;
    template <class C> void Fields(C& c) {
      c(name);
      c(value);
      c.Tags();
    }
  };
  struct Topic {
    std::string name;
    int32_t partitions = 1;           // -1: the default, or as many as there are assignments
    int16_t replication_factor = 1;   // -1: the default
    std::vector<Assignment> assignments;
    std::vector<Config> configs;
    template <class C> void Fields(C& c) {
      c(name);
      c(partitions);
      c(replication_factor);
      c(assignments);
      c(configs);
      c.Tags();
    }
  };
  std::vector<Topic> topics;
  int32_t timeout_ms = 0;
  bool validate_only = false;
  template <class C> void Fields(C& c) {
    c(topics);
    c(timeout_ms);
    if (c.Since(1)) c(validate_only);
    c.Tags();
  }
};

struct CreateTopicsResponse {
  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    int8_t source = 5;
    bool is_sensitive = false;
    template <class C> void Fields(C& c) {
      c(name);
      c(value);
      c(read_only);
      c(source);
      c(is_sensitive);
      c.Tags();
    }
  };
  struct Topic {
    std::string name;
    Code error = Code::kNone;
    std::optional<std::string> message;
    int32_t partitions = -1;
    int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs;
    template <class C> void Fields(C& c) {
      c(name);
      c(error);
      if (c.Since(1)) c(message);
      if (c.Since(5)) {
        c(partitions);
        c(replication_factor);
        c(configs);
      }
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    if (c.Since(2)) c(throttle_ms);
    c(topics);
    c.Tags();
  }
};

struct DeleteTopicsRequest {
  std::vector<std::string> names;
  int32_t timeout_ms = 0;
  template <class C> void Fields(C& c) {
    c(names);
    c(timeout_ms);
    c.Tags();
  }
};

struct DeleteTopicsResponse {
  struct Topic {
    std::string name;
    Code error = Code::kNone;
    std::optional<std::string> message;
    template <class C> void Fields(C& c) {
      c(name);
      c(error);
      if (c.Since(5)) c(message);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Topic> topics;
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    c(topics);
    c.Tags();
  }
};

/// Kinds of resources whose configuration can be asked for.
inline constexpr int8_t kTopicResource = 2, kBrokerResource = 4;

struct DescribeConfigsRequest {
  struct Resource {
    int8_t type = 0;
    std::string name;
    std::optional<std::vector<std::string>> keys;  // null: all
    template <class C> void Fields(C& c) {
      c(type);
      c(name);
      c(keys);
      c.Tags();
    }
  };
  std::vector<Resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;
  template <class C> void Fields(C& c) {
    c(resources);
    if (c.Since(1)) c(include_synonyms);
    if (c.Since(3)) c(include_documentation);
    c.Tags();
  }
};

struct DescribeConfigsResponse {
  struct Synonym {
    std::string name;
    std::optional<std::string> value;
    int8_t source = 0;
    template <class C> void Fields(C& c) {
      c(name);
      c(value);
      c(source);
      c.Tags();
    }
  };
  struct Entry {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    bool is_default = false;  // version 0
    int8_t source = 5;        // 1 set on the topic, 4 set on the broker, 5 built in
    bool is_sensitive = false;
    std::vector<Synonym> synonyms;
    int8_t type = 0;  // 1 boolean, 2 string, 3 int, 5 long, 7 list
    std::optional<std::string> documentation;
    template <class C> void Fields(C& c) {
      c(name);
      c(value);
      c(read_only);
      if (c.Since(1)) {
        c(source);
      } else {
        c(is_default);
      }
      c(is_sensitive);
      if (c.Since(1)) c(synonyms);
      if (c.Since(3)) {
        c(type);
        c(documentation);
      }
      c.Tags();
    }
  };
  struct Resource {
    Code error = Code::kNone;
    std::optional<std::string> message;
    int8_t type = 0;
    std::string name;
    std::vector<Entry> entries;
    template <class C> void Fields(C& c) {
      c(error);
      c(message);
      c(type);
      c(name);
      c(entries);
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

struct DescribeClusterRequest {
  bool include_operations = false;
  int8_t endpoint_type = 1;
  template <class C> void Fields(C& c) {
    c(include_operations);
    if (c.Since(1)) c(endpoint_type);
    c.Tags();
  }
};

struct DescribeClusterResponse {
  struct Broker {
    int32_t id = 0;
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;
    template <class C> void Fields(C& c) {
      c(id);
      c(host);
      c(port);
      c(rack);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::optional<std::string> message;
  int8_t endpoint_type = 1;
  std::string cluster_id;
  int32_t controller_id = 0;
  std::vector<Broker> brokers;
  int32_t authorized_operations = kOperationsUnknown;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(error);
    c(message);
    if (c.Since(1)) c(endpoint_type);
    c(cluster_id);
    c(controller_id);
    c(brokers);
    c(authorized_operations);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
