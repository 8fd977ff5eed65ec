#include "expr/row.h"

#include "expr/node.h"

namespace kappa::expr {
namespace {

using data::ColumnPtr;
using data::TypeId;

/// Quotes doubled, the whole in quotes where a reader could not tell where it ends.
void AppendField(std::string_view text, std::string& out) {
  const bool plain = !text.empty() && text.find_first_of("\"\\(), \t\n\v\f\r") == std::string_view::npos;
  if (plain) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += c;
    out += c;
  }
  out += '"';
}

/// Children: the fields; then, with `marked`, what is NULL where there is no row.
class RowText final : public Node {
 public:
  RowText(std::vector<ExprPtr> children, bool marked) : Node(Kind::kOther, TypeId::kText, std::move(children)), marked_(marked) {}
  std::string ToString(std::span<const std::string> names) const override {
    std::string text = "row_text(";
    for (size_t i = 0; i < children().size(); ++i) text += (i > 0 ? ", " : "") + children()[i]->ToString(names);
    return text + ")";
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<RowText>(std::move(children), marked_); }

 protected:
  Result<ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    std::vector<Argument> fields;
    for (const ExprPtr& child : children()) {
      KAPPA_ASSIGN_OR_RETURN(Argument field, rows.EvaluateArgument(*child, context));
      fields.push_back(std::move(field));
    }
    data::ColumnBuilder builder(type(), rows.count());
    std::string text, field;
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (marked_ && fields.back().IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      text = "(";
      for (size_t i = 0; i + (marked_ ? 1 : 0) < fields.size(); ++i) {
        if (i > 0) text += ',';
        if (fields[i].IsNull(row)) continue;
        field.clear();
        data::AppendText(*fields[i].column, fields[i].At(row), context.text, field);
        AppendField(field, text);
      }
      text += ')';
      builder.AppendBytes(text);
    }
    return builder.Finish();
  }
  bool depends_on_session() const override { return true; }

 private:
  bool marked_;
};

std::vector<ExprPtr> WithMarker(std::vector<ExprPtr> fields, ExprPtr present) {
  if (present) fields.push_back(std::move(present));
  return fields;
}

}  // namespace

Row::Row(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, bool constructed)
    : Expression(Kind::kOther, TypeId::kRecord, WithMarker(std::move(fields), std::move(present))),
      names_(std::move(names)),
      constructed_(constructed) {
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
  return std::make_shared<Row>(std::move(children), names_, std::move(present), constructed_);
}

bool Row::is_immutable() const {
  for (const ExprPtr& child : children())
    if (!child->is_immutable()) return false;
  return true;
}

ExprPtr MakeRow(std::vector<ExprPtr> fields, std::vector<std::string> names, ExprPtr present, bool constructed) {
  return std::make_shared<Row>(std::move(fields), std::move(names), std::move(present), constructed);
}

const Row* RowOf(const Expression& expression) {
  return expression.type().id == TypeId::kRecord && expression.kind() == Expression::Kind::kOther ? static_cast<const Row*>(&expression) : nullptr;
}

ExprPtr MakeRowText(const Row& row) {
  std::vector<ExprPtr> children;
  for (const ExprPtr& child : row.children()) {
    const Row* nested = RowOf(*child);
    children.push_back(nested != nullptr ? MakeRowText(*nested) : child);
  }
  return std::make_shared<RowText>(std::move(children), row.present() != nullptr);
}

}  // namespace kappa::expr
