// What the software of a collective costs beside its bytes: constants of a library on a machine, for a calibration to
// set. docs/collectives.md says how they enter the times.
#pragma once

#include <optional>

#include "sim/config/fields.h"
#include "sim/core/units.h"

namespace moesim {

// NCCL's protocols for small messages (LL, LL128) send flags with the data: calls begin sooner, as nobody waits for a
// peer's buffer, but bytes take longer. On two H100s in a CUDA graph 7 to 11 us where others take 20 (measured).
struct SmallMessages {
  Duration launch;
  Duration round;
  Rate copy_rate{1};
};

template <class Visitor>
void fields(Visitor& v, SmallMessages& s) {
  v.required("launch", s.launch, between(Duration{}, 1_s), "as `launch`, of a collective of small messages");
  v.required("round", s.round, between(Duration{}, 1_s), "as `round`");
  v.required("copy_rate", s.copy_rate, above(Rate{0}), "as `copy_rate`");
}

struct SoftwareStack {
  // NCCL and DeepEP calls of no bytes in a CUDA graph take about 16 us on two H100s (measured), most of it this.
  Duration launch{10'000'000};
  // NCCL, src/graph/tuning.cc at commit 01afd20: a hop of a ring over NVLink with protocol Simple takes 3.4 us. About 1
  // us of it is the links' own latency, which flows have already.
  Duration round{2'400'000};
  // What a message costs its sender and its receiver. Not measured yet: the launch above covers a few messages.
  Duration send;
  Duration receive;
  // NCCL copies what it sends and receives through buffers of its own: its thread blocks handle both directions, which
  // then add. Two H100s exchange 262 GB/s each way at once where one way alone takes 370 (measured).
  std::optional<Rate> copy_rate;
  // NCCL's kernel for sends and receives takes 1 to 4 us longer than those of its rings, however few bytes (measured on
  // two H100s with three versions).
  Duration point_to_point{};
  std::optional<SmallMessages> small_messages{};
};

template <class Visitor>
void fields(Visitor& v, SoftwareStack& s) {
  v.optional("launch", s.launch, between(Duration{}, 1_s),
             "from the start of a communication kernel to its first byte");
  v.optional("round", s.round, between(Duration{}, 1_s),
             "before the first byte of each later round of a collective, for the ranks that take part in it");
  v.optional("send", s.send, between(Duration{}, 1_s),
             "of each message of a round, at its sender, one after another before the first byte");
  v.optional("receive", s.receive, between(Duration{}, 1_s),
             "of each message of a round, at its receiver, one after another once all have come");
  v.optional("copy_rate", s.copy_rate, above(Rate{0}),
             "at which the communication kernel of a rank handles what the rank sends and receives in a round, both "
             "together, before it travels; what it passes on counts once; absent: as fast as the links");
  v.optional("point_to_point", s.point_to_point, between(Duration{}, 1_s),
             "what a collective of sends and receives between pairs takes beside `launch`");
  v.optional("small_messages", s.small_messages,
             "what collectives of few bytes take instead; each takes what is less for it; absent: all are alike");
}

}  // namespace moesim
