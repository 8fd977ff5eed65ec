// EXPLAIN: plans as text and as JSON, and the hash of the text.
#include <map>

#include "base/hash.h"
#include "plan/build.h"
#include "plan/node.h"
#include "plan/subquery_expression.h"

namespace kappa::plan {
namespace {

using expr::ExprPtr;

std::string Join(const std::vector<std::string>& parts, const char* separator = ", ") {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : separator) + part;
  return text;
}

std::vector<std::string> Texts(const std::vector<ExprPtr>& expressions, const std::vector<std::string>& names) {
  std::vector<std::string> texts;
  for (const ExprPtr& expression : expressions) texts.push_back(expression->ToString(names));
  return texts;
}

/// Column names for expressions: the second and later columns of one name are told apart as name#2, so that equal text
/// means equal plans.
std::vector<std::string> DistinctNames(const data::Schema& schema) {
  std::vector<std::string> names = ColumnNames(schema);
  std::map<std::string, int> seen;
  for (std::string& name : names)
    if (const int count = ++seen[name]; count > 1) name += "#" + std::to_string(count);
  return names;
}

/// Microseconds as the largest units that divide them: "7 days", "5 minutes", "1500 ms".
std::string Duration(int64_t us) {
  static constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86'400'000'000, "day"}, {3'600'000'000, "hour"}, {60'000'000, "minute"}, {1'000'000, "second"}};
  for (const auto& [size, name] : kUnits) {
    if (us % size != 0 || us == 0) continue;
    return std::to_string(us / size) + " " + name + (us / size == 1 ? "" : "s");
  }
  if (us % 1000 == 0) return std::to_string(us / 1000) + " ms";
  return std::to_string(us) + " us";
}

const char* RelationName(RelationKind kind) {
  switch (kind) {
    case RelationKind::kStream: return "stream";
    case RelationKind::kTable: return "table";
    case RelationKind::kView: return "view";
    case RelationKind::kSystem: return "system";
    case RelationKind::kWorking: return "working";
  }
  return "";
}

const char* JoinName(JoinType type) {
  switch (type) {
    case JoinType::kInner: return "inner";
    case JoinType::kLeft: return "left";
    case JoinType::kRight: return "right";
    case JoinType::kFull: return "full";
    case JoinType::kCross: return "cross";
    case JoinType::kSemi: return "semi";
    case JoinType::kAnti: return "anti";
  }
  return "";
}

/// One operator's line as its name and the properties after it.
struct Line {
  std::string name;
  std::string text;  // whole line
};

std::string ScanText(const Scan& scan) {
  std::string text = std::string("Scan ") + (scan.changelog ? "changelog of " : "") + RelationName(scan.relation_kind) + " " + scan.name;
  if (scan.version > 0) text += "$" + std::to_string(scan.version);
  if (scan.relation_kind == RelationKind::kWorking && scan.relation_id > 0) text += "#" + std::to_string(scan.relation_id);
  text += " [" + Join(ColumnNames(scan.schema)) + "]";
  if (scan.late == LateRows::kDrop) text += " late=drop";
  if (scan.late == LateRows::kOnly) text += " late=only";
  if (scan.predicate) text += " where " + scan.predicate->ToString(DistinctNames(scan.schema));
  return text;
}

std::string TemporalText(const TemporalFilter& filter, const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const TemporalFilter::Bound& bound : filter.bounds) {
    std::string text = bound.value->ToString(names) + (bound.before ? " >" : " <") + (bound.inclusive ? "= now()" : " now()");
    if (bound.shift_us != 0) text += (bound.shift_us < 0 ? " - " : " + ") + Duration(bound.shift_us < 0 ? -bound.shift_us : bound.shift_us);
    parts.push_back(std::move(text));
  }
  return "TemporalFilter " + Join(parts, " AND ");
}

std::string ProjectText(const Project& project, const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < project.expressions.size(); ++i) {
    std::string text = project.expressions[i]->ToString(names);
    const std::string& name = project.schema.fields[i].name;
    parts.push_back(text == name ? text : text + " AS " + name);
  }
  return "Project " + Join(parts);
}

std::string JoinText(const plan::Join& join) {
  const std::vector<std::string> left = DistinctNames(join.inputs[0]->schema);
  const std::vector<std::string> right = DistinctNames(join.inputs[1]->schema);
  std::vector<std::string> conditions;
  for (size_t i = 0; i < join.left_keys.size(); ++i)
    conditions.push_back("left." + join.left_keys[i]->ToString(left) +
                         (i < join.null_equal.size() && join.null_equal[i] ? " is right." : " = right.") + join.right_keys[i]->ToString(right));
  std::string text = std::string("Join ") + JoinName(join.type);
  if (!conditions.empty()) text += " on " + Join(conditions, " AND ");
  if (join.residual) {
    data::Schema both = join.inputs[0]->schema;
    both.fields.insert(both.fields.end(), join.inputs[1]->schema.fields.begin(), join.inputs[1]->schema.fields.end());
    text += " residual " + join.residual->ToString(DistinctNames(join.left_only() ? both : join.schema));
  }
  for (const auto& [side, expiry, names] : {std::tuple("left", join.left_expiry, left), std::tuple("right", join.right_expiry, right)}) {
    if (expiry.column < 0) continue;
    text += std::string(" drop ") + side + " at " + names[static_cast<size_t>(expiry.column)];
    if (expiry.delay_us != 0) text += (expiry.delay_us < 0 ? " - " : " + ") + Duration(expiry.delay_us < 0 ? -expiry.delay_us : expiry.delay_us);
  }
  if (join.replicated >= 0) text += join.replicated == 0 ? " left in every shard" : " right in every shard";
  return text;
}

std::string CheckErrorsText(const CheckErrors& check, const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const CheckErrors::Step& step : check.steps) parts.push_back((step.filter ? "where " : "") + step.expression->ToString(names));
  return "CheckErrors " + Join(parts);
}

std::string AsOfJoinText(const AsOfJoin& join) {
  static constexpr const char* kMatches[] = {" >= ", " > ", " <= ", " < "};
  const std::vector<std::string> left = DistinctNames(join.inputs[0]->schema);
  const std::vector<std::string> right = DistinctNames(join.inputs[1]->schema);
  std::string text = std::string("AsOfJoin ") + (join.outer ? "left on " : "inner on ");
  for (size_t i = 0; i < join.left_keys.size(); ++i)
    text += "left." + join.left_keys[i]->ToString(left) + " = right." + join.right_keys[i]->ToString(right) + " AND ";
  text += "left." + join.left_time->ToString(left) + kMatches[static_cast<size_t>(join.match)] + "right." + join.right_time->ToString(right);
  if (join.right_tie) text += " latest right." + join.right_tie->ToString(right);
  const auto at = [](const ExprPtr& time, const std::vector<std::string>& names, int64_t lag_us) {
    return " at " + time->ToString(names) + (lag_us != 0 ? " + " + Duration(lag_us) : "");
  };
  if (join.right_progress) text += " drop left" + at(join.left_time, left, join.right_progress->lag_us);
  if (join.right_progress && join.left_progress) text += " drop right" + at(join.right_time, right, join.left_progress->lag_us);
  return text;
}

std::string KeysText(const std::vector<SortKey>& keys, const std::vector<std::string>& names) {
  std::vector<std::string> parts;
  for (const SortKey& key : keys) {
    std::string text = key.expression->ToString(names) + (key.descending ? " DESC" : "");
    if (key.nulls_first != key.descending) text += key.nulls_first ? " NULLS FIRST" : " NULLS LAST";
    parts.push_back(std::move(text));
  }
  return Join(parts);
}

/// "partition by a order by b DESC", with a space before.
std::string PartitionText(const std::vector<ExprPtr>& partition, const std::vector<SortKey>& order, const std::vector<std::string>& names) {
  std::string text;
  if (!partition.empty()) text += " partition by " + Join(Texts(partition, names));
  if (!order.empty()) text += " order by " + KeysText(order, names);
  return text;
}

/// Empty for the frame that is meant when none is written.
std::string FrameText(const WindowFrame& frame) {
  using Bound = WindowFrame::Bound;
  using Exclude = WindowFrame::Exclude;
  const auto bound = [](Bound kind, const ExprPtr& offset) -> std::string {
    switch (kind) {
      case Bound::kUnboundedPreceding: return "UNBOUNDED PRECEDING";
      case Bound::kPreceding: return offset->ToString({}) + " PRECEDING";
      case Bound::kCurrentRow: return "CURRENT ROW";
      case Bound::kFollowing: return offset->ToString({}) + " FOLLOWING";
      case Bound::kUnboundedFollowing: return "UNBOUNDED FOLLOWING";
    }
    return "";
  };
  const bool usual = frame.mode == WindowFrame::Mode::kRange && frame.start == Bound::kUnboundedPreceding && frame.end == Bound::kCurrentRow;
  if (usual && frame.exclude == Exclude::kNone) return "";
  std::string text = frame.mode == WindowFrame::Mode::kRange ? " RANGE" : frame.mode == WindowFrame::Mode::kRows ? " ROWS" : " GROUPS";
  text += " BETWEEN " + bound(frame.start, frame.start_offset) + " AND " + bound(frame.end, frame.end_offset);
  if (frame.exclude == Exclude::kCurrentRow) text += " EXCLUDE CURRENT ROW";
  if (frame.exclude == Exclude::kGroup) text += " EXCLUDE GROUP";
  if (frame.exclude == Exclude::kTies) text += " EXCLUDE TIES";
  return text;
}

std::string OverText(const OverWindow& over, const std::vector<std::string>& names) {
  std::vector<std::string> calls;
  for (const WindowCall& call : over.calls) {
    std::string text =
        call.kind == WindowCall::Kind::kAggregate ? call.aggregate.ToString(names) : call.name + "(" + Join(Texts(call.arguments, names)) + ")";
    if (call.kind >= WindowCall::Kind::kFirstValue) text += FrameText(call.frame);
    calls.push_back(std::move(text));
  }
  return "Over" + PartitionText(over.partition, over.order, names) + ": " + Join(calls);
}

std::string TopNText(const TopN& top, const std::vector<std::string>& names) {
  static constexpr const char* kRanks[] = {"row_number", "rank", "dense_rank", "ties"};
  std::string text = std::string("TopN ") + kRanks[static_cast<size_t>(top.rank)];
  if (top.from == top.to) text += " = " + std::to_string(top.to);
  else if (top.from > 1) text += " " + std::to_string(top.from) + " to " + (top.to == INT64_MAX ? "end" : std::to_string(top.to));
  else text += " <= " + std::to_string(top.to);
  text += PartitionText(top.partition, top.order, names);
  if (top.with_rank) text += " with " + top.schema.fields.back().name;
  if (top.inputs[0]->append_only) text += " append-only";
  return text;
}

std::string AggregateText(const Aggregate& aggregate, const std::vector<std::string>& names) {
  std::vector<std::string> calls;
  for (const expr::AggregateCall& call : aggregate.aggregates) calls.push_back(call.ToString(names));
  std::string text = aggregate.aggregates.empty() ? "Distinct" : "Aggregate";
  if (!aggregate.keys.empty()) text += " by " + Join(Texts(aggregate.keys, names));
  if (!calls.empty()) text += ": " + Join(calls);
  if (aggregate.close_key >= 0) text += " emit on close of " + aggregate.keys[static_cast<size_t>(aggregate.close_key)]->ToString(names);
  if (aggregate.value_key >= 0) text += " (sets of " + aggregate.keys[static_cast<size_t>(aggregate.value_key)]->ToString(names) + ")";
  return text;
}

std::string WindowText(const Window& window, const std::vector<std::string>& names) {
  const std::string& time = names[static_cast<size_t>(window.time_column)];
  const bool cumulate = window.shape == Window::Shape::kCumulate, tumble = !cumulate && window.slide_us == window.size_us;
  std::string text = tumble ? "Window tumble " + time + " size "
                            : std::string(cumulate ? "Window cumulate " : "Window hop ") + time + (cumulate ? " step " : " slide ") +
                                  Duration(window.slide_us) + " size ";
  text += Duration(window.size_us);
  if (window.offset_us != 0) text += " offset " + Duration(window.offset_us);
  if (window.merges) text += " merging equal rows";
  return text;
}

std::string SessionText(const Session& session, const std::vector<std::string>& names) {
  std::string text = "Session " + names[static_cast<size_t>(session.time_column)] + " gap " + Duration(session.gap_us);
  if (!session.keys.empty()) text += " by " + Join(Texts(session.keys, names));
  if (session.closes) text += " emit on close";
  if (session.expires) text += " until idle for the gap";
  return text;
}

std::string SessionAggregateText(const SessionAggregate& sessions, const std::vector<std::string>& names) {
  std::vector<std::string> calls;
  for (const expr::AggregateCall& call : sessions.aggregates) calls.push_back(call.ToString(names));
  std::string text = "SessionAggregate " + names[static_cast<size_t>(sessions.time_column)] + " gap " + Duration(sessions.gap_us);
  if (!sessions.keys.empty()) text += " by " + Join(Texts(sessions.keys, names));
  if (!calls.empty()) text += ": " + Join(calls);
  if (sessions.closes) text += " emit on close";
  if (sessions.expires) text += " until idle for the gap";
  return text;
}

std::string ValuesText(const Values& values) {
  std::string text = "Values " + std::to_string(values.rows.size()) + (values.rows.size() == 1 ? " row" : " rows");
  constexpr size_t kShown = 3;  // more rows are told apart by the hash below
  std::vector<std::string> rows;
  uint64_t hash = 0;
  for (size_t i = 0; i < values.rows.size(); ++i) {
    const std::string row = "(" + Join(Texts(values.rows[i], {})) + ")";
    if (i < kShown) rows.push_back(row);
    else hash = CombineHash(hash, Hash64(row));
  }
  if (!values.schema.fields.empty()) text += ": " + Join(rows);
  if (hash != 0) text += ", .. #" + std::to_string(hash);
  return text;
}

std::string TextOf(const Node& node) {
  const std::vector<std::string> names = node.inputs.empty() ? std::vector<std::string>() : DistinctNames(node.inputs[0]->schema);
  switch (node.kind) {
    case NodeKind::kScan: return ScanText(static_cast<const Scan&>(node));
    case NodeKind::kValues: return ValuesText(static_cast<const Values&>(node));
    case NodeKind::kFilter: return "Filter " + static_cast<const Filter&>(node).predicate->ToString(names);
    case NodeKind::kTemporalFilter: return TemporalText(static_cast<const TemporalFilter&>(node), names);
    case NodeKind::kProject: return ProjectText(static_cast<const Project&>(node), names);
    case NodeKind::kWindow: return WindowText(static_cast<const Window&>(node), names);
    case NodeKind::kSession: return SessionText(static_cast<const Session&>(node), names);
    case NodeKind::kSessionAggregate: return SessionAggregateText(static_cast<const SessionAggregate&>(node), names);
    case NodeKind::kUnnest: {
      const auto& unnest = static_cast<const Unnest&>(node);
      std::string text = "Unnest " + unnest.array->ToString(names) + " AS " + node.schema.fields[names.size()].name;
      for (size_t i = 0; i < unnest.more.size(); ++i)
        text += ", " + unnest.more[i]->ToString(names) + " AS " + node.schema.fields[names.size() + 1 + i].name;
      return text + (unnest.with_ordinality ? " with ordinality" : "") + (unnest.outer ? " outer" : "");
    }
    case NodeKind::kAggregate: return AggregateText(static_cast<const Aggregate&>(node), names);
    case NodeKind::kJoin: return JoinText(static_cast<const plan::Join&>(node));
    case NodeKind::kCheckErrors: return CheckErrorsText(static_cast<const CheckErrors&>(node), names);
    case NodeKind::kAsOfJoin: return AsOfJoinText(static_cast<const AsOfJoin&>(node));
    case NodeKind::kUnion: return "Union all";
    case NodeKind::kSort: return "Sort by " + KeysText(static_cast<const Sort&>(node).keys, names);
    case NodeKind::kOver: return OverText(static_cast<const OverWindow&>(node), names);
    case NodeKind::kTopN: return TopNText(static_cast<const TopN&>(node), names);
    case NodeKind::kLimit: {
      const auto& limit = static_cast<const Limit&>(node);
      std::string text = "Limit";
      if (limit.limit) text += " " + limit.limit->ToString({});
      if (limit.offset) text += " offset " + limit.offset->ToString({});
      return text;
    }
    case NodeKind::kRecursive: {
      const auto& recursive = static_cast<const Recursive&>(node);
      return "Recursive " + recursive.name + (recursive.distinct ? " union" : " union all");
    }
    case NodeKind::kTableFunction: {
      const auto& function = static_cast<const TableFunction&>(node);
      return "Function " + function.name + "(" + Join(Texts(function.arguments, {})) + ")";
    }
  }
  return "";
}

/// The plans of the sub-queries in the node's own expressions, in order.
std::vector<NodePtr> SubqueryPlans(const Node& node) {
  std::vector<NodePtr> plans;
  const auto collect = [&](const auto& self, const expr::Expression& expression) -> void {
    if (const Subquery* subquery = SubqueryOf(expression)) plans.push_back(subquery->plan);
    for (const ExprPtr& child : expression.children()) self(self, *child);
  };
  VisitOwnExpressions(node, [&](const ExprPtr& expression) { collect(collect, *expression); });
  return plans;
}

bool HasTwoStages(const Node& node) { return node.kind == NodeKind::kAggregate && plan::HasTwoStages(static_cast<const Aggregate&>(node)); }

/// `with_stages`: also how it is computed, which is no part of what it computes.
void AppendText(const Node& node, int depth, bool with_stages, std::string& out) {
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  out += indent + TextOf(node) + (with_stages && HasTwoStages(node) ? " in two stages\n" : "\n");
  for (const NodePtr& plan : SubqueryPlans(node)) {
    out += indent + "  Subquery\n";
    AppendText(*plan, depth + 2, with_stages, out);
  }
  for (const NodePtr& input : node.inputs) AppendText(*input, depth + 1, with_stages, out);
}

void AppendJsonString(const std::string& text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (byte < 0x20) ((out += "\\u00") += kHex[byte >> 4]) += kHex[byte & 15];
    else out += c;
  }
  out += '"';
}

void AppendJson(const Node& node, std::string& out) {
  const std::string text = TextOf(node);
  const size_t space = text.find(' ');
  out += "{\"operator\":";
  AppendJsonString(text.substr(0, space), out);
  out += ",\"text\":";
  AppendJsonString(text, out);
  out += ",\"columns\":[";
  for (size_t i = 0; i < node.schema.fields.size(); ++i) {
    out += i == 0 ? "{\"name\":" : ",{\"name\":";
    AppendJsonString(node.schema.fields[i].name, out);
    out += ",\"type\":";
    AppendJsonString(node.schema.fields[i].type.ToString(), out);
    out += "}";
  }
  out += std::string("],\"append_only\":") + (node.append_only ? "true" : "false");
  if (node.kind == NodeKind::kAggregate) out += std::string(",\"two_stages\":") + (HasTwoStages(node) ? "true" : "false");
  if (const std::vector<NodePtr> plans = SubqueryPlans(node); !plans.empty()) {
    out += ",\"subqueries\":[";
    for (size_t i = 0; i < plans.size(); ++i) {
      if (i > 0) out += ",";
      AppendJson(*plans[i], out);
    }
    out += "]";
  }
  out += ",\"inputs\":[";
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) out += ",";
    AppendJson(*node.inputs[i], out);
  }
  out += "]}";
}

}  // namespace

std::string Explain(const Node& root) {
  std::string text;
  AppendText(root, 0, /*with_stages=*/true, text);
  return text;
}

std::string ExplainJson(const Node& root) {
  std::string text;
  AppendJson(root, text);
  return text;
}

uint64_t PlanHash(const Node& root) {
  // Names and types of the output are part of what a version is, so the root's schema is hashed as well.
  std::string text;
  AppendText(root, 0, /*with_stages=*/false, text);
  for (const data::Field& field : root.schema.fields) text += field.name + " " + field.type.ToString() + "\n";
  return Hash64(text);
}

}  // namespace kappa::plan
