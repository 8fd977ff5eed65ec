// The makers of single operators, for MakeOperator and for tests. Each copies what it needs of the node.
#pragma once

#include "ops/operator.h"

namespace kappa::ops {

std::unique_ptr<Operator> MakeFilter(const plan::Filter& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeCheckErrors(const plan::CheckErrors& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeTemporalFilter(const plan::TemporalFilter& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeProject(const plan::Project& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeWindow(const plan::Window& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeSession(const plan::Session& node, const OperatorOptions& options);
Result<std::unique_ptr<Operator>> MakeSessionAggregate(const plan::SessionAggregate& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeUnnest(const plan::Unnest& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeUnion(const plan::Union& node, const OperatorOptions& options);
Result<std::unique_ptr<Operator>> MakeHashAggregate(const plan::Aggregate& node, const OperatorOptions& options);
Result<std::unique_ptr<Operator>> MakeHashJoin(const plan::Join& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeAsOfJoin(const plan::AsOfJoin& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeSort(const plan::Sort& node, const OperatorOptions& options);
std::unique_ptr<Operator> MakeTopN(const plan::TopN& node, const OperatorOptions& options);
Result<std::unique_ptr<Operator>> MakeOver(const plan::OverWindow& node, const OperatorOptions& options);
Result<std::unique_ptr<Operator>> MakeLimit(const plan::Limit& node, const OperatorOptions& options);

}  // namespace kappa::ops
