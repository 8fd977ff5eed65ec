// needle [NOT] IN (constants), by linear search, hash set or row keys; lists with other expressions become ORs.
#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "data/row_key.h"
#include "expr/call.h"
#include "expr/loops.h"

namespace kappa::expr {

using data::ColumnPtr;
using data::StringView;
using data::Type;
using data::TypeId;

namespace {

constexpr size_t kLinearMax = 8;  // up to here comparing with every value is cheaper than hashing

struct BytesHash {
  using is_transparent = void;
  size_t operator()(std::string_view bytes) const { return Hash64(bytes); }
};
using ByteSet = absl::flat_hash_set<std::string, BytesHash, std::equal_to<>>;

/// The distinct non-NULL values of a list of constants.
struct ValueSet {
  ColumnPtr values;
  bool has_null = false;
  absl::flat_hash_set<int64_t> integers;
  ByteSet strings;
  ByteSet keys;  // canonical row keys
};

enum class Search : uint8_t { kIntegers, kStrings, kKeys };

Search SearchOf(const Type& type) {
  switch (type.id) {
    case TypeId::kBool:
    case TypeId::kInt2:
    case TypeId::kInt4:
    case TypeId::kInt8:
    case TypeId::kOid:
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz: return Search::kIntegers;
    case TypeId::kText:
    case TypeId::kBytea:
    case TypeId::kEnum:
    case TypeId::kUuid: return Search::kStrings;
    default: return Search::kKeys;
  }
}

/// Calls body(pointer to the values) with the physical integer type.
template <typename Body> void WithIntegers(const data::Column& column, Body body) {
  switch (column.type().width()) {
    case 1: return body(column.data<uint8_t>());
    case 2: return body(column.data<int16_t>());
    case 4: return body(column.data<int32_t>());
    default: return body(column.data<int64_t>());
  }
}

class InList final : public Node {
 public:
  InList(ExprPtr needle, std::vector<data::Value> list, bool negated)
      : Node(Kind::kIn, TypeId::kBool, {needle}), list_(std::move(list)), negated_(negated), set_(MakeSet(needle->type(), list_)) {}
  InList(ExprPtr needle, const InList& other)
      : Node(Kind::kIn, TypeId::kBool, {std::move(needle)}), list_(other.list_), negated_(other.negated_), set_(other.set_) {}

  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "(" + children()[0]->ToString(names) + (negated_ ? " NOT IN (" : " IN (");
    for (size_t i = 0; i < list_.size(); ++i) text += (i > 0 ? ", " : "") + Literal(list_[i]).ToString(names);
    return text + "))";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<InList>(std::move(children[0]), *this); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(ColumnPtr needle, rows.Evaluate(*children()[0], context));
    auto out = std::make_shared<data::Column>(TypeId::kBool, rows.count());
    uint8_t* found = out->mutable_data<uint8_t>();
    Find(*needle, found);
    if (set_->has_null) {
      std::vector<uint64_t> words((static_cast<size_t>(rows.count()) + 63) / 64);
      for (int64_t i = 0; i < rows.count(); ++i) words[static_cast<size_t>(i) >> 6] |= static_cast<uint64_t>(found[i]) << (i & 63);
      if (negated_) std::fill_n(found, rows.count(), uint8_t{0});
      out->SetValidity(std::move(words));
    } else if (negated_) {
      ForEachRow(rows.count(), [&](int64_t i) { found[i] ^= 1; });
    }
    out->MergeNulls(*needle);
    return ColumnPtr(std::move(out));
  }

 private:
  static std::shared_ptr<const ValueSet> MakeSet(const Type& type, const std::vector<data::Value>& list) {
    auto set = std::make_shared<ValueSet>();
    data::ColumnBuilder builder(type, static_cast<int64_t>(list.size()));
    for (const data::Value& value : list) {
      if (value.null) set->has_null = true;
      else data::AppendValue(builder, value);
    }
    set->values = builder.Finish();
    const int64_t count = set->values->size();
    switch (SearchOf(type)) {
      case Search::kIntegers: WithIntegers(*set->values, [&](const auto* values) { set->integers.insert(values, values + count); }); break;
      case Search::kStrings:
        for (int64_t i = 0; i < count; ++i) set->strings.emplace(set->values->bytes(i));
        break;
      case Search::kKeys: {
        const data::RowKeys keys({&set->values, 1}, count);
        for (int64_t i = 0; i < count; ++i) set->keys.emplace(keys.key(i));
        break;
      }
    }
    return set;
  }

  void Find(const data::Column& needle, uint8_t* found) const {
    const int64_t count = needle.size();
    switch (SearchOf(needle.type())) {
      case Search::kIntegers:
        WithIntegers(needle, [&](const auto* values) {
          if (set_->integers.size() <= kLinearMax) {
            for (const int64_t wide : set_->integers) {
              const auto wanted = static_cast<std::remove_cvref_t<decltype(*values)>>(wide);
              ForEachRow(count, [&](int64_t i) { found[i] |= static_cast<uint8_t>(values[i] == wanted); });
            }
          } else {
            for (int64_t i = 0; i < count; ++i) found[i] = set_->integers.contains(values[i]);
          }
        });
        break;
      case Search::kStrings: {
        const StringView* values = needle.data<StringView>();
        if (set_->strings.size() <= kLinearMax) {
          for (const std::string& text : set_->strings) {
            const StringView wanted(text);
            for (int64_t i = 0; i < count; ++i) found[i] |= static_cast<uint8_t>(values[i] == wanted);
          }
        } else {
          for (int64_t i = 0; i < count; ++i) found[i] = set_->strings.contains(values[i].view());
        }
        break;
      }
      case Search::kKeys: {
        auto shared = std::shared_ptr<const data::Column>(&needle, [](const data::Column*) {});
        const data::RowKeys keys({&shared, 1}, count);
        for (int64_t i = 0; i < count; ++i) found[i] = set_->keys.contains(keys.key(i));
        break;
      }
    }
  }

  std::vector<data::Value> list_;
  bool negated_;
  std::shared_ptr<const ValueSet> set_;
};

}  // namespace

Result<ExprPtr> MakeIn(ExprPtr needle, std::vector<ExprPtr> list, bool negated, int position) {
  KAPPA_CHECK(!list.empty());
  // The list itself stays as it was written: GROUP BY keys are found in it by comparing expressions.
  std::vector<ExprPtr> folded;
  bool literals = true;
  for (const ExprPtr& item : list) {
    folded.push_back(FoldConstants(item));
    literals = literals && folded.back()->kind() == Expression::Kind::kLiteral;
  }
  if (literals) {
    std::vector<Type> types = TypesOf(folded);
    types.insert(types.begin(), needle->type());
    auto common = CommonType(types, "IN", position);
    if (common.ok()) {
      const Type type = common->WithoutModifier();
      // "=" must exist for the type; the comparison itself is the set's.
      KAPPA_RETURN_IF_ERROR(MakeOperator("=", {MakeNull(type), MakeNull(type)}, position));
      KAPPA_ASSIGN_OR_RETURN(needle, MakeCast(std::move(needle), type, CastContext::kImplicit, position));
      std::vector<data::Value> values;
      for (ExprPtr& item : folded) {
        KAPPA_ASSIGN_OR_RETURN(ExprPtr typed, MakeCast(std::move(item), type, CastContext::kImplicit, position));
        typed = FoldConstants(typed);
        const auto* literal = dynamic_cast<const Literal*>(typed.get());
        if (literal == nullptr) {
          literals = false;  // a timestamptz in the session's zone
          break;
        }
        values.push_back(literal->value());
      }
      if (literals) return ExprPtr(std::make_shared<InList>(std::move(needle), std::move(values), negated));
    }
  }
  std::vector<ExprPtr> comparisons;
  for (ExprPtr& item : list) {
    KAPPA_ASSIGN_OR_RETURN(ExprPtr equal, MakeOperator("=", {needle, std::move(item)}, position));
    comparisons.push_back(std::move(equal));
  }
  KAPPA_ASSIGN_OR_RETURN(ExprPtr any, MakeOr(std::move(comparisons), position));
  return negated ? MakeNot(std::move(any), position) : Result<ExprPtr>(std::move(any));
}

}  // namespace kappa::expr
