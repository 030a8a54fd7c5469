// What the policies that solve integer programs have in common: their settings, and what they say of their answers.
#pragma once

#include <algorithm>

#include "sim/moe/placement.h"
#include "sim/policy/ilp/solve.h"

namespace moesim {

struct ProgramOptions : IlpOptions {
  int32_t columns_max = 200;
  int32_t threads = 1;
};

template <class Visitor>
void fields(Visitor& v, ProgramOptions& s) {
  fields(v, static_cast<IlpOptions&>(s));
  v.optional("columns_max", s.columns_max, at_least(0),
             "of an integer program; what has more is left to the heuristic, or cut into parts");
  v.optional("threads", s.threads, between(1, 256),
             "for programs that do not depend on each other; no result depends on it");
}

// Adds what a search says to what a policy will say, but for the objective and the bound, whose units are the policy's.
inline void add_search(PlacementProof& proof, const IlpSolution& solution) {
  proof.nodes += solution.nodes;
  proof.wall_limited |= solution.wall_limited;
  if (proof.solver.empty()) proof.solver = solution.solver;
  if (!solution.text.empty()) proof.warnings.push_back(solution.text);
  if (solution.interrupted) proof.warnings.push_back("interrupted: the best so far");
}

// Where bounds alone have proved everything, no solver was asked.
inline void name_solver(PlacementProof& proof) {
  if (proof.solver.empty()) proof.solver = "none was needed";
}

// Adds the proof of a part, such as a layer. A warning that is there already is not repeated.
inline void add_part(PlacementProof& proof, const PlacementProof& part) {
  proof.objective += part.objective;
  proof.bound += part.bound;
  proof.nodes += part.nodes;
  proof.wall_limited |= part.wall_limited;
  if (proof.solver.empty()) proof.solver = part.solver;
  for (const std::string& warning : part.warnings)
    if (std::find(proof.warnings.begin(), proof.warnings.end(), warning) == proof.warnings.end())
      proof.warnings.push_back(warning);
}

}  // namespace moesim
