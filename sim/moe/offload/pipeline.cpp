#include "sim/moe/offload/pipeline.h"

#include <algorithm>
#include <cmath>

#include "sim/core/check.h"

namespace moesim {
namespace {

// Weights behind the last layer are of the next step's first ones.
int32_t model_layer(const PipelineInput& in, int32_t layer) { return layer % in.layers; }

// Layers that a plan loads: first .. first + layers.
int32_t first_load(const PipelinePlan& plan) { return plan.buffers - 1; }

}  // namespace

int32_t last_project_page(const PipelineInput& in, int32_t pages, int32_t layer) {
  const double share = in.project_share[size_t(model_layer(in, layer))];
  return std::clamp(int32_t(std::ceil(share * double(pages))) - 1, 0, pages - 1);
}

PipelineWriter::PipelineWriter(const PipelineInput& in, int32_t pages, int32_t buffers, bool one_queue) : in_(in) {
  CHECK(pages > 0 && buffers > 0 && in.layers > 0 && in.micro_batches > 0);
  CHECK(in.project_share.size() == size_t(in.layers));
  plan_.pages = pages;
  plan_.buffers = buffers;
  plan_.one_queue = one_queue;
  for (std::vector<bool>& issued : issued_) issued.assign(size_t(in.layers) * size_t(in.micro_batches), false);
  issued_[size_t(PipelineWork::load)].assign(size_t(in.layers + buffers) * size_t(pages), false);
}

// Whether it is new.
bool PipelineWriter::issue(PipelineWork work, int32_t layer, int32_t part) {
  const size_t parts = size_t(work == PipelineWork::load ? plan_.pages : in_.micro_batches);
  std::vector<bool>& issued = issued_[size_t(work)];
  const size_t place = size_t(layer) * parts + size_t(part);
  if (issued[place]) return false;
  issued[place] = true;
  plan_.tasks.push_back({work, layer, part});
  return true;
}

void PipelineWriter::load(int32_t layer, int32_t page) {
  const int32_t first = first_load(plan_);
  if (in_.streams && layer >= first && layer < first + in_.layers) issue(PipelineWork::load, layer, page);
}

void PipelineWriter::load_pages(int32_t layer, int32_t last) {
  for (int32_t page = 0; page <= last; ++page) load(layer, page);
}

void PipelineWriter::load_layer(int32_t layer) { load_pages(layer, plan_.pages - 1); }

void PipelineWriter::fetch(int32_t layer, int32_t micro_batch) {
  if (in_.fetches && layer < in_.layers) issue(PipelineWork::fetch, layer, micro_batch);
}

void PipelineWriter::attend(int32_t layer, int32_t micro_batch) {
  if (layer >= in_.layers) return;
  if (layer > 0) finish(layer - 1, micro_batch);
  load_pages(layer, last_project_page(in_, plan_.pages, layer));
  if (!issue(PipelineWork::project, layer, micro_batch)) return;
  fetch(layer, micro_batch);
  if (in_.sends) issue(PipelineWork::send, layer, micro_batch);
  issue(PipelineWork::attend, layer, micro_batch);
}

void PipelineWriter::receive(int32_t layer, int32_t micro_batch) {
  attend(layer, micro_batch);
  if (in_.receives) issue(PipelineWork::receive, layer, micro_batch);
}

void PipelineWriter::finish(int32_t layer, int32_t micro_batch) {
  if (issued_[size_t(PipelineWork::finish)][size_t(layer) * size_t(in_.micro_batches) + size_t(micro_batch)]) return;
  receive(layer, micro_batch);
  load_layer(layer);
  issue(PipelineWork::finish, layer, micro_batch);
}

void PipelineWriter::wait() { plan_.tasks.push_back({PipelineWork::wait, 0, 0}); }

PipelinePlan PipelineWriter::take() {
  for (int32_t layer = 0; layer < in_.layers; ++layer) load_layer(first_load(plan_) + layer);
  return std::move(plan_);
}

void check_plan(const PipelinePlan& plan, const PipelineInput& in) {
  CHECK(plan.pages > 0 && plan.buffers > 0);
  const int32_t first = first_load(plan);
  std::array<std::vector<bool>, kPipelineWorks> seen;
  for (std::vector<bool>& of_work : seen) of_work.assign(size_t(in.layers) * size_t(in.micro_batches), false);
  seen[size_t(PipelineWork::load)].assign(size_t(in.layers + first) * size_t(plan.pages), !in.streams);
  for (size_t page = 0; page < size_t(first) * size_t(plan.pages); ++page)
    seen[size_t(PipelineWork::load)][page] = true;
  const auto is_seen = [&](PipelineWork work, int32_t layer, int32_t part) {
    const int32_t parts = work == PipelineWork::load ? plan.pages : in.micro_batches;
    return bool(seen[size_t(work)][size_t(layer) * size_t(parts) + size_t(part)]);
  };
  for (const PipelineTask& task : plan.tasks) {
    using enum PipelineWork;
    if (task.work == wait) continue;
    const int32_t parts = task.work == load ? plan.pages : in.micro_batches;
    CHECK(task.part >= 0 && task.part < parts && task.layer >= (task.work == load ? first : 0));
    CHECK(task.layer < in.layers + (task.work == load ? first : 0));
    CHECK(!is_seen(task.work, task.layer, task.part));
    const auto needs = [&](PipelineWork work) { CHECK(is_seen(work, task.layer, task.part)); };
    if (task.work == project && task.layer > 0) CHECK(is_seen(finish, task.layer - 1, task.part));
    if (task.work == project) CHECK(is_seen(load, task.layer, last_project_page(in, plan.pages, task.layer)));
    if (task.work == send || task.work == attend) needs(project);
    if (task.work == attend && in.receives) needs(send);
    if (task.work == attend && in.fetches) needs(fetch);
    if (task.work == receive) needs(attend);
    if (task.work == finish) needs(in.receives ? receive : attend);
    for (int32_t page = 0; page < plan.pages && task.work == finish; ++page) CHECK(is_seen(load, task.layer, page));
    for (int32_t m = 0; m < in.micro_batches && task.work == load && task.layer > first; ++m)
      CHECK(is_seen(finish, task.layer - plan.buffers, m));
    seen[size_t(task.work)][size_t(task.layer) * size_t(parts) + size_t(task.part)] = true;
  }
  const std::array<bool, kPipelineWorks> wanted{true, in.fetches, true, in.sends, true, in.receives, true, false};
  for (size_t work = 0; work < seen.size(); ++work)
    CHECK(std::all_of(seen[work].begin(), seen[work].end(), [&](bool is) { return is == wanted[work]; }));
}

}  // namespace moesim
