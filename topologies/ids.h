// What names a GPU and a vertex of a topology, for those who need no more of it.
#pragma once

#include <cstdint>

namespace moesim {

enum class GpuId : int32_t {};
enum class VertexId : int32_t {};

inline constexpr VertexId kNoVertex{-1};

}  // namespace moesim
