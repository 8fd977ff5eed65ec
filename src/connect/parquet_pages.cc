// Pages are taken apart by Arrow (decompression, levels, encodings); what its decoders give is written into the column at once, a thousand
// values at a time.
#include "connect/parquet_pages.h"

#include <arrow/type.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/encoding.h>
#include <parquet/exception.h>
#include <parquet/schema.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string_view>

#include "base/int128.h"
#include "data/numeric_bytes.h"

namespace kappa::connect {
namespace {

using data::TypeId;
using ArrowId = arrow::Type;

constexpr int kChunkRows = 1024;

/// The rows of some values: `first` and those behind it, or as listed.
struct Rows {
  int64_t first = 0;
  const int32_t* list = nullptr;
  int64_t at(int64_t i) const { return list == nullptr ? first + i : list[i]; }
};

/// Writes a view of bytes that lie in it, as two words: a view made elsewhere and copied would have to wait for its own parts.
inline void WriteView(char* column, int64_t row, uint64_t low, uint64_t high) {
  std::memcpy(column + row * 16, &low, sizeof low);
  std::memcpy(column + row * 16 + 8, &high, sizeof high);
}

/// Values that keep nothing of their page.
struct Copied {
  void BeginPage(std::string_view) {}
  void BeginColumn() {}
};

/// Values that lie in the file as they do in the column.
template <typename DType> struct SameValues : Copied {
  using Type = DType;
  using T = typename DType::c_type;
  static constexpr bool kSame = true;
  void Put(const T* values, int count, Rows rows, format::CellWriter& writer, const Failed&) {
    for (int i = 0; i < count; ++i) writer.Fixed(rows.at(i), values[i]);
  }
};

/// Decimals of 32 or 64 bits that fit the column: coefficients.
template <typename DType> struct SmallDecimals : Copied {
  using Type = DType;
  using T = typename DType::c_type;
  static constexpr bool kSame = false;
  int scale;
  void Put(const T* values, int count, Rows rows, format::CellWriter& writer, const Failed&) {
    if (!writer.build()) return;
    int64_t* const coefficients = writer.coefficients();
    for (int i = 0; i < count; ++i) coefficients[rows.at(i)] = values[i];
  }
};
template <typename Values>
concept Scaled = requires(const Values& values) { values.scale; } && std::is_arithmetic_v<typename Values::T>;

/// Decimals as big-endian bytes, at most 16, that fit the column.
struct WideDecimals : Copied {
  using Type = parquet::FLBAType;
  using T = parquet::FixedLenByteArray;
  static constexpr bool kSame = false;
  int scale;
  int bytes;
  void Put(const T* values, int count, Rows rows, format::CellWriter& writer, const Failed&) {
    for (int i = 0; i < count; ++i) {
      uint128_t coefficient = (values[i].ptr[0] & 0x80) != 0 ? ~uint128_t{0} : 0;
      for (int b = 0; b < bytes; ++b) coefficient = coefficient << 8 | values[i].ptr[b];
      writer.Bytes(rows.at(i), data::EncodeSmallNumeric(static_cast<int128_t>(coefficient), scale).view());
    }
  }
};

/// Texts and byte strings. Long ones point into a copy of their page.
struct Strings {
  using Type = parquet::ByteArrayType;
  using T = parquet::ByteArray;
  static constexpr bool kSame = false;
  bool check = true;   // that they are text
  bool parse = false;  // through the column's input syntax

  std::string_view page = {};
  std::shared_ptr<const std::string> copy = nullptr;  // of the page
  bool copy_kept = false;                             // by the column that is being written

  void BeginPage(std::string_view bytes) {
    page = bytes;
    copy = nullptr;
  }
  void BeginColumn() { copy_kept = false; }

  void Put(const T* values, int count, Rows rows, format::CellWriter& writer, const Failed& failed) {
    if (parse || !PutPlain(values, count, rows, writer)) PutChecked(values, count, rows, writer, failed);
  }

 private:
  static std::string_view View(const T& value) { return {reinterpret_cast<const char*>(value.ptr), value.len}; }

  /// A byte of `word` is zero or above 127. Bytes behind the first zero byte may be told wrongly.
  static uint64_t NotPlain(uint64_t word) { return (word | (word - 0x0101010101010101)) & 0x8080808080808080; }

  /// False as soon as bytes are not plainly text: they must be looked at one by one.
  bool PutPlain(const T* values, int count, Rows rows, format::CellWriter& writer) {
    constexpr uint32_t kInline = data::StringView::kInlineMax;
    const char* const whole_until =
        page.size() < kInline ? page.data() : page.data() + page.size() - kInline + 1;  // kInline bytes can be read before
    char* const column = writer.build() ? writer.values<char>() : nullptr;
    uint64_t not_plain = 0;
    for (int i = 0; i < count; ++i) {
      const auto* at = reinterpret_cast<const char*>(values[i].ptr);
      const uint32_t size = values[i].len;
      if (size > kInline || at < page.data() || at >= whole_until) {
        if (check) not_plain |= NotPlain(at, size);
        if (column != nullptr) writer.Fixed(rows.at(i), Borrow(at, size, writer));
        continue;
      }
      uint64_t low, high = 0;
      std::memcpy(&low, at, 8);
      std::memcpy(&high, at + 8, 4);
      const uint64_t low_bits = size >= 8 ? ~uint64_t{0} : (uint64_t{1} << 8 * size) - 1;
      const uint64_t high_bits = size > 8 ? (uint64_t{1} << 8 * (size - 8)) - 1 : 0;
      low &= low_bits;
      high &= high_bits;
      not_plain |= NotPlain(low | (~low_bits & 0x0101010101010101)) | NotPlain(high | (~high_bits & 0x0101010101010101));
      if (column != nullptr) WriteView(column, rows.at(i), size | low << 32, low >> 32 | high << 32);
    }
    return !check || not_plain == 0;
  }

  static uint64_t NotPlain(const char* at, uint32_t size) {
    signed char lowest = 1;
    for (uint32_t i = 0; i < size; ++i) lowest = std::min(lowest, static_cast<signed char>(at[i]));
    return lowest <= 0;
  }

  /// A view that stays good with the writer's column.
  data::StringView Borrow(const char* at, size_t size, format::CellWriter& writer) {
    if (size <= data::StringView::kInlineMax) return {at, size};
    if (at < page.data() || at + size > page.data() + page.size()) return writer.Copied({at, size});
    if (copy == nullptr) {
      copy = std::make_shared<const std::string>(page);
      copy_kept = false;
    }
    if (!copy_kept) writer.Keep(copy);
    copy_kept = true;
    return {copy->data() + (at - page.data()), size};
  }

  void PutChecked(const T* values, int count, Rows rows, format::CellWriter& writer, const Failed& failed) {
    std::string reason;
    for (int i = 0; i < count; ++i) {
      const std::string_view value = View(values[i]);
      const int64_t row = rows.at(i);
      if (!IsText(value, reason)) {
        failed(row, std::move(reason));
      } else if (!parse) {
        if (writer.build()) writer.Fixed(row, Borrow(value.data(), value.size(), writer));
      } else if (!writer.Text(row, value, format::Lifetime::kTemporary, reason)) {
        failed(row, std::move(reason));
      }
    }
  }
};

template <typename Values> class FlatColumn final : public PageColumn {
 public:
  FlatColumn(const parquet::ColumnDescriptor& column, std::unique_ptr<parquet::PageReader> pages, Values values)
      : column_(column), pages_(std::move(pages)), values_(std::move(values)), dictionary_values_(values_) {}

  void Read(int64_t rows, format::CellWriter& writer, const Failed& failed) override {
    writes_codes_ = nullptr;  // of a column that was never finished
    dictionary_kept_ = false;
    values_.BeginColumn();
    for (int64_t row = 0; row < rows;) {
      if (page_rows_ == 0) NextPage(writer.field());
      if (row == 0) Start(rows, writer);
      else if (writes_codes_ != nullptr && !(coded_ && dictionary_ == writes_codes_->dictionary())) LayOut(row, rows, writer);
      const auto count = static_cast<int>(std::min<int64_t>({rows - row, page_rows_, kChunkRows}));
      ReadChunk(row, count, writer, failed);
      row += count;
      page_rows_ -= count;
    }
    writes_codes_ = nullptr;
  }

 private:
  using DType = typename Values::Type;
  using T = typename DType::c_type;

  /// A dictionary of more entries says little about the rows of a batch.
  static constexpr int64_t kKeptEntriesMax = 4096;

  /// Begins the writer's column: of codes where the page has codes that are worth it.
  void Start(int64_t rows, format::CellWriter& writer) {
    if (!writer.build()) return writer.Start(rows);
    const bool worth =
        coded_ && refused_.empty() && dictionary_->type().width() == 16 && dictionary_->size() > 0 && dictionary_->size() <= kKeptEntriesMax;
    if (worth) writer.Start(writes_codes_ = std::make_shared<data::Column>(dictionary_, rows));
    else writer.Start(NewColumn(writer.field().type, rows));
  }

  std::shared_ptr<data::Column> NewColumn(const data::Type& type, int64_t rows) const {
    if constexpr (Scaled<Values>) return std::make_shared<data::Column>(type, rows, data::Column::Scale{values_.scale});
    else return std::make_shared<data::Column>(type, rows, data::Column::Uninitialized{});
  }

  /// The first `row` rows were codes; what follows is none of the same dictionary.
  void LayOut(int64_t row, int64_t rows, format::CellWriter& writer) {
    const auto codes = std::move(writes_codes_);
    std::shared_ptr<data::Column> column = NewColumn(codes->type(), rows);
    if constexpr (Scaled<Values>) {
      for (int64_t i = 0; i < row; ++i)
        column->mutable_coefficients()[i] = codes->dictionary()->coefficients()[static_cast<size_t>(codes->codes()[static_cast<size_t>(i)])];
    } else {
      std::memcpy(column->mutable_data<char>(), codes->data<char>(), static_cast<size_t>(row * codes->type().width()));
    }
    column->ShareKeepalives(*codes);
    for (int64_t i = 0; i < row; ++i)
      if (codes->IsNull(i)) column->SetNull(i);
    writer.Start(std::move(column));
  }

  /// To the next page of data, over the dictionary's.
  void NextPage(const data::Field& field) {
    do {
      page_ = pages_->NextPage();
      if (page_ == nullptr) throw parquet::ParquetException("a column ends before its row group does");
      switch (page_->type()) {
        case parquet::PageType::DICTIONARY_PAGE: ReadDictionary(static_cast<const parquet::DictionaryPage&>(*page_), field); break;
        case parquet::PageType::DATA_PAGE: {
          const auto& page = static_cast<const parquet::DataPageV1&>(*page_);
          int levels = 0;
          if (column_.max_definition_level() > 0) {
            levels = levels_.SetData(page.definition_level_encoding(), column_.max_definition_level(), page.num_values(), page.data(), page.size());
          }
          Begin(page, levels);
          break;
        }
        case parquet::PageType::DATA_PAGE_V2: {
          const auto& page = static_cast<const parquet::DataPageV2&>(*page_);
          const int64_t levels = int64_t{page.repetition_levels_byte_length()} + page.definition_levels_byte_length();
          if (levels < 0 || levels > page.size()) throw parquet::ParquetException("the levels of a page are longer than the page");
          if (column_.max_definition_level() > 0) {
            levels_.SetDataV2(page.definition_levels_byte_length(), column_.max_definition_level(), page.num_values(),
                              page.data() + page.repetition_levels_byte_length());
          }
          Begin(page, static_cast<int>(levels));
          break;
        }
        default: break;
      }
    } while (page_rows_ == 0);
  }

  /// Sets the decoder to a page's values, which lie behind its levels.
  void Begin(const parquet::DataPage& page, int levels) {
    if (page.num_values() < 0) throw parquet::ParquetException("a page has fewer than no values");
    page_rows_ = page.num_values();
    const uint8_t* data = page.data() + levels;
    const int size = page.size() - levels;
    coded_ = page.encoding() == parquet::Encoding::PLAIN_DICTIONARY || page.encoding() == parquet::Encoding::RLE_DICTIONARY;
    if (coded_) {
      if (dictionary_ == nullptr) throw parquet::ParquetException("a page of codes comes before its dictionary");
      if (codes_ == nullptr) codes_ = parquet::MakeDictDecoder<parquet::Int32Type>();
      codes_->SetData(page.num_values(), data, size);
      return;
    }
    auto& decoder = decoders_[page.encoding()];
    if (decoder == nullptr) decoder = parquet::MakeTypedDecoder<DType>(page.encoding(), &column_);
    decoder_ = decoder.get();
    decoder_->SetData(page.num_values(), data, size);
    values_.BeginPage({reinterpret_cast<const char*>(data), static_cast<size_t>(size)});
  }

  void ReadDictionary(const parquet::DictionaryPage& page, const data::Field& field) {
    if (page.num_values() < 0 || page.num_values() > page.size()) throw parquet::ParquetException("a dictionary has more entries than bytes");
    auto decoder = parquet::MakeTypedDecoder<DType>(parquet::Encoding::PLAIN, &column_);
    decoder->SetData(page.num_values(), page.data(), page.size());
    dictionary_values_.BeginPage({reinterpret_cast<const char*>(page.data()), static_cast<size_t>(page.size())});
    format::CellWriter writer(field, true);
    writer.Start(NewColumn(field.type, page.num_values()));
    refused_.clear();
    for (int at = 0; at < page.num_values();) {
      const int count = decoder->Decode(scratch_.data(), std::min(page.num_values() - at, kChunkRows));
      if (count <= 0) throw parquet::ParquetException("a dictionary ends early");
      dictionary_values_.Put(scratch_.data(), count, {at}, writer,
                             [&](int64_t entry, std::string reason) { refused_.emplace(entry, std::move(reason)); });
      at += count;
    }
    dictionary_ = writer.Finish(nullptr);
    dictionary_kept_ = false;
  }

  void ReadChunk(int64_t row, int count, format::CellWriter& writer, const Failed& failed) {
    Rows rows{row};
    if (column_.max_definition_level() > 0) {
      const int present = ReadNulls(row, count, writer, failed);
      if (present < count) rows.list = present_.data();
      count = present;
    }
    if (count == 0) return;
    if (coded_) return ReadCodes(count, rows, writer, failed);
    if constexpr (Values::kSame) {
      if (!writer.build()) return Decode(count, scratch_.data());
      if (rows.list == nullptr) return Decode(count, writer.values<T>() + row);
    } else if constexpr (Scaled<Values> && sizeof(T) == sizeof(int64_t)) {
      if (writer.build() && rows.list == nullptr) return Decode(count, writer.coefficients() + row);
    }
    Decode(count, scratch_.data());
    values_.Put(scratch_.data(), count, rows, writer, failed);
  }

  void Decode(int count, T* out) {
    if (decoder_->Decode(out, count) != count) throw parquet::ParquetException("a page ends early");
  }

  /// Writes the NULLs of the rows and lists the others; returns their number.
  int ReadNulls(int64_t row, int count, format::CellWriter& writer, const Failed& failed) {
    if (levels_.Decode(count, level_.data()) != count) throw parquet::ParquetException("the levels of a page end early");
    const auto present = static_cast<int>(std::count(level_.begin(), level_.begin() + count, column_.max_definition_level()));
    if (present == count) return count;
    int listed = 0;
    for (int i = 0; i < count; ++i) {
      if (level_[static_cast<size_t>(i)] == column_.max_definition_level()) {
        present_[static_cast<size_t>(listed++)] = static_cast<int32_t>(row + i);
      } else {
        ReadNull(row + i, writer, failed);
      }
    }
    return present;
  }

  void ReadCodes(int count, Rows rows, format::CellWriter& writer, const Failed& failed) {
    if (!writer.build() && refused_.empty()) return;  // the rest of the page is not looked at either
    const bool in_place = writes_codes_ != nullptr && rows.list == nullptr;
    int32_t* const codes = in_place ? writes_codes_->mutable_codes() + rows.first : code_.data();
    if (codes_->DecodeIndices(count, codes) != count) throw parquet::ParquetException("the codes of a page end early");
    uint32_t highest = 0;
    for (int i = 0; i < count; ++i) highest = std::max(highest, static_cast<uint32_t>(codes[i]));
    if (highest >= dictionary_->size()) throw parquet::ParquetException("a code is beyond the dictionary");
    if (writes_codes_ != nullptr) {
      if (in_place) return;
      for (int i = 0; i < count; ++i) writes_codes_->mutable_codes()[rows.at(i)] = codes[i];
      return;
    }
    if (!refused_.empty()) {
      for (int i = 0; i < count; ++i) {
        if (const auto entry = refused_.find(code_[static_cast<size_t>(i)]); entry != refused_.end()) failed(rows.at(i), entry->second);
      }
    }
    if (!writer.build()) return;
    if (!dictionary_kept_) {
      for (const data::Keepalive& keepalive : dictionary_->keepalives()) writer.Keep(keepalive);
      dictionary_kept_ = true;
    }
    if constexpr (Scaled<Values>) {
      const int64_t* from = dictionary_->coefficients().data();
      for (int i = 0; i < count; ++i) writer.coefficients()[rows.at(i)] = from[code_[static_cast<size_t>(i)]];
      return;
    }
    switch (dictionary_->type().width()) {
      case 1: return Copy<uint8_t>(count, rows, writer);
      case 2: return Copy<uint16_t>(count, rows, writer);
      case 4: return Copy<uint32_t>(count, rows, writer);
      case 8: return Copy<uint64_t>(count, rows, writer);
      default: return Copy<std::array<uint64_t, 2>>(count, rows, writer);
    }
  }

  template <typename Physical> void Copy(int count, Rows rows, format::CellWriter& writer) {
    const Physical* from = dictionary_->data<Physical>();
    Physical* to = writer.values<Physical>();
    for (int i = 0; i < count; ++i) to[rows.at(i)] = from[code_[static_cast<size_t>(i)]];
  }

  const parquet::ColumnDescriptor& column_;  // of the file's metadata
  const std::unique_ptr<parquet::PageReader> pages_;
  std::shared_ptr<parquet::Page> page_;
  int64_t page_rows_ = 0;  // not read yet
  parquet::LevelDecoder levels_;
  std::map<parquet::Encoding::type, std::unique_ptr<parquet::TypedDecoder<DType>>> decoders_;
  parquet::TypedDecoder<DType>* decoder_ = nullptr;  // of the page
  Values values_;

  bool coded_ = false;  // the page is
  std::unique_ptr<parquet::DictDecoder<parquet::Int32Type>> codes_;
  Values dictionary_values_;
  data::ColumnPtr dictionary_;
  std::map<int64_t, std::string> refused_;  // entries, with the reason
  bool dictionary_kept_ = false;            // by the column that is being written
  std::shared_ptr<data::Column> writes_codes_;  // the column that is being written, where it is coded

  std::array<T, kChunkRows> scratch_;
  std::array<int16_t, kChunkRows> level_;
  std::array<int32_t, kChunkRows> present_, code_;
};

template <typename Values>
std::unique_ptr<PageColumn> Make(const parquet::ColumnDescriptor& column, std::unique_ptr<parquet::PageReader> pages, Values values) {
  return std::make_unique<FlatColumn<Values>>(column, std::move(pages), std::move(values));
}

const arrow::DataType& ValueType(const arrow::DataType& type) {
  return type.id() == ArrowId::DICTIONARY ? *static_cast<const arrow::DictionaryType&>(type).value_type() : type;
}

bool IsString(const arrow::DataType& type) {
  return type.id() == ArrowId::STRING || type.id() == ArrowId::LARGE_STRING || type.id() == ArrowId::STRING_VIEW;
}
bool IsBinary(const arrow::DataType& type) {
  return type.id() == ArrowId::BINARY || type.id() == ArrowId::LARGE_BINARY || type.id() == ArrowId::BINARY_VIEW;
}

/// Whether fixed-width values lie in the file as they do in the column.
bool LieAlike(const arrow::DataType& from, const data::Type& to) {
  switch (to.id) {
    case TypeId::kInt4: return from.id() == ArrowId::INT32;
    case TypeId::kDate: return from.id() == ArrowId::DATE32;
    case TypeId::kInt8: return from.id() == ArrowId::INT64;
    case TypeId::kTimestamp:
    case TypeId::kTimestamptz:
      return from.id() == ArrowId::TIMESTAMP && static_cast<const arrow::TimestampType&>(from).unit() == arrow::TimeUnit::MICRO && to.modifier < 0;
    case TypeId::kFloat4: return from.id() == ArrowId::FLOAT;
    case TypeId::kFloat8: return from.id() == ArrowId::DOUBLE;
    default: return false;
  }
}

}  // namespace

bool IsPageColumn(const parquet::ColumnDescriptor& column, const arrow::DataType& type, const data::Type& to) {
  const bool flat = column.max_repetition_level() == 0 && column.max_definition_level() <= 1 && column.path()->ToDotVector().size() == 1;
  if (!flat) return false;
  const arrow::DataType& from = ValueType(type);
  switch (column.physical_type()) {
    case parquet::Type::BYTE_ARRAY: return (IsString(from) || IsBinary(from)) && IsReadable(from, to);
    case parquet::Type::FIXED_LEN_BYTE_ARRAY: return column.type_length() >= 1 && column.type_length() <= 16 && DecimalFits(from, to);
    case parquet::Type::INT32:
    case parquet::Type::INT64: return LieAlike(from, to) || DecimalFits(from, to);
    case parquet::Type::FLOAT:
    case parquet::Type::DOUBLE: return LieAlike(from, to);
    default: return false;
  }
}

std::unique_ptr<PageColumn> OpenPageColumn(const parquet::ColumnDescriptor& column, const arrow::DataType& type, const data::Type& to,
                                           std::unique_ptr<parquet::PageReader> pages) {
  const arrow::DataType& from = ValueType(type);
  const int scale = DecimalFits(from, to) ? static_cast<const arrow::DecimalType&>(from).scale() : -1;
  switch (column.physical_type()) {
    case parquet::Type::BYTE_ARRAY: {
      const bool bytes = to.id == TypeId::kBytea && IsBinary(from);
      const bool text = (to.id == TypeId::kText || to.id == TypeId::kUnknown) && to.modifier < 0;
      return Make(column, std::move(pages), Strings{.check = !bytes, .parse = !bytes && !text});
    }
    case parquet::Type::FIXED_LEN_BYTE_ARRAY: return Make(column, std::move(pages), WideDecimals{{}, scale, column.type_length()});
    case parquet::Type::INT32:
      if (scale >= 0) return Make(column, std::move(pages), SmallDecimals<parquet::Int32Type>{{}, scale});
      return Make(column, std::move(pages), SameValues<parquet::Int32Type>{});
    case parquet::Type::INT64:
      if (scale >= 0) return Make(column, std::move(pages), SmallDecimals<parquet::Int64Type>{{}, scale});
      return Make(column, std::move(pages), SameValues<parquet::Int64Type>{});
    case parquet::Type::FLOAT: return Make(column, std::move(pages), SameValues<parquet::FloatType>{});
    case parquet::Type::DOUBLE: return Make(column, std::move(pages), SameValues<parquet::DoubleType>{});
    default: KAPPA_CHECK(false);  // IsPageColumn said no
  }
}

}  // namespace kappa::connect
