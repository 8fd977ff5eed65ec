#include "expr/row.h"

#include "data/array.h"
#include "data/enum_type.h"
#include "data/record.h"
#include "expr/node.h"

namespace kappa::expr {
namespace {

using data::ColumnPtr;
using data::Type;
using data::TypeId;

/// Children: the fields; then, with `marked`, what is NULL where there is no row.
class RecordConstructor final : public Node {
 public:
  RecordConstructor(std::vector<ExprPtr> children, Type type, bool marked) : Node(Kind::kOther, type, std::move(children)), marked_(marked) {}
  size_t size() const { return children().size() - (marked_ ? 1 : 0); }
  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "ROW(";
    for (size_t i = 0; i < size(); ++i) text += (i > 0 ? ", " : "") + children()[i]->ToString(names);
    return text + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<RecordConstructor>(std::move(children), type(), marked_);
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    std::vector<Argument> fields;
    for (const ExprPtr& child : children()) {
      KAPPA_ASSIGN_OR_RETURN(Argument field, rows.EvaluateArgument(*child, context));
      fields.push_back(std::move(field));
    }
    data::ColumnBuilder builder(type(), rows.count());
    data::RecordBuilder record;
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (marked_ && fields.back().IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      for (size_t i = 0; i < size(); ++i) record.AppendFrom(*fields[i].column, fields[i].At(row));
      builder.AppendBytes(record.Finish());
    }
    return builder.Finish();
  }

 private:
  bool marked_;
};

/// One field of a record.
class RecordField final : public Node {
 public:
  RecordField(ExprPtr record, size_t index, std::string name, Type type)
      : Node(Kind::kOther, type, {std::move(record)}), index_(index), name_(std::move(name)) {}
  std::string ToString(std::span<const std::string> names) const override { return "(" + children()[0]->ToString(names) + ")." + name_; }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override {
    return std::make_shared<RecordField>(std::move(children[0]), index_, name_, type());
  }
  ExprPtr Simplified() const override {
    const auto* record = dynamic_cast<const RecordConstructor*>(children()[0].get());
    return record == nullptr ? nullptr : record->children()[index_];
  }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(const ColumnPtr records, rows.Evaluate(*children()[0], context));
    data::ColumnBuilder builder(type(), rows.count());
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (records->IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      data::RecordReader record(records->bytes(row));
      for (size_t i = 0; i < index_; ++i) record.Next();
      const std::optional<std::string_view> value = record.Next().physical;
      if (!value) builder.AppendNull();
      else if (type().is_variable()) builder.AppendBytes(*value);
      else data::AppendValue(builder, data::Value::Bytes(type(), std::string(*value)));
    }
    return builder.Finish();
  }

 private:
  size_t index_;
  std::string name_;
};

/// Arrays side by side as an array of records. Children: the arrays; NULL where the first is.
class Records final : public Node {
 public:
  Records(std::vector<ExprPtr> arrays, Type type) : Node(Kind::kOther, type, std::move(arrays)) {}
  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "records(";
    for (size_t i = 0; i < children().size(); ++i) text += (i > 0 ? ", " : "") + children()[i]->ToString(names);
    return text + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<Records>(std::move(children), type()); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    std::vector<ColumnPtr> arrays;
    for (const ExprPtr& child : children()) {
      KAPPA_ASSIGN_OR_RETURN(ColumnPtr array, rows.Evaluate(*child, context));
      arrays.push_back(std::move(array));
    }
    data::ColumnBuilder builder(type(), rows.count());
    data::RecordBuilder record;
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (arrays[0]->IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      std::vector<data::ArrayView> views;
      for (const ColumnPtr& array : arrays) views.emplace_back(array->bytes(row));
      data::ArrayBuilder records(TypeId::kRecord);
      for (int32_t i = 0; i < views[0].size(); ++i) {
        for (const data::ArrayView& view : views) {
          if (i >= view.size() || view.IsNull(i)) record.AppendNull(view.element());
          else record.Append(view.element(), view.bytes(i));
        }
        records.Append(record.Finish());
      }
      builder.AppendBytes(records.Finish());
    }
    return builder.Finish();
  }
};

/// The rows of a two-dimensional array as an array of records of one field.
class ArrayRows final : public Node {
 public:
  ArrayRows(ExprPtr array, Type type) : Node(Kind::kOther, type, {std::move(array)}) {}
  std::string ToString(std::span<const std::string> names) const override { return children()[0]->ToString(names); }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<ArrayRows>(std::move(children[0]), type()); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(const ColumnPtr arrays, rows.Evaluate(*children()[0], context));
    data::ColumnBuilder builder(type(), rows.count());
    data::RecordBuilder record;
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (arrays->IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      const data::ArrayView array(arrays->bytes(row));
      data::ArrayBuilder records(TypeId::kRecord);
      for (int32_t i = 0; i < array.size();) {
        data::ArrayBuilder inner(array.element());
        for (const int32_t end = i + array.length(1); i < end; ++i) {
          if (array.IsNull(i)) inner.AppendNull();
          else inner.Append(array.bytes(i));
        }
        record.Append(Type::ArrayOf(array.element()), inner.Finish());
        records.Append(record.Finish());
      }
      builder.AppendBytes(records.Finish());
    }
    return builder.Finish();
  }
};

std::vector<ExprPtr> WithMarker(std::vector<ExprPtr> fields, ExprPtr present) {
  if (present) fields.push_back(std::move(present));
  return fields;
}

}  // namespace

Row::Row(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, Origin origin)
    : Expression(Kind::kOther, TypeId::kRecord, WithMarker(std::move(fields), std::move(present))), names_(std::move(names)), origin_(origin) {
  KAPPA_CHECK(children().size() == names_.size() || children().size() == names_.size() + 1);
}

Result<ColumnPtr> Row::Evaluate(const data::Batch&, std::span<const int32_t>, EvalContext&) const {
  return Error(sqlstate::kInternalError, "a row value was evaluated");
}
Result<ColumnPtr> Row::Evaluate(const data::Batch&, EvalContext&) const { return Error(sqlstate::kInternalError, "a row value was evaluated"); }

std::string Row::ToString(std::span<const std::string> names) const {
  std::string text = "ROW(";
  for (size_t i = 0; i < size(); ++i) text += (i > 0 ? ", " : "") + field(i)->ToString(names);
  return text + ")";
}

ExprPtr Row::WithChildren(std::vector<ExprPtr> children) const {
  ExprPtr present;
  if (children.size() > names_.size()) {
    present = std::move(children.back());
    children.pop_back();
  }
  return std::make_shared<Row>(std::move(children), names_, std::move(present), origin_);
}

bool Row::is_immutable() const {
  for (const ExprPtr& child : children())
    if (!child->is_immutable()) return false;
  return true;
}

ExprPtr MakeRow(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, Row::Origin origin) {
  return std::make_shared<Row>(std::move(fields), std::move(names), std::move(present), origin);
}

ExprPtr MakeRowOf(ExprPtr record) {
  const data::RecordDefinition* definition = data::FindRecord(record->type());
  KAPPA_CHECK(definition != nullptr);
  std::vector<ExprPtr> fields;
  for (size_t i = 0; i < definition->names.size(); ++i) {
    const auto field = std::make_shared<RecordField>(record, i, definition->names[i], definition->types[i]);
    const ExprPtr simple = field->Simplified();
    fields.push_back(simple != nullptr ? simple : field);
  }
  return MakeRow(std::move(fields), definition->names, std::move(record), Row::Origin::kRecord);
}

ExprPtr MakeRecords(std::vector<std::string> names, std::vector<ExprPtr> arrays) {
  data::RecordDefinition definition{std::move(names), {}};
  for (const ExprPtr& array : arrays) definition.types.push_back(data::ElementType(array->type()));
  return std::make_shared<Records>(std::move(arrays), data::ArrayType(data::RegisterRecord(definition)));
}

ExprPtr MakeArrayRows(ExprPtr array) {
  const Type type = data::ArrayType(data::RegisterRecord({{"row"}, {array->type()}}));
  return std::make_shared<ArrayRows>(std::move(array), type);
}

const Row* RowOf(const Expression& expression) { return dynamic_cast<const Row*>(&expression); }

Result<ExprPtr> RecordOf(const Row& row) {
  if (row.record() != nullptr) return row.record();
  if (row.size() > data::kRecordFieldsMax) return Error("54011", "ROW expressions can have at most 1664 entries");
  data::RecordDefinition definition{row.names(), {}};
  std::vector<ExprPtr> children;
  for (size_t i = 0; i < row.size(); ++i) {
    ExprPtr field = row.field(i);
    if (const Row* nested = RowOf(*field)) { KAPPA_ASSIGN_OR_RETURN(field, RecordOf(*nested)); }
    if (field->type().id == TypeId::kUnknown) { KAPPA_ASSIGN_OR_RETURN(field, MakeCast(std::move(field), TypeId::kText, CastContext::kImplicit, 0)); }
    definition.types.push_back(field->type());
    children.push_back(std::move(field));
  }
  const bool marked = row.present() != nullptr;
  return ExprPtr(std::make_shared<RecordConstructor>(WithMarker(std::move(children), row.present()), data::RegisterRecord(definition), marked));
}

Result<ExprPtr> RecordOf(const Row& row, const Type& type, CastContext context, int position) {
  if (row.record() != nullptr && row.record()->type().Same(type)) return row.record();
  const data::RecordDefinition* definition = data::FindRecord(type);
  KAPPA_CHECK(definition != nullptr);
  if (row.size() != definition->types.size())
    return Error(sqlstate::kCannotCoerce, "cannot cast type record to " + type.ToString())
        .Detail(row.size() < definition->types.size() ? "Input has too few columns." : "Input has too many columns.")
        .At(position);
  std::vector<ExprPtr> fields;
  for (size_t i = 0; i < row.size(); ++i) {
    ExprPtr field = row.field(i);
    const Type& wanted = definition->types[i];
    if (const Row* nested = RowOf(*field)) {
      KAPPA_ASSIGN_OR_RETURN(field, wanted.id == TypeId::kRecord ? RecordOf(*nested, wanted, context, position) : RecordOf(*nested));
    }
    // A text that stands there as it was written has no type yet: the row gave it one.
    if (const auto* literal = dynamic_cast<const Literal*>(field.get()); literal != nullptr && literal->type() == Type(TypeId::kText))
      field = MakeLiteral(literal->value().null ? data::Value::Null(TypeId::kUnknown) : data::Value::Bytes(TypeId::kUnknown, literal->value().bytes));
    KAPPA_ASSIGN_OR_RETURN(field, MakeCast(std::move(field), wanted, context, position));
    fields.push_back(std::move(field));
  }
  const bool marked = row.present() != nullptr;
  return ExprPtr(std::make_shared<RecordConstructor>(WithMarker(std::move(fields), row.present()), type, marked));
}

}  // namespace kappa::expr
