// Writes a trace in HDF5 block by block, so that it may be larger than memory.
#pragma once

#include <memory>
#include <string>

#include "traces/trace_head.h"

namespace moesim {

// Written beside the path and renamed by finish(); without it nothing is left behind. Chunked, compressed, without time
// stamps: the same tokens give the same bytes, however they come in blocks (with the same zlib). Memory is that of a
// chunk an array. Throws ConfigError where the file cannot be written.
class TraceWriter {
 public:
  // The head's tokens may be 0 if not known yet; else there may be no more of them.
  TraceWriter(const TraceHead& head, const std::string& path);
  ~TraceWriter();
  TraceWriter(const TraceWriter&) = delete;
  TraceWriter& operator=(const TraceWriter&) = delete;

  // A block that passes check_block, with the arrays that the head names and no others.
  void append(const RoutingTrace& block);
  int64_t tokens() const { return tokens_; }

  // At least one token must have been appended.
  void finish();

 private:
  struct File;
  void append_rows(const RoutingTrace& block, int64_t first, int64_t count);

  TraceHead head_;
  std::string path_;
  std::string partial_;
  std::unique_ptr<File> file_;
  int64_t tokens_ = 0;
};

}  // namespace moesim
