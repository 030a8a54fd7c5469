// What the links of a network carried, as tables: in all, and over time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/net/link_recorder.h"

namespace moesim {

// Whether a link's use over time is written: so many links at most, those that carried the greatest part of what they
// could. Keeps the table of a thousand GPUs at some ten megabytes.
inline constexpr size_t kLinksOverTimeMax = 1000;

// Bytes over what the link could have carried in that time; 0 in no time.
double utilisation(double bytes, Rate capacity, Duration time);

// Mean number of flows on the link while there was one; 0 for a link that had none.
double flows_mean(const LinkUse& use);

// The links that carried something, by falling utilisation; those of equal utilisation by number.
std::vector<LinkId> busiest_links(std::span<const Link> links, std::span<const LinkUse> use);

// link,begin_s,end_s,bytes,utilisation: one row a bucket of each of these links. Buckets after `end` are left out; the
// last ends there if it does not end before. A run that was stopped has only `whole` buckets.
std::string link_use_csv(const LinkRecorder& recorder, std::span<const Link> links, std::span<const LinkId> shown,
                         const std::function<std::string(LinkId)>& name, Time end, bool whole);

// The text as a field of a CSV file: in quotes where it holds a comma or a quote (RFC 4180).
std::string csv_text(const std::string& text);

}  // namespace moesim
