// Errors as values: what users, data, network or disk can cause. Broken invariants use KAPPA_CHECK (check.h) instead.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace kappa {

/// The five-character SQLSTATE codes that kappa reports. Source: PostgreSQL 15, appendix A.
namespace sqlstate {
inline constexpr const char* kConnectionFailure = "08006";
inline constexpr const char* kProtocolViolation = "08P01";
inline constexpr const char* kFeatureNotSupported = "0A000";
inline constexpr const char* kCardinalityViolation = "21000";
inline constexpr const char* kDataException = "22000";
inline constexpr const char* kStringDataRightTruncation = "22001";
inline constexpr const char* kNumericValueOutOfRange = "22003";
inline constexpr const char* kNullValueNotAllowed = "22004";
inline constexpr const char* kInvalidDatetimeFormat = "22007";
inline constexpr const char* kDatetimeFieldOverflow = "22008";
inline constexpr const char* kInvalidTimeZone = "22009";
inline constexpr const char* kDivisionByZero = "22012";
inline constexpr const char* kInvalidRegularExpression = "2201B";
inline constexpr const char* kInvalidParameterValue = "22023";
inline constexpr const char* kInvalidTextRepresentation = "22P02";
inline constexpr const char* kInvalidBinaryRepresentation = "22P03";
inline constexpr const char* kCharacterNotInRepertoire = "22021";
inline constexpr const char* kNotNullViolation = "23502";
inline constexpr const char* kUniqueViolation = "23505";
inline constexpr const char* kActiveSqlTransaction = "25001";
inline constexpr const char* kInFailedSqlTransaction = "25P02";
inline constexpr const char* kInvalidSqlStatementName = "26000";
inline constexpr const char* kDependentObjectsStillExist = "2BP01";
inline constexpr const char* kInvalidCursorName = "34000";
inline constexpr const char* kInvalidSchemaName = "3F000";
inline constexpr const char* kSyntaxError = "42601";
inline constexpr const char* kUndefinedColumn = "42703";
inline constexpr const char* kUndefinedObject = "42704";
inline constexpr const char* kUndefinedFunction = "42883";
inline constexpr const char* kUndefinedTable = "42P01";
inline constexpr const char* kUndefinedParameter = "42P02";
inline constexpr const char* kDuplicateColumn = "42701";
inline constexpr const char* kDuplicateObject = "42710";
inline constexpr const char* kDuplicateTable = "42P07";
inline constexpr const char* kAmbiguousColumn = "42702";
inline constexpr const char* kAmbiguousFunction = "42725";
inline constexpr const char* kAmbiguousAlias = "42712";
inline constexpr const char* kDatatypeMismatch = "42804";
inline constexpr const char* kCannotCoerce = "42846";
inline constexpr const char* kGroupingError = "42803";
inline constexpr const char* kWindowingError = "42P20";
inline constexpr const char* kWrongObjectType = "42809";
inline constexpr const char* kIndeterminateDatatype = "42P18";
inline constexpr const char* kInvalidObjectDefinition = "42P17";
inline constexpr const char* kInvalidColumnReference = "42P10";
inline constexpr const char* kInsufficientResources = "53000";
inline constexpr const char* kDiskFull = "53100";
inline constexpr const char* kOutOfMemory = "53200";
inline constexpr const char* kTooManyConnections = "53300";
inline constexpr const char* kProgramLimitExceeded = "54000";
inline constexpr const char* kStatementTooComplex = "54001";
inline constexpr const char* kObjectNotInPrerequisiteState = "55000";
inline constexpr const char* kObjectInUse = "55006";
inline constexpr const char* kQueryCanceled = "57014";
inline constexpr const char* kAdminShutdown = "57P01";
inline constexpr const char* kCannotConnectNow = "57P03";
inline constexpr const char* kIoError = "58030";
inline constexpr const char* kUndefinedFile = "58P01";
inline constexpr const char* kInternalError = "XX000";
inline constexpr const char* kDataCorrupted = "XX001";
}  // namespace sqlstate

/// An error for a person: PostgreSQL's wording (message lowercase without full stop; detail and hint are sentences).
class [[nodiscard]] Error {
 public:
  Error(const char* state, std::string message) : sqlstate_(state), message_(std::move(message)) {}

  Error Detail(std::string text) && {
    detail_ = std::move(text);
    return std::move(*this);
  }
  Error Hint(std::string text) && {
    hint_ = std::move(text);
    return std::move(*this);
  }
  /// 1-based character position in the statement's text; 0 when unknown.
  Error At(int position) && {
    position_ = position;
    return std::move(*this);
  }

  const std::string& sqlstate() const { return sqlstate_; }
  const std::string& message() const { return message_; }
  const std::string& detail() const { return detail_; }
  const std::string& hint() const { return hint_; }
  int position() const { return position_; }
  void set_position(int position) { position_ = position; }
  bool Is(std::string_view state) const { return sqlstate_ == state; }
  /// "message (SQLSTATE 42703). Detail. Hint." for logs and terminals.
  std::string ToString() const;

 private:
  std::string sqlstate_;
  std::string message_;
  std::string detail_;
  std::string hint_;
  int position_ = 0;
};

/// Success, or an Error. OK costs one null pointer.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::make_unique<Error>(std::move(error))) {}  // NOLINT: implicit by design
  Status(const Status& other) : error_(other.error_ ? std::make_unique<Error>(*other.error_) : nullptr) {}
  Status(Status&&) = default;
  Status& operator=(Status&&) = default;
  Status& operator=(const Status& other) { return *this = Status(other); }
  static Status Ok() { return {}; }

  bool ok() const { return error_ == nullptr; }
  const Error& error() const {
    KAPPA_CHECK(error_ != nullptr);
    return *error_;
  }
  std::string ToString() const { return ok() ? "ok" : error_->ToString(); }

 private:
  std::unique_ptr<Error> error_;
};

/// A T, or the Error that prevented it.
template <typename T> class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design
  template <typename U>
    requires(std::is_convertible_v<U, T> && !std::is_same_v<std::decay_t<U>, T> && !std::is_same_v<std::decay_t<U>, Error> &&
             !std::is_same_v<std::decay_t<U>, Result<T>>)
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT: implicit by design

  bool ok() const { return state_.index() == 0; }
  const Error& error() const {
    KAPPA_CHECK(!ok());
    return std::get<1>(state_);
  }
  Status status() const { return ok() ? Status() : Status(error()); }
  T& value() & {
    CheckOk();
    return std::get<0>(state_);
  }
  const T& value() const& {
    CheckOk();
    return std::get<0>(state_);
  }
  T&& value() && {
    CheckOk();
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void CheckOk() const {
    if (!ok()) [[unlikely]]
      CheckFailed(__FILE__, __LINE__, "result holds a value", std::get<1>(state_).ToString());
  }
  std::variant<T, Error> state_;
};

}  // namespace kappa

#define KAPPA_CONCAT_INNER(a, b) a##b
#define KAPPA_CONCAT(a, b) KAPPA_CONCAT_INNER(a, b)
/// Returns the error of a Status or Result expression from the enclosing function.
#define KAPPA_RETURN_IF_ERROR(expression)                                  \
  do {                                                                     \
    if (auto kappa_status = (expression); !kappa_status.ok()) [[unlikely]] \
      return kappa_status.error();                                         \
  } while (false)
/// KAPPA_ASSIGN_OR_RETURN(auto x, MakeX()): declares or assigns x, or returns the error.
#define KAPPA_ASSIGN_OR_RETURN(target, expression) KAPPA_ASSIGN_OR_RETURN_IMPL(KAPPA_CONCAT(kappa_result_, __LINE__), target, expression)
#define KAPPA_ASSIGN_OR_RETURN_IMPL(result, target, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) [[unlikely]]                                \
    return result.error();                                      \
  target = std::move(result).value()
