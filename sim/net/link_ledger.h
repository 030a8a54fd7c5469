// Who is on each link and what each link has carried. Flows enter with their first byte and leave with their last.
#pragma once

#include <vector>

#include "sim/net/link.h"

namespace moesim {

class LinkLedger {
 public:
  // The tolerance is the part by which a link may have carried more than its capacity allows.
  explicit LinkLedger(std::vector<Link> links, double tolerance = 0);

  void enter(Path path, Bytes bytes, Time now);
  void leave(Path path, Bytes bytes, Time now);

  // Leaves early, to go on elsewhere: of what entered, only some has been carried here.
  void abandon(Path path, Bytes entered, Bytes carried, Time now);

  void set_capacity(LinkId link, Rate capacity, Time now);

  std::span<const Link> links() const { return links_; }

  // Bytes count when their flow leaves; the busy time includes the time until now of the flows still on the link.
  LinkUse use(LinkId link, Time now) const;

  // CHECKs that the link, which has just become idle, delivered what entered it, and no more than its capacity
  // allows in the time it was busy.
  void check_idle(LinkId link) const;
  bool idle(LinkId link) const { return books_[index(link)].flows == 0; }

 private:
  struct Book {
    LinkUse use;  // of the finished busy periods
    Bytes entered;
    double carried_max = 0;  // bytes that it could have carried while busy, up to the last change below
    Time busy_since;
    double flow_ps = 0;  // of this busy period, as if the flows on the link had left when it began
    Time changed_at;     // since when it has been busy at its present capacity
    int64_t flows = 0;
  };

  std::vector<Link> links_;
  std::vector<Book> books_;
  double tolerance_;
};

}  // namespace moesim
