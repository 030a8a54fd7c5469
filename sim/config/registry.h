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
//
// A kind whose decisions remember has a State too, a plain copyable struct. Whoever asks keeps it, Input is what is
// observed at each step, and implementations are
//
//   Decision step(State& state, const Input& observed, const Options& options, Rng& rng);
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
concept HasMemory = requires { typename Kind::State; };

// What an implementation says of itself beside its options, where the kind has a struct Traits for that.
struct NoTraits {};
template <class Kind>
struct TraitsOf {
  using Type = NoTraits;
};
template <class Kind>
  requires requires { typename Kind::Traits; }
struct TraitsOf<Kind> {
  using Type = typename Kind::Traits;
};

// Seen is what an implementation is given before its options. Registry<Kind> says what that is.
template <class Kind, class... Seen>
class RegistryOf {
 public:
  using Input = typename Kind::Input;
  using Decision = typename Kind::Decision;
  using Traits = typename TraitsOf<Kind>::Type;

  struct Entry : PolicyEntry {
    Decision decide(Seen... seen, const AnyStruct& given, Rng& rng) const
      requires(!HasMemory<Kind>)
    {
      return call(function, seen..., given, rng);
    }
    Decision step(Seen... seen, const AnyStruct& given, Rng& rng) const
      requires HasMemory<Kind>
    {
      return call(function, seen..., given, rng);
    }

    Traits traits{};
    void (*function)() = nullptr;  // Decision (*)(Seen..., const Options&, Rng&); only call() knows the Options
    Decision (*call)(void (*function)(), Seen... seen, const AnyStruct& options, Rng& rng) = nullptr;
  };

  static RegistryOf& instance() {
    static RegistryOf registry;
    return registry;
  }

  // Returns true, so that a namespace-scope constant can register. A name that is taken is a CHECK.
  template <class Options>
  bool add(std::string name, std::string doc, Decision (*decide)(Seen..., const Options&, Rng&), Traits traits = {}) {
    static_assert(HasFields<Options>, "options need a fields() beside them; NoOptions has one");
    CHECK(find(name) == nullptr);
    Entry entry;
    entry.name = std::move(name);
    entry.doc = std::move(doc);
    entry.options = &ObjectTypeOf<Options>::table;
    entry.traits = traits;
    entry.function = reinterpret_cast<void (*)()>(decide);
    entry.call = [](void (*function)(), Seen... seen, const AnyStruct& options, Rng& rng) -> Decision {
      return reinterpret_cast<decltype(decide)>(function)(seen..., options.as<Options>(), rng);
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
  RegistryOf() = default;

  std::vector<Entry> entries_;
};

template <class Kind>
struct Registering {
  using Type = RegistryOf<Kind, const typename Kind::Input&>;
};
template <HasMemory Kind>
struct Registering<Kind> {
  using Type = RegistryOf<Kind, typename Kind::State&, const typename Kind::Input&>;
};
template <class Kind>
using Registry = typename Registering<Kind>::Type;

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

  Decision decide(const Input& input, Rng& rng) const
    requires(!HasMemory<Kind>)
  {
    return has_options() ? entry().decide(input, chosen_.options, rng)
                         : entry().decide(input, entry().default_options(), rng);
  }

  template <class State>
  Decision step(State& state, const Input& observed, Rng& rng) const
    requires HasMemory<Kind>
  {
    return has_options() ? entry().step(state, observed, chosen_.options, rng)
                         : entry().step(state, observed, entry().default_options(), rng);
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

  const auto& entry() const {
    const auto* const entry = Registry<Kind>::instance().find(name());
    CHECK(entry != nullptr);
    return *entry;
  }
  bool has_options() const { return chosen_.options.type() != nullptr; }

  ChosenPolicy chosen_;
};

}  // namespace moesim
