// A topology as a Graphviz document: `dot -Tsvg` draws it.
#pragma once

#include <string>

#include "topologies/topology.h"

namespace moesim {

// Servers are boxes around what sits in them, kinds are shapes, and a duplex link is one line with its rate.
std::string graphviz(const Topology& topology);

}  // namespace moesim
