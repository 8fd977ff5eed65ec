// Calls of operators and functions.
#pragma once

#include "expr/node.h"
#include "expr/registry.h"

namespace kappa::expr {

/// A call with resolved types: the arguments have exactly the types of the resolution.
class Call final : public Node {
 public:
  Call(const Signature* signature, data::Type type, std::vector<ExprPtr> arguments);

  const Signature& signature() const { return *signature_; }
  std::string_view call_name() const override { return signature_->name; }
  std::string ToString(std::span<const std::string> names) const override;
  ExprPtr WithChildren(std::vector<ExprPtr> children) const override;
  bool is_immutable() const override;

 protected:
  Result<data::ColumnPtr> Run(const Rows& rows, EvalContext& context) const override;
  bool depends_on_session() const override { return signature_->volatility == Volatility::kSession; }

 private:
  const Signature* signature_;
};

/// Casts the arguments as the resolution says and makes the call.
Result<ExprPtr> MakeCall(const Resolution& resolution, std::vector<ExprPtr> arguments, int position);
std::vector<data::Type> TypesOf(std::span<const ExprPtr> expressions);

}  // namespace kappa::expr
