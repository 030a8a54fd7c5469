// Bare placement problems: weights of experts and places for them, without a scenario. A file lists cases; the answer
// is the same list with the placement of each and the loads that follow from it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/config/fields.h"
#include "sim/config/json.h"
#include "sim/config/registry.h"
#include "sim/moe/slot_map.h"

namespace moesim {

// How a solver vouches for a placement, where one does.
struct ProofResult {
  std::string solver;
  double objective = 0;
  double bound = 0;
  double gap = 0;
  int64_t nodes = 0;
  bool wall_limited = false;
  std::vector<std::string> warnings;
};

template <class Visitor>
void fields(Visitor& v, ProofResult& s) {
  v.required("solver", s.solver, "what searched");
  v.required("objective", s.objective, Range<double>{}, "of the placement");
  v.required("bound", s.bound, Range<double>{}, "no placement has a smaller objective");
  v.required("gap", s.gap, at_least(0.0), "(objective - bound) / objective; 0 is proved optimal");
  v.required("nodes", s.nodes, at_least(int64_t{0}), "of the search");
  v.required("wall_limited", s.wall_limited, "whether a limit in wall time ended it, so that it may differ next time");
  v.required("warnings", s.warnings, "what went wrong on the way");
}

// Of placements that know of proofs.
template <class AnyPlacement>
std::optional<ProofResult> proof_of(const AnyPlacement& placement) {
  if constexpr (requires { placement.proof->solver; }) {
    if (!placement.proof) return {};
    const auto& proof = *placement.proof;
    const double gap = proof.objective > proof.bound ? (proof.objective - proof.bound) / std::abs(proof.objective) : 0;
    return ProofResult{proof.solver,         double(proof.objective), double(proof.bound), gap,
                       int64_t(proof.nodes), proof.wall_limited,      proof.warnings};
  } else {
    return {};
  }
}

struct PlacementCase {
  std::string name;
  PlacementInput input;
};

struct PlacementProblem {
  std::string source;
  JsonNode root;  // as the file has it
  std::vector<PlacementCase> cases;
};

struct PlacedCase {
  SlotMap physical_to_logical;
  std::vector<std::vector<double>> gpu_loads;  // [layer][gpu]
  std::vector<double> gpu_load_max_over_mean;  // [layer]
  std::vector<double> relaxed_max_over_mean;   // [layer] no placement is below
  std::optional<ProofResult> proof;
};

// Throws one ConfigError with every fault of every case.
PlacementProblem parse_placement_problem(JsonNode root, const std::string& source);

// In the order of the cases. The random numbers of each case depend on the seed alone. Throws a ConfigError where the
// policy's answer does not fit a case.
std::vector<PlacedCase> solve_placement_problem(const PlacementProblem& problem,
                                                const PolicyChoice<PlacementPolicy>& policy, uint64_t seed);

std::string placement_answer_json(const PlacementProblem& problem, const PolicyChoice<PlacementPolicy>& policy,
                                  const std::vector<PlacedCase>& placed);
std::string placement_answer_text(const PlacementProblem& problem, const std::vector<PlacedCase>& placed);

}  // namespace moesim
