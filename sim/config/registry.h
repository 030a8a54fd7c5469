// The implementations of each kind of policy, by name, and the setting that chooses one.
//
// A kind is a struct in the layer that asks for the decision:
//
//   struct PlacementPolicy {
//     static constexpr const char* kind = "placement policy";
//     using Input = PlacementInput;
//     using Decision = Placement;
//   };
//
// and an implementation registers itself in its own file:
//
//   Placement place_greedy(const PlacementInput& in, const GreedyOptions& options, Rng& rng);
//   [[maybe_unused]] const bool registered = Registry<PlacementPolicy>::instance().add(
//       "greedy", "heaviest expert first, to the least loaded GPU", place_greedy);
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/config/any_struct.h"
#include "sim/core/check.h"
#include "sim/core/random.h"

namespace moesim {

// What is known of an implementation without its Kind.
struct PolicyEntry {
  std::string name;
  std::string doc;                      // one line
  const ObjectType* options = nullptr;  // a struct with fields()

  AnyStruct default_options() const { return AnyStruct(*options); }
};

// What a PolicyChoice holds, without its Kind.
struct ChosenPolicy {
  std::string name;
  AnyStruct options;  // none: the defaults
};

// CHECKs that there is one: what is read has been looked up, so else a default of ours names no policy.
const PolicyEntry& chosen_entry(const PolicyType& type, const ChosenPolicy& chosen);

void read_policy(const PolicyType& type, const JsonNode& node, const Place& place, ChosenPolicy& chosen,
                 std::vector<Fault>& faults);

// Whether both are written the same.
bool is_same_policy(const PolicyType& type, const ChosenPolicy& a, const ChosenPolicy& b);

template <class Kind>
class Registry {
 public:
  using Input = typename Kind::Input;
  using Decision = typename Kind::Decision;

  struct Entry : PolicyEntry {
    Decision decide(const Input& input, const AnyStruct& given, Rng& rng) const {
      return call(function, input, given, rng);
    }

    void (*function)() = nullptr;  // Decision (*)(const Input&, const Options&, Rng&); only call() knows the Options
    Decision (*call)(void (*function)(), const Input& input, const AnyStruct& options, Rng& rng) = nullptr;
  };

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  // Returns true, so that a namespace-scope constant can register. A name that is taken is a CHECK.
  template <class Options>
  bool add(std::string name, std::string doc, Decision (*decide)(const Input&, const Options&, Rng&)) {
    static_assert(HasFields<Options>, "options need a fields() beside them; NoOptions has one");
    CHECK(find(name) == nullptr);
    Entry entry;
    entry.name = std::move(name);
    entry.doc = std::move(doc);
    entry.options = &ObjectTypeOf<Options>::table;
    entry.function = reinterpret_cast<void (*)()>(decide);
    entry.call = [](void (*function)(), const Input& input, const AnyStruct& options, Rng& rng) -> Decision {
      return reinterpret_cast<decltype(decide)>(function)(input, options.as<Options>(), rng);
    };
    auto after = entries_.begin();
    while (after != entries_.end() && after->name < entry.name) ++after;
    entries_.insert(after, std::move(entry));
    return true;
  }

  const std::vector<Entry>& entries() const { return entries_; }  // by name

  const Entry* find(std::string_view name) const {
    for (const Entry& entry : entries_)
      if (entry.name == name) return &entry;
    return nullptr;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Entry& entry : entries_) names.push_back(entry.name);
    return names;
  }

 private:
  Registry() = default;

  std::vector<Entry> entries_;
};

// What an object without "policy" means, where the kind says it: `static constexpr const char* unnamed`.
template <class Kind>
constexpr const char* unnamed_of() {
  if constexpr (requires { Kind::unnamed; }) return Kind::unnamed;
  return nullptr;
}

// A setting that names a policy and holds its options: "greedy", or {"policy": "greedy", "slack": 2}. The name is
// looked up when it is first needed, so that a default may name a policy that registers itself later.
template <class Kind>
class PolicyChoice {
 public:
  using Input = typename Kind::Input;
  using Decision = typename Kind::Decision;

  PolicyChoice() = default;  // for containers: chooses nothing until it is read
  explicit PolicyChoice(std::string name) : chosen_{std::move(name), {}} {}
  template <class Options>
  PolicyChoice(std::string name, Options options) : chosen_{std::move(name), AnyStruct(std::move(options))} {}

  const std::string& name() const { return chosen_.name; }

  Decision decide(const Input& input, Rng& rng) const {
    const auto* const entry = Registry<Kind>::instance().find(name());
    CHECK(entry != nullptr);
    return chosen_.options.type() == nullptr ? entry->decide(input, entry->default_options(), rng)
                                             : entry->decide(input, chosen_.options, rng);
  }

  void read(const JsonNode& node, const Place& place, std::vector<Fault>& faults) {
    read_policy(policy_type(), node, place, chosen_, faults);
  }

  friend bool operator==(const PolicyChoice& a, const PolicyChoice& b) {
    return is_same_policy(policy_type(), a.chosen_, b.chosen_);
  }

  static constexpr const PolicyType& policy_type() { return PolicyTypeOf::table; }

 private:
  struct PolicyTypeOf {
    static std::vector<const PolicyEntry*> entries() {
      std::vector<const PolicyEntry*> entries;
      for (const auto& entry : Registry<Kind>::instance().entries()) entries.push_back(&entry);
      return entries;
    }
    static ChosenPolicy& chosen(void* choice) { return static_cast<PolicyChoice*>(choice)->chosen_; }

    static constexpr PolicyType table = {Kind::kind, unnamed_of<Kind>(), entries, chosen};
  };

  ChosenPolicy chosen_;
};

}  // namespace moesim
