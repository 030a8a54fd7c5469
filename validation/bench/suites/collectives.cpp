// NCCL's collectives over sizes, even and skewed, as eager calls and as CUDA graphs; first, that they give what they
// should.
#include <array>
#include <cmath>
#include <memory>
#include <numeric>

#include "validation/bench/kernels/cuda_check.h"
#include "validation/bench/suites/cluster_suites.h"
#include "validation/bench/suites/communication.h"

namespace moesim::bench {
namespace {

using Matrix = std::vector<std::vector<int64_t>>;  // [from][to], bytes

enum class Op { all_to_all, all_reduce, all_gather, reduce_scatter, send_receive };
constexpr std::array names{"all_to_all", "all_reduce", "all_gather", "reduce_scatter", "send_receive"};

struct Case {
  Op op = Op::all_to_all;
  int64_t bytes = 0;
  std::string pattern = "even";  // of all_to_all and send_receive
  double ratio = 1;              // of an uneven pattern: the larger share over the smaller
  Matrix send;                   // of all_to_all and send_receive
};

// Shares are rounded to whole numbers of 16 bytes, so that every part stays aligned.
int64_t rounded(double bytes) { return int64_t(bytes / 16) * 16; }

// How much more `from` sends `to` than another pair of ranks does.
double weight(const std::string& pattern, double ratio, int from, int to) {
  const bool heavy = pattern == "hot_rank"       ? from == 0 || to == 0  // its experts and its tokens are many
                     : pattern == "hot_receiver" ? to == 0
                     : pattern == "triangular"   ? from < to
                                                 : false;
  return heavy ? ratio : 1;
}

// All ranks together send ranks * bytes.
Matrix uneven(const std::string& pattern, double ratio, int ranks, int64_t bytes) {
  double total = 0;
  for (int from = 0; from < ranks; ++from)
    for (int to = 0; to < ranks; ++to) total += weight(pattern, ratio, from, to);
  Matrix send(size_t(ranks), std::vector<int64_t>(size_t(ranks), 0));
  for (int from = 0; from < ranks; ++from)
    for (int to = 0; to < ranks; ++to)
      send[size_t(from)][size_t(to)] = rounded(weight(pattern, ratio, from, to) / total * double(ranks * bytes));
  return send;
}

// Rank 0 to rank 1, both ways between them, or every rank to its next.
Matrix pairwise(const std::string& pattern, int ranks, int64_t bytes) {
  Matrix send(size_t(ranks), std::vector<int64_t>(size_t(ranks), 0));
  if (pattern == "one_way" || pattern == "both_ways") send[0][1] = bytes;
  if (pattern == "both_ways") send[1][0] = bytes;
  if (pattern == "ring")
    for (size_t from = 0; from < send.size(); ++from) send[from][(from + 1) % send.size()] = bytes;
  return send;
}

int64_t row_sum(const Matrix& send, int from) {
  return std::accumulate(send[size_t(from)].begin(), send[size_t(from)].end(), int64_t{0});
}
std::vector<int64_t> column(const Matrix& send, int to) {
  std::vector<int64_t> received;
  for (const auto& row : send) received.push_back(row[size_t(to)]);
  return received;
}
int64_t column_sum(const Matrix& send, int to) {
  const std::vector<int64_t> received = column(send, to);
  return std::accumulate(received.begin(), received.end(), int64_t{0});
}

// The larger of what a rank sends and what it receives, on the rank with most.
int64_t buffer_bytes(const Case& c, int ranks) {
  int64_t most = c.bytes;
  for (int rank = 0; !c.send.empty() && rank < ranks; ++rank)
    most = std::max({most, row_sum(c.send, rank), column_sum(c.send, rank)});
  return most;
}

void enqueue(const Gpu& gpu, const Case& c, Number number, const uint8_t* send, uint8_t* receive) {
  const int64_t count = c.bytes / bytes_of(number);
  switch (c.op) {
    case Op::all_to_all:
    case Op::send_receive:
      return all_to_all(gpu, send, c.send[size_t(gpu.rank)], receive, column(c.send, gpu.rank), gpu.stream);
    case Op::all_reduce:
      return all_reduce(gpu, send, receive, count, number, gpu.stream);
    case Op::all_gather:
      return all_gather(gpu, send, receive, count / gpu.ranks, number, gpu.stream);
    case Op::reduce_scatter:
      return reduce_scatter(gpu, send, receive, count / gpu.ranks, number, gpu.stream);
  }
}

// --- correctness ---------------------------------------------------------------------------------------------------

// Element `index` of rank `rank`: whole numbers, small enough that the sums of 16 ranks are exact in bf16.
float value(int rank, int64_t index) { return float((index * 7 + rank * 3 + index / 64) % 16); }

std::vector<float> sent_by(const Case& c, int rank, int ranks) {
  const int64_t bytes = c.send.empty() ? (c.op == Op::all_gather ? c.bytes / ranks : c.bytes) : row_sum(c.send, rank);
  std::vector<float> values(size_t(bytes / 4));
  for (size_t i = 0; i < values.size(); ++i) values[i] = value(rank, int64_t(i));
  return values;
}

void append_part(std::vector<float>& all, const std::vector<float>& sent, int64_t first, int64_t count) {
  all.insert(all.end(), sent.begin() + first, sent.begin() + first + count);
}

// What `rank` should hold afterwards.
std::vector<float> expected(const Case& c, int rank, int ranks) {
  std::vector<float> result;
  std::vector<float> sums;
  for (int from = 0; from < ranks; ++from) {
    const std::vector<float> sent = sent_by(c, from, ranks);
    if (!c.send.empty()) {
      const auto& row = c.send[size_t(from)];
      append_part(result, sent, std::accumulate(row.begin(), row.begin() + rank, int64_t{0}) / 4,
                  row[size_t(rank)] / 4);
    } else if (c.op == Op::all_gather) {
      append_part(result, sent, 0, int64_t(sent.size()));
    } else {
      sums.resize(sent.size(), 0);
      for (size_t i = 0; i < sent.size(); ++i) sums[i] += sent[i];
    }
  }
  if (c.op == Op::all_reduce) result = sums;
  const int64_t part = int64_t(sums.size()) / ranks;
  if (c.op == Op::reduce_scatter) append_part(result, sums, rank * part, part);
  return result;
}

template <class T>
double largest_error(const Gpu& gpu, const Case& c, Number number) {
  const std::vector<float> sent = sent_by(c, gpu.rank, gpu.ranks);
  const std::vector<float> wanted = expected(c, gpu.rank, gpu.ranks);
  DeviceArray<T> send(std::max<size_t>(sent.size(), 1));
  DeviceArray<T> receive(std::max<size_t>(wanted.size(), 1));
  std::vector<T> values(send.size());
  for (size_t i = 0; i < sent.size(); ++i) values[i] = T(sent[i]);
  send.upload(values);
  fill_poison(receive.data(), receive.size() * sizeof(T), gpu.stream);
  Case of_number = c;  // bytes of these numbers, where those of c are of float
  of_number.bytes = c.bytes / 4 * bytes_of(number);
  for (auto& row : of_number.send)
    for (int64_t& bytes : row) bytes = bytes / 4 * bytes_of(number);
  enqueue(gpu, of_number, number, reinterpret_cast<const uint8_t*>(send.data()),
          reinterpret_cast<uint8_t*>(receive.data()));
  check_cuda(cudaStreamSynchronize(gpu.stream));
  const std::vector<T> got = receive.download();
  double error = 0;
  for (size_t i = 0; i < wanted.size(); ++i)
    if (const double off = std::abs(double(float(got[i])) - double(wanted[i])); !(off <= error)) error = off;
  return error;
}

void check_case(Bench& bench, const Case& c) {
  for (const Number number : {Number::float32, Number::bfloat16}) {
    std::vector<double> errors(bench.gpus.size());
    const Gpu* first = bench.gpus.data();
    on_every_gpu(bench, [&](Gpu& gpu) {
      errors[size_t(&gpu - first)] =
          number == Number::float32 ? largest_error<float>(gpu, c, number) : largest_error<bf16>(gpu, c, number);
    });
    for (const double error : errors)
      record_check(bench, std::string("nccl ") + names[size_t(c.op)],
                   c.pattern + ", " + std::to_string(c.bytes / 4) +
                       (number == Number::float32 ? " numbers, fp32" : " numbers, bf16"),
                   error, 0);
  }
}

// --- what is measured ----------------------------------------------------------------------------------------------

// The bytes of a case, such that every rank's part is a whole number of 16 bytes.
int64_t in_parts(int64_t bytes, int ranks) { return std::max<int64_t>(bytes / ranks / 16, 1) * 16 * ranks; }

std::vector<Case> even_cases(int ranks, int64_t size) {
  const int64_t bytes = in_parts(size, ranks);
  std::vector<Case> cases{{Op::all_to_all, bytes, "even", 1, uneven("even", 1, ranks, bytes)},
                          {Op::all_reduce, bytes, "even", 1, {}},
                          {Op::all_gather, bytes, "even", 1, {}},
                          {Op::reduce_scatter, bytes, "even", 1, {}},
                          {Op::send_receive, bytes, "one_way", 1, pairwise("one_way", ranks, bytes)},
                          {Op::send_receive, bytes, "both_ways", 1, pairwise("both_ways", ranks, bytes)}};
  if (ranks > 2) cases.push_back({Op::send_receive, bytes, "ring", 1, pairwise("ring", ranks, bytes)});
  return cases;
}

std::vector<Case> skewed_cases(int ranks, int64_t size) {
  std::vector<Case> cases;
  for (const double ratio : {2.0, 4.0, 1.5})
    for (const char* pattern : {"hot_rank", "hot_receiver", "triangular"}) {
      const int64_t bytes = in_parts(size, ranks);
      cases.push_back({Op::all_to_all, bytes, pattern, ratio, uneven(pattern, ratio, ranks, bytes)});
    }
  return cases;
}

// Powers of 4 from 1 KB to 1 GB, far apart first, so that a run that is cut short knows both ends; then others, which
// a fit does not see.
std::vector<Case> timed_cases(int ranks) {
  std::vector<Case> cases;
  const auto append = [&](const std::vector<Case>& more) { cases.insert(cases.end(), more.begin(), more.end()); };
  for (const int power : {20, 30, 10, 26, 16, 28, 22, 24, 18, 14, 12}) append(even_cases(ranks, int64_t{1} << power));
  for (const int power : {26, 20, 28, 22, 16}) append(skewed_cases(ranks, int64_t{1} << power));
  for (const int power : {24, 18, 26, 21, 15, 28, 12, 20, 10}) append(even_cases(ranks, int64_t{3} << power));
  for (const int power : {24, 18, 21}) append(skewed_cases(ranks, int64_t{3} << power));
  return cases;
}

struct Buffers {
  DeviceArray<uint8_t> send, receive;
};

// Cases for which there is not the memory are left out, on all ranks alike, as the first finds it.
int64_t largest_buffer(Bench& bench) {
  size_t free = 0;
  size_t all = 0;
  check_cuda(cudaSetDevice(bench.gpus.front().device));
  check_cuda(cudaMemGetInfo(&free, &all));
  return int64_t(free / 3);
}

void time_case(Bench& bench, Gpu& gpu, const Case& c, Buffers& buffers, Launch launch) {
  // Short calls in a graph are timed several together, as a graph's own start would count.
  const int calls = launch == Launch::graph && c.bytes <= (4 << 20) ? 8 : 1;
  const Repeat repeat{.warm_up = 3, .samples_min = 9, .samples_max = 40, .seconds_max = 0.05, .calls = calls};
  const std::vector<double> samples = time_on_gpu(
      gpu, launch, repeat, [&] { enqueue(gpu, c, Number::bfloat16, buffers.send.data(), buffers.receive.data()); });
  if (gpu.rank != 0) return;
  nlohmann::ordered_json record{
      {"kind", "collective"}, {"op", names[size_t(c.op)]}, {"ranks", gpu.ranks}, {"bytes", c.bytes}};
  if (!c.send.empty()) record["pattern"] = c.pattern;
  if (!c.send.empty() && c.pattern != "even") record["send_bytes"] = c.send;
  if (c.ratio > 1) record["ratio"] = c.ratio;
  if (c.op == Op::all_reduce || c.op == Op::reduce_scatter) record["dtype"] = "bf16";
  record["launch"] = name_of(launch);
  record["calls"] = calls;
  record["samples_us"] = samples;
  bench.recorder.add(std::move(record));
}

}  // namespace

void run_collectives(Bench& bench) {
  if (const std::string why = why_not_connected(bench); !why.empty()) return record_skipped(bench, "collectives", why);
  const int ranks = bench.gpus.front().ranks;
  for (const int64_t size : {4096, 3 << 18}) {
    for (const Case& c : even_cases(ranks, size)) check_case(bench, c);
    for (const Case& c : skewed_cases(ranks, size)) check_case(bench, c);
  }
  std::vector<Case> cases = timed_cases(ranks);
  const int64_t limit = largest_buffer(bench);
  std::erase_if(cases, [&](const Case& c) { return buffer_bytes(c, ranks) > limit; });
  int64_t capacity = 0;
  for (const Case& c : cases) capacity = std::max(capacity, buffer_bytes(c, ranks));
  std::vector<Buffers> buffers(bench.gpus.size());
  const Gpu* first = bench.gpus.data();
  on_every_gpu(bench, [&](Gpu& gpu) {
    Buffers& own = buffers[size_t(&gpu - first)];
    own = {DeviceArray<uint8_t>(size_t(capacity)), DeviceArray<uint8_t>(size_t(capacity))};
    check_cuda(cudaMemsetAsync(own.send.data(), 0, own.send.size(), gpu.stream));
    check_cuda(cudaStreamSynchronize(gpu.stream));
  });
  for (const Case& c : cases) {
    if (!go_on(bench)) return;
    for (const Launch launch : {Launch::eager, Launch::graph})
      on_every_gpu(bench, [&](Gpu& gpu) { time_case(bench, gpu, c, buffers[size_t(&gpu - first)], launch); });
  }
}

}  // namespace moesim::bench
