// Arbitrary bytes as a flow file: only ConfigError may escape, and what is accepted and small must be solved.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "sim/core/check.h"
#include "sim/net/flow_file.h"

namespace {

using namespace moesim;

constexpr size_t kSolvedFlowsMax = 64;

void read_and_solve(std::string_view text) {
  const FlowFile file = read_flow_file(parse_json(text, "fuzz.json"), "fuzz.json");
  if (file.problem.flows.size() > kSolvedFlowsMax) return;
  const FlowFileAnswer shared = solve_flow_file(file, Fidelity::flow);
  const FlowFileAnswer ideal = solve_flow_file(file, Fidelity::ideal);
  CHECK(shared.makespan_s >= ideal.makespan_s * (1 - 1e-9) - 5e-12);  // contention never helps
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    read_and_solve({reinterpret_cast<const char*>(data), size});
  } catch (const ConfigError&) {
  }
  return 0;
}
