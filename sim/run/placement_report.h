// Placements of one scenario, made from the training part of its routing and judged by simulating the rest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/moe/placement_file.h"
#include "sim/run/placement_input.h"
#include "sim/run/placement_problem.h"
#include "sim/run/run_record.h"
#include "sim/run/runner.h"

namespace moesim {

// A placement and what it led to. Several of them share a cluster and its routing.
struct PlacementTrial {
  std::string policy;  // as --policy takes it
  LoadedScenario scenario;
  Placement placement;
  Results results;
  RunRecord record;
};

// What all trials share.
struct PlacementSetting {
  Cluster cluster;
  Batch batch;
  RoutingSource routing;
  PlacementInput input;        // with all there is to know
  PlacementTraining training;  // what the input was made from
};

struct JudgedPlacement {
  std::string policy;
  std::vector<double> trained_max_over_mean;
  std::vector<double> load_max_over_mean;
  double trained_mean = 0;
  double load_mean = 0;
  double cross_gpu_bytes_per_token = 0;
  double cross_node_bytes_per_token = 0;
  double step_time_s = 0;
  double tokens_per_s = 0;
  std::string bound_by;
  std::optional<ProofResult> proof;
};

template <class Visitor>
void fields(Visitor& v, JudgedPlacement& s) {
  const auto ratio = at_least(0.0);
  v.required("policy", s.policy, "what placed, as --policy takes it");
  v.required("trained_max_over_mean", s.trained_max_over_mean, ratio,
             "[MoE layer] load of the fullest GPU over the mean, on what the placement was made from");
  v.required("load_max_over_mean", s.load_max_over_mean, ratio, "[MoE layer] the same on what it is judged on");
  v.required("trained_mean", s.trained_mean, ratio, "mean of trained_max_over_mean");
  v.required("load_mean", s.load_mean, ratio, "mean of load_max_over_mean");
  v.required("cross_gpu_bytes_per_token", s.cross_gpu_bytes_per_token, ratio,
             "dispatched and combined to and from other GPUs, over all layers, B");
  v.required("cross_node_bytes_per_token", s.cross_node_bytes_per_token, ratio, "of these, between servers, B");
  v.required("step_time_s", s.step_time_s, ratio, "mean length of a simulated step, s");
  v.required("tokens_per_s", s.tokens_per_s, ratio, "new tokens over time");
  v.required("bound_by", s.bound_by, "what bounds the step");
  v.optional("proof", s.proof, "how the solver vouches for it");
}

// What no placement can be better than.
struct PlacementBound {
  std::string name;
  std::vector<double> trained_max_over_mean;
  std::vector<double> load_max_over_mean;
  double trained_mean = 0;
  double load_mean = 0;
  double step_time_s = 0;
  double tokens_per_s = 0;
};

template <class Visitor>
void fields(Visitor& v, PlacementBound& s) {
  const auto ratio = at_least(0.0);
  v.required("name", s.name, "`balanced`: all GPUs alike; `relaxed`: the LP in which copies split an expert at will");
  v.required("trained_max_over_mean", s.trained_max_over_mean, ratio, "[MoE layer] on what placements are made from");
  v.required("load_max_over_mean", s.load_max_over_mean, ratio, "[MoE layer] on what they are judged on");
  v.required("trained_mean", s.trained_mean, ratio, "mean of trained_max_over_mean");
  v.required("load_mean", s.load_mean, ratio, "mean of load_max_over_mean");
  v.required("step_time_s", s.step_time_s, ratio,
             "estimate: the least step of a policy, less what its fullest GPUs compute beyond this bound, s");
  v.required("tokens_per_s", s.tokens_per_s, ratio, "new tokens over that time");
}

struct PlacementReport {
  int32_t format_version = 1;
  std::string scenario;
  std::string model;
  bool complete = false;
  int32_t layers = 0;
  int32_t experts = 0;
  int32_t gpus = 0;
  std::vector<int32_t> slots;
  PlacementTraining trained_on;
  PlacementTraining judged_on;
  bool judged_apart = true;
  int32_t steps = 0;
  int64_t tokens_per_step = 0;
  std::vector<JudgedPlacement> policies;
  std::vector<PlacementBound> bounds;
  std::vector<std::string> gpu_pair_names;
  std::vector<std::vector<int64_t>> gpu_pairs;
  std::vector<std::string> notes;
};

template <class Visitor>
void fields(Visitor& v, PlacementReport& s) {
  v.required("format_version", s.format_version, between(1, 1), "version of this format");
  v.required("scenario", s.scenario, "its name");
  v.required("model", s.model, "its model");
  v.required("complete", s.complete, "false where the simulation was stopped");
  v.required("layers", s.layers, at_least(0), "MoE layers");
  v.required("experts", s.experts, at_least(1), "of a layer");
  v.required("gpus", s.gpus, at_least(1), "of an expert-parallel group");
  v.required("slots", s.slots, at_least(0), "[gpu] slots of a layer");
  v.required("trained_on", s.trained_on, "what placements are made from");
  v.required("judged_on", s.judged_on, "what they are judged on: none of the tokens above");
  v.required("judged_apart", s.judged_apart,
             "that no token was both trained and judged on; false where the training "
             "counts come from elsewhere, and nobody knows");
  v.required("steps", s.steps, at_least(0), "that were simulated");
  v.required("tokens_per_step", s.tokens_per_step, at_least(int64_t{0}),
             "of those that placements are judged on, which each step reads in other places");
  v.required("policies", s.policies, "the one that was asked for, then those it is compared with");
  v.required("bounds", s.bounds, "what no placement is better than");
  v.required("gpu_pair_names", s.gpu_pair_names, "of the rows and columns of gpu_pairs");
  v.required("gpu_pairs", s.gpu_pairs, at_least(int64_t{0}), "[from][to] bytes that the first policy's run sent");
  v.required("notes", s.notes, "what was assumed on the way");
}

// Cluster, batch, routing and input of a scenario.
PlacementSetting placement_setting(const LoadedScenario& loaded);

// The trials in the order of the report; the first is what was asked for.
PlacementReport placement_report(const PlacementSetting& setting, const std::vector<PlacementTrial>& trials);

std::string placement_report_text(const PlacementReport& report);

// layer,policy,trained_max_over_mean,load_max_over_mean; bounds count as policies.
std::string placement_layers_csv(const PlacementReport& report);

// The placement as a file, with what it was made from.
PlacementFile placement_file(const PlacementSetting& setting, const PlacementTrial& trial);

}  // namespace moesim
