// From plan nodes to operators, and how their inputs must be split over shards.
#include "ops/operator.h"

#include "ops/factories.h"

namespace kappa::ops {

Distribution RequiredDistribution(const plan::Node& node, int port) {
  switch (node.kind) {
    case plan::NodeKind::kAggregate: {
      const auto& aggregate = static_cast<const plan::Aggregate&>(node);
      if (aggregate.keys.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, aggregate.keys};
    }
    case plan::NodeKind::kSession: {
      const auto& session = static_cast<const plan::Session&>(node);
      if (session.keys.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, session.keys};
    }
    case plan::NodeKind::kSessionAggregate: {
      const auto& sessions = static_cast<const plan::SessionAggregate&>(node);
      if (sessions.keys.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, sessions.keys};
    }
    case plan::NodeKind::kJoin: {
      const auto& join = static_cast<const plan::Join&>(node);
      if (join.replicated >= 0) return {port == join.replicated ? Distribution::Kind::kReplicated : Distribution::Kind::kAny, {}};
      if (join.left_keys.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, port == 0 ? join.left_keys : join.right_keys};
    }
    case plan::NodeKind::kAsOfJoin: {
      const auto& join = static_cast<const plan::AsOfJoin&>(node);
      if (join.left_keys.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, port == 0 ? join.left_keys : join.right_keys};
    }
    case plan::NodeKind::kOver: {
      const auto& over = static_cast<const plan::OverWindow&>(node);
      if (over.partition.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, over.partition};
    }
    case plan::NodeKind::kTopN: {
      const auto& top = static_cast<const plan::TopN&>(node);
      if (top.partition.empty()) return {Distribution::Kind::kSingle, {}};
      return {Distribution::Kind::kHash, top.partition};
    }
    case plan::NodeKind::kSort:
    case plan::NodeKind::kLimit: return {Distribution::Kind::kSingle, {}};
    default: return {};
  }
}

Result<std::unique_ptr<Operator>> MakeOperator(const plan::Node& node, const OperatorOptions& options) {
  switch (node.kind) {
    case plan::NodeKind::kFilter: return MakeFilter(static_cast<const plan::Filter&>(node), options);
    case plan::NodeKind::kCheckErrors: return MakeCheckErrors(static_cast<const plan::CheckErrors&>(node), options);
    case plan::NodeKind::kTemporalFilter: return MakeTemporalFilter(static_cast<const plan::TemporalFilter&>(node), options);
    case plan::NodeKind::kProject: return MakeProject(static_cast<const plan::Project&>(node), options);
    case plan::NodeKind::kWindow: return MakeWindow(static_cast<const plan::Window&>(node), options);
    case plan::NodeKind::kSession: return MakeSession(static_cast<const plan::Session&>(node), options);
    case plan::NodeKind::kSessionAggregate: return MakeSessionAggregate(static_cast<const plan::SessionAggregate&>(node), options);
    case plan::NodeKind::kUnnest: return MakeUnnest(static_cast<const plan::Unnest&>(node), options);
    case plan::NodeKind::kUnion: return MakeUnion(static_cast<const plan::Union&>(node), options);
    case plan::NodeKind::kAggregate: return MakeHashAggregate(static_cast<const plan::Aggregate&>(node), options);
    case plan::NodeKind::kJoin: return MakeHashJoin(static_cast<const plan::Join&>(node), options);
    case plan::NodeKind::kAsOfJoin: return MakeAsOfJoin(static_cast<const plan::AsOfJoin&>(node), options);
    case plan::NodeKind::kOver: return MakeOver(static_cast<const plan::OverWindow&>(node), options);
    case plan::NodeKind::kTopN: return MakeTopN(static_cast<const plan::TopN&>(node), options);
    case plan::NodeKind::kSort:
      if (!options.bounded) return Error(sqlstate::kFeatureNotSupported, "ORDER BY is not supported in a view").Hint("Sort when you read the view.");
      return MakeSort(static_cast<const plan::Sort&>(node), options);
    case plan::NodeKind::kLimit:
      if (!options.bounded) return Error(sqlstate::kFeatureNotSupported, "LIMIT is not supported in a view").Hint("Limit when you read the view.");
      return MakeLimit(static_cast<const plan::Limit&>(node), options);
    case plan::NodeKind::kScan:
    case plan::NodeKind::kValues:
    case plan::NodeKind::kRecursive:
    case plan::NodeKind::kTableFunction: return Error(sqlstate::kInternalError, "a source node has no operator");
  }
  KAPPA_CHECK(false);
}

}  // namespace kappa::ops
