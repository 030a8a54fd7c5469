// Messages over a network: chooses paths by a policy, splits, and tells when the last part has arrived.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "sim/core/random.h"
#include "sim/core/simulator.h"
#include "sim/net/message.h"
#include "sim/net/network.h"
#include "sim/net/path_policy.h"

namespace moesim {

struct MessageNetworkOptions {
  NetworkOptions network;
  PolicyChoice<PathPolicy> paths{"hash"};
  uint64_t seed = 1;                  // of path policies that draw
  std::vector<LinkChange> changes{};  // in order of time; capacities of at most the link's own
};

class MessageNetwork {
 public:
  // The finder must outlive the network.
  MessageNetwork(Simulator& sim, std::vector<Link> links, const MessageNetworkOptions& options, PathFinder& finder,
                 MessageDone done);
  MessageNetwork(const MessageNetwork&) = delete;  // pending events point to it
  MessageNetwork& operator=(const MessageNetwork&) = delete;

  // `done` is told the tag when the last byte has arrived, never before this returns. The tag is below 2^63.
  void send(const Message& message, uint64_t tag);

  // The links with their own capacities, whatever has changed since.
  std::span<const Link> links() const { return links_; }

  // No path and no company lets a message arrive sooner after it was sent. Zero where links change.
  Duration time_alone(const Message& message);

  const Network& network() const { return network_; }
  void record(LinkRecorder* recorder) { moesim::record(network_, recorder); }

 private:
  // A message under way in parts that its policy has chosen.
  struct Sent {
    uint64_t tag = 0;
    uint32_t parts_left = 0;
  };
  struct Part {
    uint32_t message = 0;  // slot in sent_
    Bytes bytes;
    std::vector<Path> paths;  // several where packets are sprayed
  };

  // Tags of flows: a message's own where the flow is all of it, else a slot of parts_ and this bit.
  static constexpr uint64_t kIsPart = uint64_t{1} << 63;

  static void flow_done(void* self, uint64_t tag);
  void part_done(size_t slot);
  void decide();
  void start_part(uint32_t message, std::span<const Path> paths, Bytes bytes);
  void change(uint64_t number);
  bool crosses_failed(Path path) const;
  Path up(Path path, uint64_t key);
  std::span<const Path> choices_up(const Message& message);
  void count_pending(const Part& part, int64_t sign);

  Simulator& sim_;
  PathFinder& finder_;
  PolicyChoice<PathPolicy> policy_;
  bool each_by_hash_;  // messages need not wait for each other's
  MessageDone done_;
  Rng rng_;
  std::vector<Link> links_;
  std::vector<LinkChange> changes_;
  std::vector<bool> failed_;                                                   // [link]
  size_t failures_ = 0;                                                        // links that have failed at present
  std::map<std::pair<EndpointId, EndpointId>, std::vector<Path>> choices_up_;  // while links have failed
  Network network_;
  std::vector<Message> starting_;  // at this instant
  std::vector<uint64_t> starting_tags_;
  bool settling_ = false;
  std::vector<Bytes> pending_;  // [link], where the policy is not the hash
  std::vector<Sent> sent_;
  std::vector<uint32_t> free_sent_;
  std::vector<Part> parts_;
  std::vector<uint32_t> free_parts_;
};

}  // namespace moesim
