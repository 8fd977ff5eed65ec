// regclass, regtype and their kin.
#include "expr/functions/reg_types.h"

#include <fmt/format.h>

#include <charconv>

#include "expr/call.h"

namespace kappa::expr {

using data::Type;
using data::TypeId;
using data::Value;

namespace {

struct RegType {
  std::string_view name;
  int32_t oid;
};
constexpr RegType kRegTypes[] = {{"regclass", 2205},     {"regtype", 2206}, {"regproc", 24},   {"regprocedure", 2202},
                                 {"regnamespace", 4089}, {"regrole", 4096}, {"regoper", 2203}, {"regconfig", 3734}};

const RegType* Find(int32_t oid) {
  for (const RegType& type : kRegTypes) {
    if (type.oid == oid) return &type;
  }
  return nullptr;
}

std::optional<int64_t> ParseOid(std::string_view text) {
  int64_t oid = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), oid);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || oid < 0 || oid > 0xFFFFFFFFLL) return std::nullopt;
  return oid;
}

bool IsUnknownToEngine(const Error& error) { return error.Is(sqlstate::kUndefinedFunction) || error.Is(sqlstate::kFeatureNotSupported); }

/// Types are known here, everything else to the engine: <name>_text gives a name, <name>in an oid.
Result<std::string> NameOf(const EvalContext& context, const RegType& type, int64_t oid) {
  if (oid == 0) return std::string("-");
  if (type.name == "regtype") {
    std::string name = FormatType(oid, -1);
    return name == "???" ? fmt::format("{}", oid) : name;
  }
  auto name = CallEngine(context, fmt::format("{}_text", type.name), {Value::Fixed<int64_t>(TypeId::kOid, oid)});
  if (name.ok() && !name->null) return name->bytes;
  if (!name.ok() && !IsUnknownToEngine(name.error())) return name.error();
  return fmt::format("{}", oid);
}

Result<int64_t> OidOf(const EvalContext& context, const RegType& type, std::string_view text) {
  if (text == "-") return int64_t{0};
  if (const auto oid = ParseOid(text)) return *oid;
  if (type.name == "regtype") {
    const Result<Type> found = data::TypeFromName(text);
    if (found.ok()) return static_cast<int64_t>(found->oid());
    const auto defined = CallEngine(context, "to_regtype", {Value::Text(std::string(text))});  // by CREATE TYPE or CREATE DOMAIN
    if (!defined.ok() || defined->null) return found.error();
    return defined->As<int64_t>();
  }
  if (type.name == "regclass") {
    KAPPA_ASSIGN_OR_RETURN(const Value oid, CallEngine(context, "to_regclass", {Value::Text(std::string(text))}));
    if (oid.null) return Error(sqlstate::kUndefinedTable, fmt::format("relation \"{}\" does not exist", text));
    return oid.As<int64_t>();
  }
  auto oid = CallEngine(context, fmt::format("{}in", type.name), {Value::Text(std::string(text))});
  if (oid.ok() && !oid->null) return oid->As<int64_t>();
  if (!oid.ok() && !IsUnknownToEngine(oid.error())) return oid.error();
  return Error(sqlstate::kFeatureNotSupported, fmt::format("{} of the name \"{}\" is not supported", type.name, text));
}

class RegCast final : public Node {
 public:
  RegCast(ExprPtr text, const RegType& type) : Node(Kind::kCall, Type(TypeId::kOid).WithModifier(type.oid), {std::move(text)}), type_(type) {}
  std::string_view call_name() const override { return type_.name; }
  std::string ToString(std::span<const std::string> names) const override {
    return fmt::format("({})::{}", children()[0]->ToString(names), type_.name);
  }
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override { return std::make_shared<RegCast>(std::move(children[0]), type_); }
  bool is_immutable() const override { return false; }

 protected:
  Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const override {
    KAPPA_ASSIGN_OR_RETURN(data::ColumnPtr text, rows.Evaluate(*children()[0], context));
    auto out = std::make_shared<data::Column>(type(), rows.count());
    KernelCall call{{{text, false}}, rows.count(), type(), context};
    for (int64_t row = 0; row < rows.count(); ++row) {
      if (text->IsNull(row)) {
        out->SetNull(row);
        continue;
      }
      auto oid = OidOf(context, type_, text->bytes(row));
      if (oid.ok()) {
        out->mutable_data<int64_t>()[row] = *oid;
      } else {
        if (!call.Tolerate(oid.error())) return oid.error();
        out->SetNull(row);
      }
    }
    return data::ColumnPtr(std::move(out));
  }

 private:
  RegType type_;
};

}  // namespace

Result<Value> CallEngine(const EvalContext& context, std::string_view name, const std::vector<Value>& arguments) {
  if (!context.engine_function) return Error(sqlstate::kFeatureNotSupported, fmt::format("function {} needs a running server", name));
  return context.engine_function(name, arguments);
}

std::string FormatType(int64_t oid, int32_t modifier) {
  static constexpr std::pair<int64_t, std::string_view> kOthers[] = {{18, "\"char\""},
                                                                     {19, "name"},
                                                                     {22, "int2vector"},
                                                                     {30, "oidvector"},
                                                                     {114, "json"},
                                                                     {194, "pg_node_tree"},
                                                                     {269, "table_am_handler"},
                                                                     {1003, "name[]"},
                                                                     {1002, "\"char\"[]"},
                                                                     {1033, "aclitem"},
                                                                     {1034, "aclitem[]"},
                                                                     {1083, "time without time zone"},
                                                                     {1266, "time with time zone"},
                                                                     {2205, "regclass"},
                                                                     {2206, "regtype"},
                                                                     {24, "regproc"},
                                                                     {4089, "regnamespace"},
                                                                     {4096, "regrole"},
                                                                     {2275, "cstring"},
                                                                     {2276, "\"any\""},
                                                                     {2277, "anyarray"},
                                                                     {2278, "void"},
                                                                     {2279, "trigger"},
                                                                     {2283, "anyelement"},
                                                                     {3220, "pg_lsn"},
                                                                     {27, "tid"},
                                                                     {28, "xid"},
                                                                     {29, "cid"},
                                                                     {5069, "xid8"}};
  if (oid == 0) return "-";
  if (oid == 1043 && modifier < 0) return "character varying";
  if (oid == 1015 && modifier < 0) return "character varying[]";
  if (oid == 1042) return modifier < 4 ? "character" : fmt::format("character({})", modifier - 4);
  for (const auto& [known, name] : kOthers) {
    if (known == oid) return std::string(name);
  }
  const Type type = data::TypeFromOid(static_cast<uint32_t>(oid));
  if (type.id == TypeId::kUnknown) return oid == 705 ? "unknown" : "???";
  if (type.is_defined()) return type.ToString();  // its modifier is the type itself
  return type.WithModifier(modifier).ToString();
}

Kernel RegTextKernel(const Type& type) {
  const RegType reg = *Find(type.modifier);
  return [reg](KernelCall& call) -> Result<data::ColumnPtr> {
    data::ColumnBuilder builder(call.type, call.rows);
    for (int64_t row = 0; row < call.rows; ++row) {
      if (call.arguments[0].IsNull(row)) {
        builder.AppendNull();
        continue;
      }
      KAPPA_ASSIGN_OR_RETURN(const std::string name, NameOf(call.context, reg, call.arguments[0].Get<int64_t>(row)));
      builder.AppendBytes(name);
    }
    return builder.Finish();
  };
}

bool IsRegType(const Type& type) { return type.id == TypeId::kOid && Find(type.modifier) != nullptr; }

Result<ExprPtr> MakeRegCast(ExprPtr arg, std::string_view name, int position) {
  for (const RegType& type : kRegTypes) {
    if (type.name != name) continue;
    if (IsRegType(arg->type()) && arg->type().modifier == type.oid) return arg;
    if (arg->type().id == TypeId::kText || arg->type().id == TypeId::kUnknown) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr text, MakeCast(std::move(arg), TypeId::kText, CastContext::kExplicit, position));
      return ExprPtr(std::make_shared<RegCast>(std::move(text), type));
    }
    if (arg->type().id == TypeId::kOid || IsInteger(arg->type().id)) {
      KAPPA_ASSIGN_OR_RETURN(ExprPtr oid, MakeCast(std::move(arg), TypeId::kOid, CastContext::kExplicit, position));
      return MakeCast(std::move(oid), Type(TypeId::kOid).WithModifier(type.oid), CastContext::kExplicit, position);
    }
    return Error(sqlstate::kCannotCoerce, fmt::format("cannot cast type {} to {}", arg->type().WithoutModifier().ToString(), name)).At(position);
  }
  return Error(sqlstate::kUndefinedObject, fmt::format("type \"{}\" does not exist", name)).At(position);
}

}  // namespace kappa::expr
