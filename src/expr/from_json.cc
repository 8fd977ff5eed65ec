#include "expr/from_json.h"

#include "data/array.h"
#include "data/enum_type.h"
#include "data/json.h"
#include "data/record.h"
#include "expr/node.h"

namespace kappa::expr {
namespace {

using data::JsonKind;
using data::Type;
using data::TypeId;
using data::Value;
using View = std::string_view;

class Reader {
 public:
  explicit Reader(const data::TextOptions& options) : options_(options) {}

  Result<Value> Read(View json, const Type& type) const {
    const JsonKind kind = data::JsonKindOf(json);
    if (kind == JsonKind::kNull) return Value::Null(type);
    if (type.id == TypeId::kJsonb) return Value::Bytes(type, std::string(json));
    if (kind != JsonKind::kString && type.is_array()) return Array(json, type);
    if (kind != JsonKind::kString && type.id == TypeId::kRecord) return Record(json, type);
    std::string text;
    data::AppendJsonText(json, text);
    return data::FromText(text, type, options_);
  }

 private:
  static Error MalformedArray() {
    return Error(sqlstate::kInvalidTextRepresentation, "malformed JSON array")
        .Detail("Multidimensional arrays must have sub-arrays with matching dimensions.");
  }

  Result<Value> Array(View json, const Type& type) const {
    if (data::JsonKindOf(json) != JsonKind::kArray) return Error(sqlstate::kInvalidTextRepresentation, "expected JSON array");
    data::ArrayBuilder builder(type.element);
    std::vector<int32_t> lengths;
    size_t elements_at = 0;  // how deep the elements lie; 0: none seen
    KAPPA_RETURN_IF_ERROR(Level(json, type, 1, lengths, elements_at, builder));
    if (builder.size() == 0) lengths.clear();
    return Value::Bytes(type, builder.Finish(std::move(lengths)));
  }

  /// The elements of one bracket, `depth` of them around it.
  Status Level(View json, const Type& type, size_t depth, std::vector<int32_t>& lengths, size_t& elements_at, data::ArrayBuilder& builder) const {
    if (depth > static_cast<size_t>(data::kArrayDimensionsMax))
      return Error(sqlstate::kProgramLimitExceeded, "number of array dimensions exceeds the maximum allowed (6)");
    const auto length = static_cast<int32_t>(data::JsonLength(json));
    if (lengths.size() < depth) {
      if (elements_at != 0) return MalformedArray();
      lengths.push_back(length);
    } else if (lengths[depth - 1] != length) {
      return MalformedArray();
    }
    const Type element = data::ElementType(type).is_defined() ? data::ElementType(type) : Type(type.element).WithModifier(type.modifier);
    for (data::JsonIterator it(json); it.Next();) {
      if (data::JsonKindOf(it.value()) == JsonKind::kArray && element.id != TypeId::kJsonb) {
        if (elements_at == depth) return MalformedArray();
        KAPPA_RETURN_IF_ERROR(Level(it.value(), type, depth + 1, lengths, elements_at, builder));
        continue;
      }
      if (elements_at == 0 && lengths.size() == depth) elements_at = depth;
      if (elements_at != depth) return MalformedArray();
      KAPPA_ASSIGN_OR_RETURN(const Value value, Read(it.value(), element));
      if (value.null) builder.AppendNull();
      else builder.Append(value.bytes);
    }
    return {};
  }

  Result<Value> Record(View json, const Type& type) const {
    const JsonKind kind = data::JsonKindOf(json);
    if (kind != JsonKind::kObject)
      return Error(sqlstate::kInvalidParameterValue,
                   kind == JsonKind::kArray ? "cannot call populate_composite on an array" : "cannot call populate_composite on a scalar");
    const data::RecordDefinition* definition = data::FindRecord(type);
    KAPPA_CHECK(definition != nullptr);
    data::RecordBuilder builder;
    for (size_t i = 0; i < definition->types.size(); ++i) {
      View member;
      Value value = Value::Null(definition->types[i]);
      if (data::JsonField(json, definition->names[i], &member)) { KAPPA_ASSIGN_OR_RETURN(value, Read(member, definition->types[i])); }
      if (value.null) builder.AppendNull(definition->types[i]);
      else builder.Append(definition->types[i], value.bytes);
    }
    return Value::Bytes(type, builder.Finish());
  }

  const data::TextOptions& options_;
};

class FromJson final : public Node {
 public:
  FromJson(ExprPtr json, Type type) : Node(Kind::kOther, type, {std::move(json)}) {}
  std::string ToString(std::span<const std::string> names) const override { return "(" + children()[0]->ToString(names) + ")::" + type().ToString(); }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<FromJson>(std::move(children[0]), type()); }

 protected:
  Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(const data::ColumnPtr values, rows.Evaluate(*children()[0], context));
    const KernelCall call{{}, rows.count(), type(), context};
    const Reader reader(context.text);
    data::ColumnBuilder builder(type(), rows.count());
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (values->IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      const Result<Value> value = reader.Read(values->bytes(row), type());
      if (value.ok()) {
        data::AppendValue(builder, *value);
      } else {
        if (!call.Tolerate(value.error())) return value.error();
        builder.AppendNull();
      }
    }
    return builder.Finish();
  }
  bool depends_on_session() const override {  // its values may have times without a zone
    return type().id == TypeId::kTimestamptz || type().element == TypeId::kTimestamptz || type().is_record();
  }
};

}  // namespace

ExprPtr MakeFromJson(ExprPtr json, const Type& type) { return std::make_shared<FromJson>(std::move(json), type); }

}  // namespace kappa::expr
