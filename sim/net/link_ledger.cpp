#include "sim/net/link_ledger.h"

#include <cmath>
#include <utility>

#include "sim/core/check.h"

namespace moesim {

LinkLedger::LinkLedger(std::vector<Link> links) : links_(std::move(links)), books_(links_.size()) {
  for (const Link& link : links_) {
    CHECK(link.capacity.bytes_per_s > 0);
    CHECK(std::isfinite(link.capacity.bytes_per_s));
    CHECK(link.latency >= Duration{});
  }
}

void LinkLedger::enter(Path path, Bytes bytes, Time now) {
  for (const LinkId link : path) {
    Book& book = books_[index(link)];
    if (book.flows++ == 0) book.busy_since = now;
    book.entered += bytes;
  }
}

void LinkLedger::leave(Path path, Bytes bytes, Time now) {
  for (const LinkId link : path) {
    Book& book = books_[index(link)];
    CHECK(book.flows > 0);
    book.use.carried += bytes;
    if (--book.flows == 0) book.use.busy += now - book.busy_since;
  }
}

LinkUse LinkLedger::use(LinkId link, Time now) const {
  CHECK(index(link) < books_.size());
  const Book& book = books_[index(link)];
  LinkUse use = book.use;
  if (book.flows > 0) use.busy += now - book.busy_since;
  return use;
}

void LinkLedger::check_idle(LinkId link) const {
  const Book& book = books_[index(link)];
  CHECK(book.use.carried == book.entered);
  const double carried_max = links_[index(link)].capacity.bytes_per_s * book.use.busy.seconds();
  CHECK(double(book.use.carried.count) <= carried_max * (1 + 1e-9) + 1);
}

}  // namespace moesim
