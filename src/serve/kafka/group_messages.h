// Messages of consumer groups: membership, committed offsets, and what tools ask about groups.
#pragma once

#include "serve/kafka/cluster_messages.h"
#include "serve/kafka/codec.h"
#include "serve/kafka/protocol.h"
#include "serve/kafka/topic_messages.h"

namespace kappa::serve::kafka {

struct JoinGroupRequest {
  struct Protocol {
    std::string name;
    Blob metadata;
    template <class C> void Fields(C& c) {
      c(name);
      c(metadata);
      c.Tags();
    }
  };
  std::string group;
  int32_t session_timeout_ms = 0;
  int32_t rebalance_timeout_ms = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string protocol_type;
  std::vector<Protocol> protocols;
  std::optional<std::string> reason;
  template <class C> void Fields(C& c) {
    c(group);
    c(session_timeout_ms);
    if (c.Since(1)) c(rebalance_timeout_ms);
    c(member_id);
    if (c.Since(5)) c(instance_id);
    c(protocol_type);
    c(protocols);
    if (c.Since(8)) c(reason);
    c.Tags();
  }
};

struct JoinGroupResponse {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    Blob metadata;
    template <class C> void Fields(C& c) {
      c(id);
      if (c.Since(5)) c(instance_id);
      c(metadata);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;  // null since version 7 only
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<Member> members;
  template <class C> void Fields(C& c) {
    if (c.Since(2)) c(throttle_ms);
    c(error);
    c(generation);
    if (c.Since(7)) c(protocol_type);
    c(protocol);
    c(leader);
    if (c.Since(9)) c(skip_assignment);
    c(member_id);
    c(members);
    c.Tags();
  }
};

struct SyncGroupRequest {
  struct Assignment {
    std::string member_id;
    Blob assignment;
    template <class C> void Fields(C& c) {
      c(member_id);
      c(assignment);
      c.Tags();
    }
  };
  std::string group;
  int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::vector<Assignment> assignments;
  template <class C> void Fields(C& c) {
    c(group);
    c(generation);
    c(member_id);
    if (c.Since(3)) c(instance_id);
    if (c.Since(5)) {
      c(protocol_type);
      c(protocol);
    }
    c(assignments);
    c.Tags();
  }
};

struct SyncGroupResponse {
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  Blob assignment;
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    c(error);
    if (c.Since(5)) {
      c(protocol_type);
      c(protocol);
    }
    c(assignment);
    c.Tags();
  }
};

struct HeartbeatRequest {
  std::string group;
  int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  template <class C> void Fields(C& c) {
    c(group);
    c(generation);
    c(member_id);
    if (c.Since(3)) c(instance_id);
    c.Tags();
  }
};

struct HeartbeatResponse {
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    c(error);
    c.Tags();
  }
};

struct LeaveGroupRequest {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    std::optional<std::string> reason;
    template <class C> void Fields(C& c) {
      c(id);
      c(instance_id);
      if (c.Since(5)) c(reason);
      c.Tags();
    }
  };
  std::string group;
  std::string member_id;  // before version 3
  std::vector<Member> members;
  template <class C> void Fields(C& c) {
    c(group);
    if (c.Since(3)) {
      c(members);
    } else {
      c(member_id);
    }
    c.Tags();
  }
};

struct LeaveGroupResponse {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    Code error = Code::kNone;
    template <class C> void Fields(C& c) {
      c(id);
      c(instance_id);
      c(error);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::vector<Member> members;
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    c(error);
    if (c.Since(3)) c(members);
    c.Tags();
  }
};

struct OffsetCommitRequest {
  struct Partition {
    int32_t index = 0;
    int64_t offset = -1;
    int32_t leader_epoch = -1;
    std::optional<std::string> metadata;
    template <class C> void Fields(C& c) {
      c(index);
      c(offset);
      if (c.Since(6)) c(leader_epoch);
      c(metadata);
      c.Tags();
    }
  };
  std::string group;
  int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  int64_t retention_ms = -1;  // versions 2 to 4; the server's own setting counts
  std::vector<OfTopic<Partition>> topics;
  template <class C> void Fields(C& c) {
    c(group);
    c(generation);
    c(member_id);
    if (c.Since(7)) c(instance_id);
    if (!c.Since(5)) c(retention_ms);
    c(topics);
    c.Tags();
  }
};

struct OffsetCommitResponse {
  int32_t throttle_ms = 0;
  std::vector<OfTopic<PartitionError>> topics;
  template <class C> void Fields(C& c) {
    if (c.Since(3)) c(throttle_ms);
    c(topics);
    c.Tags();
  }
};

struct OffsetFetchRequest {
  struct Group {
    std::string id;
    std::optional<std::string> member_id;
    int32_t member_epoch = -1;
    std::optional<std::vector<OfTopic<int32_t>>> topics;  // null: all
    template <class C> void Fields(C& c) {
      c(id);
      if (c.Since(9)) {
        c(member_id);
        c(member_epoch);
      }
      c(topics);
      c.Tags();
    }
  };
  std::string group;  // before version 8, as `topics`
  std::optional<std::vector<OfTopic<int32_t>>> topics;
  std::vector<Group> groups;
  bool require_stable = false;
  template <class C> void Fields(C& c) {
    if (c.Since(8)) {
      c(groups);
    } else {
      c(group);
      c(topics);
    }
    if (c.Since(7)) c(require_stable);
    c.Tags();
  }
};

struct OffsetFetchResponse {
  struct Partition {
    int32_t index = 0;
    int64_t offset = -1;
    int32_t leader_epoch = -1;
    std::optional<std::string> metadata;
    Code error = Code::kNone;
    template <class C> void Fields(C& c) {
      c(index);
      c(offset);
      if (c.Since(5)) c(leader_epoch);
      c(metadata);
      c(error);
      c.Tags();
    }
  };
  struct Group {
    std::string id;
    std::vector<OfTopic<Partition>> topics;
    Code error = Code::kNone;
    template <class C> void Fields(C& c) {
      c(id);
      c(topics);
      c(error);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<OfTopic<Partition>> topics;  // before version 8, as `error`
  Code error = Code::kNone;
  std::vector<Group> groups;
  template <class C> void Fields(C& c) {
    if (c.Since(3)) c(throttle_ms);
    if (c.Since(8)) {
      c(groups);
    } else {
      c(topics);
      if (c.Since(2)) c(error);
    }
    c.Tags();
  }
};

struct OffsetDeleteRequest {
  std::string group;
  std::vector<OfTopic<int32_t>> topics;
  template <class C> void Fields(C& c) {
    c(group);
    c(topics);
    c.Tags();
  }
};

struct OffsetDeleteResponse {
  Code error = Code::kNone;
  int32_t throttle_ms = 0;
  std::vector<OfTopic<PartitionError>> topics;
  template <class C> void Fields(C& c) {
    c(error);
    c(throttle_ms);
    c(topics);
    c.Tags();
  }
};

struct ListGroupsRequest {
  std::vector<std::string> states;  // empty: any
  std::vector<std::string> types;
  template <class C> void Fields(C& c) {
    if (c.Since(4)) c(states);
    if (c.Since(5)) c(types);
    c.Tags();
  }
};

struct ListGroupsResponse {
  struct Group {
    std::string id;
    std::string protocol_type;
    std::string state;
    std::string type = "classic";
    template <class C> void Fields(C& c) {
      c(id);
      c(protocol_type);
      if (c.Since(4)) c(state);
      if (c.Since(5)) c(type);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  Code error = Code::kNone;
  std::vector<Group> groups;
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    c(error);
    c(groups);
    c.Tags();
  }
};

struct DescribeGroupsRequest {
  std::vector<std::string> groups;
  bool include_operations = false;
  template <class C> void Fields(C& c) {
    c(groups);
    if (c.Since(3)) c(include_operations);
    c.Tags();
  }
};

struct DescribeGroupsResponse {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    Blob metadata;
    Blob assignment;
    template <class C> void Fields(C& c) {
      c(id);
      if (c.Since(4)) c(instance_id);
      c(client_id);
      c(client_host);
      c(metadata);
      c(assignment);
      c.Tags();
    }
  };
  struct Group {
    Code error = Code::kNone;
    std::string id;
    std::string state;
    std::string protocol_type;
    std::string protocol;
    std::vector<Member> members;
    int32_t authorized_operations = kOperationsUnknown;
    template <class C> void Fields(C& c) {
      c(error);
      c(id);
      c(state);
      c(protocol_type);
      c(protocol);
      c(members);
      if (c.Since(3)) c(authorized_operations);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Group> groups;
  template <class C> void Fields(C& c) {
    if (c.Since(1)) c(throttle_ms);
    c(groups);
    c.Tags();
  }
};

struct DeleteGroupsRequest {
  std::vector<std::string> groups;
  template <class C> void Fields(C& c) {
    c(groups);
    c.Tags();
  }
};

struct DeleteGroupsResponse {
  struct Group {
    std::string id;
    Code error = Code::kNone;
    template <class C> void Fields(C& c) {
      c(id);
      c(error);
      c.Tags();
    }
  };
  int32_t throttle_ms = 0;
  std::vector<Group> groups;
  template <class C> void Fields(C& c) {
    c(throttle_ms);
    c(groups);
    c.Tags();
  }
};

}  // namespace kappa::serve::kafka
