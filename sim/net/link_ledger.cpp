#include "sim/net/link_ledger.h"

#include <cmath>
#include <utility>

#include "sim/core/check.h"

namespace moesim {
namespace {

constexpr double kSecondsPerPicosecond = 1e-12;

}  // namespace

LinkLedger::LinkLedger(std::vector<Link> links, double tolerance)
    : links_(std::move(links)), books_(links_.size()), tolerance_(tolerance) {
  for (const Link& link : links_) {
    CHECK(link.capacity.bytes_per_s > 0);
    CHECK(std::isfinite(link.capacity.bytes_per_s));
    CHECK(link.latency >= Duration{});
  }
}

void LinkLedger::enter(Path path, Bytes bytes, Time now) {
  for (const LinkId link : path) {
    Book& book = books_[index(link)];
    if (book.flows++ == 0) book.busy_since = book.changed_at = now;
    book.flow_ps -= double((now - book.busy_since).ps);
    book.entered += bytes;
  }
}

void LinkLedger::leave(Path path, Bytes bytes, Time now) {
  for (const LinkId link : path) {
    Book& book = books_[index(link)];
    CHECK(book.flows > 0);
    book.use.carried += bytes;
    book.flow_ps += double((now - book.busy_since).ps);
    if (--book.flows > 0) continue;
    book.use.busy += now - book.busy_since;
    book.use.flow_s += book.flow_ps * kSecondsPerPicosecond;
    book.flow_ps = 0;
    book.carried_max += links_[index(link)].capacity.bytes_per_s * (now - book.changed_at).seconds();
  }
}

void LinkLedger::abandon(Path path, Bytes entered, Bytes carried, Time now) {
  CHECK(carried <= entered);
  for (const LinkId link : path) books_[index(link)].entered = books_[index(link)].entered - (entered - carried);
  leave(path, carried, now);
}

void LinkLedger::set_capacity(LinkId link, Rate capacity, Time now) {
  CHECK(index(link) < books_.size());
  CHECK(capacity.bytes_per_s >= 0);
  CHECK(std::isfinite(capacity.bytes_per_s));
  Book& book = books_[index(link)];
  if (book.flows > 0) {
    book.carried_max += links_[index(link)].capacity.bytes_per_s * (now - book.changed_at).seconds();
    book.changed_at = now;
  }
  links_[index(link)].capacity = capacity;
}

LinkUse LinkLedger::use(LinkId link, Time now) const {
  CHECK(index(link) < books_.size());
  const Book& book = books_[index(link)];
  LinkUse use = book.use;
  if (book.flows == 0) return use;
  use.busy += now - book.busy_since;
  use.flow_s += (book.flow_ps + double(book.flows) * double((now - book.busy_since).ps)) * kSecondsPerPicosecond;
  return use;
}

void LinkLedger::check_idle(LinkId link) const {
  const Book& book = books_[index(link)];
  CHECK(book.use.carried == book.entered);
  CHECK(double(book.use.carried.count) <= book.carried_max * (1 + tolerance_ + 1e-9) + 1);
}

}  // namespace moesim
