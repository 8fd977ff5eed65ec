// Arrow's reader takes pages apart as if they were not compressed; those of Snappy are decompressed here, into memory that is used
// again; Debian's libsnappy takes less time for them than the copy inside of Arrow's library.
#include "connect/parquet_chunk.h"

#include <arrow/io/memory.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <snappy.h>

#include <algorithm>
#include <cstring>

namespace kappa::connect {
namespace {

/// Snappy makes at most so many bytes of one: a copy of 64 takes three.
constexpr size_t kMostOfAByte = 22;

class SnappyPages final : public parquet::PageReader {
 public:
  SnappyPages(std::unique_ptr<parquet::PageReader> compressed, Room& room) : compressed_(std::move(compressed)), room_(room) {}

  std::shared_ptr<parquet::Page> NextPage() override {
    const std::shared_ptr<parquet::Page> page = compressed_->NextPage();
    if (page == nullptr) return page;
    switch (page->type()) {
      case parquet::PageType::DICTIONARY_PAGE: {
        const auto& dictionary = static_cast<const parquet::DictionaryPage&>(*page);
        return std::make_shared<parquet::DictionaryPage>(Decompress(*page, 0), dictionary.num_values(), dictionary.encoding(),
                                                         dictionary.is_sorted());
      }
      case parquet::PageType::DATA_PAGE: {
        const auto& data = static_cast<const parquet::DataPageV1&>(*page);
        return std::make_shared<parquet::DataPageV1>(Decompress(*page, 0), data.num_values(), data.encoding(), data.definition_level_encoding(),
                                                     data.repetition_level_encoding(), data.uncompressed_size());
      }
      case parquet::PageType::DATA_PAGE_V2: {
        const auto& data = static_cast<const parquet::DataPageV2&>(*page);
        if (!data.is_compressed()) return page;
        const int64_t levels = int64_t{data.repetition_levels_byte_length()} + data.definition_levels_byte_length();
        if (levels < 0 || levels > page->size()) throw parquet::ParquetException("the levels of a page are longer than the page");
        return std::make_shared<parquet::DataPageV2>(Decompress(*page, static_cast<size_t>(levels)), data.num_values(), data.num_nulls(),
                                                     data.num_rows(), data.encoding(), data.definition_levels_byte_length(),
                                                     data.repetition_levels_byte_length(), data.uncompressed_size());
      }
      default: return page;
    }
  }

  void set_max_page_header_size(uint32_t size) override { compressed_->set_max_page_header_size(size); }

 private:
  /// The page's bytes, decompressed behind the first `plain` ones.
  std::shared_ptr<arrow::Buffer> Decompress(const parquet::Page& page, size_t plain) {
    const std::string_view bytes(reinterpret_cast<const char*>(page.data()), static_cast<size_t>(page.size()));
    const std::string_view compressed = bytes.substr(plain);
    size_t length = 0;
    const bool known = compressed.empty() || snappy::GetUncompressedLength(compressed.data(), compressed.size(), &length);
    if (!known || length > compressed.size() * kMostOfAByte || length > INT32_MAX - plain)
      throw parquet::ParquetException("a page is not compressed with Snappy");
    const std::span<uint8_t> out = room_.First(plain + length);
    std::copy_n(bytes.begin(), plain, out.begin());
    if (!compressed.empty() && !snappy::RawUncompress(compressed.data(), compressed.size(), reinterpret_cast<char*>(out.data() + plain)))
      throw parquet::ParquetException("a page is not compressed with Snappy");
    return std::make_shared<arrow::Buffer>(out.data(), static_cast<int64_t>(out.size()));
  }

  const std::unique_ptr<parquet::PageReader> compressed_;
  Room& room_;
};

}  // namespace

std::span<uint8_t> Room::First(size_t size) {
  if (size > size_ || bytes_ == nullptr) {
    bytes_ = std::make_unique_for_overwrite<uint8_t[]>(std::max<size_t>(size, 1));
    size_ = size;
  }
  return {bytes_.get(), size};
}

std::unique_ptr<parquet::PageReader> ChunkReader::Open(arrow::io::RandomAccessFile& file, parquet::ParquetFileReader& reader, int group, int leaf) {
  const parquet::FileMetaData& metadata = *reader.metadata();
  const auto row_group = metadata.RowGroup(group);
  const auto column = row_group->ColumnChunk(leaf);
  const parquet::ApplicationVersion& writer = metadata.writer_version();
  // Of old writers chunks are longer than they say, and pages compressed that say that they are not.
  const bool odd = writer.VersionLt(parquet::ApplicationVersion::PARQUET_816_FIXED_VERSION()) ||
                   writer.VersionLt(parquet::ApplicationVersion::PARQUET_CPP_10353_FIXED_VERSION());
  if (odd || column->crypto_metadata() != nullptr) return reader.RowGroup(group)->GetColumnPageReader(leaf);
  int64_t from = column->data_page_offset();
  if (column->has_dictionary_page() && column->dictionary_page_offset() > 0) from = std::min(from, column->dictionary_page_offset());
  const int64_t size = column->total_compressed_size();
  PARQUET_ASSIGN_OR_THROW(const int64_t file_size, file.GetSize());
  if (from < 0 || size < 0 || from > file_size || size > file_size - from) throw parquet::ParquetException("a column lies outside of the file");
  const std::span<uint8_t> bytes = chunk_.First(static_cast<size_t>(size));
  PARQUET_ASSIGN_OR_THROW(const int64_t read, file.ReadAt(from, size, bytes.data()));
  if (read != size) throw parquet::ParquetException("the file ends in a column");
  const bool snappy = column->compression() == arrow::Compression::SNAPPY;
  auto pages = parquet::PageReader::Open(std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(bytes.data(), size)),
                                         column->num_values(), snappy ? arrow::Compression::UNCOMPRESSED : column->compression(),
                                         parquet::default_reader_properties(), *metadata.schema()->Column(leaf));
  if (snappy) pages = std::make_unique<SnappyPages>(std::move(pages), page_);
  return pages;
}

}  // namespace kappa::connect
