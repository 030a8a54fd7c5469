// The parts that prediction.cpp is made of.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/moe/step_graph.h"
#include "sim/work/executor.h"
#include "topologies/routed_paths.h"
#include "topologies/topology.h"
#include "validation/prediction.h"

namespace moesim {

CostModel cost_model_of(const PredictionModel& model);

inline double us_of(Duration time) { return double(time.ps) / 1e6; }

// The end of kernels that run one after another, from the host's start. Eagerly, the host issues one after another, and
// none starts before it was issued.
Duration run_kernels(const PredictionModel& model, Launch launch, int32_t ranks, std::span<const KernelCost> kernels);

// A server of that many GPUs, joined by what the profile says of NVLink.
class Server {
 public:
  Server(const PredictionModel& model, int32_t gpus);

  EndpointId endpoint(int32_t gpu) const { return endpoint_of(topology_.gpus[size_t(gpu)]); }
  std::vector<EndpointId> endpoints() const;

  // Runs the graph alone on the server; streams are those of stream_of(). Returns when its last task is done.
  Duration run(const TaskGraph& graph);

 private:
  Topology topology_;
  Routes routes_;
  RoutedPaths paths_;
  int32_t sms_ = 0;
};

std::vector<Predicted> predict_layer(const PredictionModel& model, const MoeLayerRecord& layer, Launch launch,
                                     std::span<const PhaseTime> phases);
// The kernels of a serving engine's layer one after another; none where moesim has no model of them.
std::vector<KernelCost> fused_layer_kernels(const CostModel& cost, const FusedLayerRecord& layer);
std::vector<Predicted> predict_step(const PredictionModel& model, const ModelStepRecord& step,
                                    std::span<const PhaseTime> phases);
std::vector<Predicted> predict_offload(const PredictionModel& model, const OffloadRecord& offload,
                                       std::span<const PhaseTime> phases);
std::vector<Predicted> predict_collective(const PredictionModel& model, const CollectiveRecord& collective,
                                          Launch launch);

}  // namespace moesim
