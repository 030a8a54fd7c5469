#include "models/cpu_cost.h"

#include <algorithm>

#include "models/roofline.h"
#include "sim/core/check.h"
#include "sim/core/math.h"

namespace moesim {
namespace {

// The law that leads from rate `low` of the fewer threads to `high` of the more.
struct ThreadLaw {
  double fewer = 1;
  double more = 1;
  double threads = 1;

  double rate(double low, double high) const {
    double exponent = exact_log(high / low) / exact_log(more / fewer);
    if (threads < fewer || threads > more) exponent = std::clamp(exponent, 0.0, 1.0);
    return threads > more ? high * exact_pow(threads / more, exponent) : low * exact_pow(threads / fewer, exponent);
  }
};

CpuThreadsParameters by_both(const CpuThreadsParameters& fewer, const CpuThreadsParameters& more, int32_t threads) {
  const ThreadLaw law{double(fewer.threads), double(more.threads), double(threads)};
  return {threads, Rate{law.rate(fewer.memory.bytes_per_s, more.memory.bytes_per_s)},
          Rate{law.rate(fewer.cache.bytes_per_s, more.cache.bytes_per_s)},
          FlopRate{law.rate(fewer.compute.flop_per_s, more.compute.flop_per_s)}};
}

CpuThreadsParameters by_known_powers(const CpuThreadsParameters& only, int32_t threads) {
  const double part = std::min(1.0, double(threads) / double(only.threads));
  const double memory = exact_pow(part, kMemoryThreadsPower);
  const double cache = exact_pow(part, kCacheThreadsPower);
  return {threads, Rate{only.memory.bytes_per_s * memory}, Rate{only.cache.bytes_per_s * cache},
          FlopRate{only.compute.flop_per_s * cache}};
}

}  // namespace

CpuThreadsParameters cpu_threads(const CpuParameters& cpu, int32_t threads) {
  CHECK(!cpu.threads.empty());
  for (const CpuThreadsParameters& measured : cpu.threads)
    if (measured.threads == threads) return measured;
  if (cpu.threads.size() == 1) return by_known_powers(cpu.threads.front(), threads);
  size_t more = 1;
  while (more + 1 < cpu.threads.size() && cpu.threads[more].threads < threads) ++more;
  return by_both(cpu.threads[more - 1], cpu.threads[more], threads);
}

Duration cpu_experts_time(const CpuParameters& cpu, const CpuExperts& work) {
  CHECK(work.threads > 0);
  const CpuThreadsParameters rates = cpu_threads(cpu, work.threads);
  const double weights = double(bytes_of(3 * work.d * work.f, work.weights).count);
  // What the cache cannot hold comes from DRAM each time.
  const double missing = std::max(0.0, 1 - double(cpu.cache.count) / (double(work.experts) * weights));
  const double reading_s = weights * (missing / rates.memory.bytes_per_s + (1 - missing) / rates.cache.bytes_per_s);
  const double flops = 6.0 * double(work.tokens) * double(work.d) * double(work.f);
  const double computing_s = flops / rates.compute.flop_per_s;
  return Duration{work.experts * (cpu.expert + duration_of_seconds(fourth_norm(reading_s, computing_s))).ps};
}

Duration issue_expert_time(const HostParameters& host, const CpuParameters& cpu, int32_t threads) {
  CHECK(host.issue_expert.has_value());
  CHECK(threads > 0);
  if (cpu.threads.empty() || host.issue_expert_power == 0) return *host.issue_expert;
  const double part = double(threads) / double(cpu.threads.back().threads);
  return duration_of_seconds(host.issue_expert->seconds() * exact_pow(part, host.issue_expert_power));
}

CpuAttentionRates cpu_attention_rates(const CpuSpec& cpu) {
  constexpr double kReached = 0.73;
  constexpr double kFlopsOfCore = 147e9;
  return {Rate{kReached * cpu.memory_bandwidth.bytes_per_s},
          cpu.bf16.value_or(FlopRate{kFlopsOfCore * double(cpu.cores)})};
}

Duration cpu_attention_time(const CpuAttentionRates& rates, const AttentionData& work) {
  return duration_of_seconds(
      fourth_norm(double(work.cache_read.count) / rates.memory.bytes_per_s, work.flops / rates.compute.flop_per_s));
}

}  // namespace moesim
