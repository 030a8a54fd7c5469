#include "traces/trace_writer.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "sim/core/check.h"
#include "traces/half.h"
#include "traces/hdf5_attributes.h"

namespace moesim {
namespace {

// Both measured: docs/traces.md says what they cost and gain.
constexpr int64_t kChunkValues = int64_t{1} << 18;
constexpr unsigned kGzipLevel = 6;

// The type that numpy calls float16.
Hdf5Handle half_type() {
  Hdf5Handle type = made(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  must(H5Tset_fields(type.id(), 15, 10, 5, 0, 10));
  must(H5Tset_size(type.id(), 2));
  must(H5Tset_ebias(type.id(), 15));
  return type;
}

// A dataset that grows by rows, a whole chunk at a time.
class GrowingDataset {
 public:
  GrowingDataset(hid_t file, const char* name, std::vector<hsize_t> row_shape, hsize_t chunk_rows, hid_t type)
      : type_(made(H5Tcopy(type), H5Tclose)), shape_(std::move(row_shape)), chunk_rows_(chunk_rows) {
    row_bytes_ = H5Tget_size(type);
    for (const hsize_t extent : shape_) row_bytes_ *= extent;
    shape_.insert(shape_.begin(), 0);
    std::vector<hsize_t> shape_max = shape_;
    shape_max[0] = H5S_UNLIMITED;
    std::vector<hsize_t> chunk = shape_;
    chunk[0] = chunk_rows;
    const int dimensions = int(shape_.size());
    const Hdf5Handle space = made(H5Screate_simple(dimensions, shape_.data(), shape_max.data()), H5Sclose);
    const Hdf5Handle how = made(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    must(H5Pset_chunk(how.id(), dimensions, chunk.data()));
    if (H5Tget_size(type) > 1) must(H5Pset_shuffle(how.id()));  // bytes of one weight together compress better
    must(H5Pset_deflate(how.id(), kGzipLevel));
    must(H5Pset_obj_track_times(how.id(), false));
    dataset_ = made(H5Dcreate2(file, name, type, space.id(), H5P_DEFAULT, how.id(), H5P_DEFAULT), H5Dclose);
  }

  void append(std::span<const std::byte> rows) {
    pending_.insert(pending_.end(), rows.begin(), rows.end());
    CHECK(pending_.size() <= chunk_rows_ * row_bytes_);
    if (pending_.size() == chunk_rows_ * row_bytes_) flush();
  }

  void flush() {
    if (pending_.empty()) return;
    std::vector<hsize_t> start(shape_.size(), 0);
    std::vector<hsize_t> count = shape_;
    start[0] = shape_[0];
    count[0] = pending_.size() / row_bytes_;
    shape_[0] += count[0];
    must(H5Dset_extent(dataset_.id(), shape_.data()));
    const Hdf5Handle space = made(H5Dget_space(dataset_.id()), H5Sclose);
    const Hdf5Handle memory = made(H5Screate_simple(int(count.size()), count.data(), nullptr), H5Sclose);
    must(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr));
    must(H5Dwrite(dataset_.id(), type_.id(), memory.id(), space.id(), H5P_DEFAULT, pending_.data()));
    pending_.clear();
  }

 private:
  Hdf5Handle type_;  // in the file and in memory
  Hdf5Handle dataset_;
  std::vector<hsize_t> shape_;
  hsize_t chunk_rows_ = 1;
  size_t row_bytes_ = 0;
  std::vector<std::byte> pending_;  // less than a chunk
};

template <class T>
std::span<const std::byte> rows_of(const std::vector<T>& values, int64_t first, int64_t count) {
  return std::as_bytes(std::span(values).subspan(size_t(first), size_t(count)));
}

}  // namespace

struct TraceWriter::File {
  Hdf5Handle file;
  hsize_t chunk_rows = 1;  // of ids; those of a column are a multiple, so that chunks fill up in one order
  std::unique_ptr<GrowingDataset> ids;
  std::unique_ptr<GrowingDataset> gate;
  std::array<std::unique_ptr<GrowingDataset>, kTraceColumns> columns;

  File(const TraceHead& head, const std::string& path) {
    const Hdf5Handle how = made(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
    must(H5Pset_obj_track_times(how.id(), false));
    file = made(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, how.id(), H5P_DEFAULT), H5Fclose);
    write_attributes(file.id(), head.about);

    const int64_t row = head.about.layers * head.about.top_k;
    const int64_t tokens = head.about.tokens > 0 ? head.about.tokens : kStreamedTokensMax;
    const int64_t rows = std::clamp<int64_t>(kChunkValues / row, 1, tokens);
    const int64_t columns_rows = rows * std::max<int64_t>(1, std::min(kChunkValues, tokens + rows - 1) / rows);
    chunk_rows = hsize_t(rows);
    const std::vector<hsize_t> shape{hsize_t(head.about.layers), hsize_t(head.about.top_k)};
    ids = std::make_unique<GrowingDataset>(file.id(), "ids", shape, chunk_rows,
                                           head.ids_bytes == 1 ? H5T_STD_U8LE : H5T_STD_U16LE);
    const Hdf5Handle half = half_type();
    if (head.gate != GateWidth::none)
      gate = std::make_unique<GrowingDataset>(file.id(), "gate", shape, chunk_rows,
                                              head.gate == GateWidth::half ? half.id() : H5T_IEEE_F32LE);
    for (size_t column = 0; column < kTraceColumns; ++column)
      if (head.has[column])
        columns[column] =
            std::make_unique<GrowingDataset>(file.id(), moesim::columns(head.about)[column].name,
                                             std::vector<hsize_t>{}, hsize_t(columns_rows), H5T_STD_I32LE);
  }
};

TraceWriter::TraceWriter(const TraceHead& head, const std::string& path)
    : head_(head), path_(path), partial_(fmt::format("{}.partial-{}", path, getpid())) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  try {
    file_ = std::make_unique<File>(head, partial_);
  } catch (const CannotWrite&) {
    std::remove(partial_.c_str());
    throw ConfigError(path_, "cannot be written");
  }
}

TraceWriter::~TraceWriter() {
  if (!file_) return;
  file_.reset();
  std::remove(partial_.c_str());
}

void TraceWriter::append_rows(const RoutingTrace& block, int64_t first, int64_t count) {
  const int64_t row = head_.about.layers * head_.about.top_k;
  if (head_.ids_bytes == 1) {
    const auto begin = block.ids.begin() + first * row;
    // kDropped keeps its low byte, which is the marker.
    const std::vector<uint8_t> narrow(begin, begin + count * row);
    file_->ids->append(rows_of(narrow, 0, count * row));
  } else {
    file_->ids->append(rows_of(block.ids, first * row, count * row));
  }
  if (head_.gate == GateWidth::half) {
    std::vector<uint16_t> halves(size_t(count * row));
    std::transform(block.gate.begin() + first * row, block.gate.begin() + (first + count) * row, halves.begin(),
                   half_of_float);
    file_->gate->append(rows_of(halves, 0, count * row));
  } else if (head_.gate == GateWidth::single) {
    file_->gate->append(rows_of(block.gate, first * row, count * row));
  }
  for (size_t column = 0; column < kTraceColumns; ++column)
    if (file_->columns[column]) file_->columns[column]->append(rows_of(*columns(block)[column].values, first, count));
}

void TraceWriter::append(const RoutingTrace& block) {
  CHECK(block.layers == head_.about.layers && block.top_k == head_.about.top_k);
  CHECK(block.gate.empty() == (head_.gate == GateWidth::none));
  for (size_t column = 0; column < kTraceColumns; ++column)
    CHECK(columns(block)[column].values->empty() != head_.has[column]);
  try {
    for (int64_t first = 0; first < block.tokens;) {
      const int64_t rows = int64_t(file_->chunk_rows);
      const int64_t count = std::min(block.tokens - first, rows - tokens_ % rows);
      append_rows(block, first, count);
      first += count;
      tokens_ += count;
    }
  } catch (const CannotWrite&) {
    throw ConfigError(path_, "cannot be written");
  }
  CHECK(head_.about.tokens == 0 || tokens_ <= head_.about.tokens);
}

void TraceWriter::finish() {
  CHECK(file_ && tokens_ > 0);
  try {
    file_->ids->flush();
    if (file_->gate) file_->gate->flush();
    for (const auto& column : file_->columns)
      if (column) column->flush();
    must(H5Fflush(file_->file.id(), H5F_SCOPE_GLOBAL));  // closing reports no full disk
  } catch (const CannotWrite&) {
    throw ConfigError(path_, "cannot be written");
  }
  file_.reset();
  if (std::rename(partial_.c_str(), path_.c_str()) == 0) return;
  std::remove(partial_.c_str());
  throw ConfigError(path_, "cannot be written");
}

}  // namespace moesim
