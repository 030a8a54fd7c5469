#include "validation/fit/profile_path.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/config/setting.h"
#include "sim/core/check.h"

namespace moesim {
namespace {

// A number's place in memory, and what may stand there.
struct Found {
  void* value = nullptr;
  Shape shape = Shape::object;
  RangeBits range;
};

enum class Missing { give_up, create };

std::string first_of(const std::string& path) { return path.substr(0, path.find('/')); }
std::string rest_of(const std::string& path) {
  const size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(slash + 1);
}

bool is_number(Shape shape) {
  return shape == Shape::int32 || shape == Shape::int64 || shape == Shape::real || shape == Shape::duration ||
         shape == Shape::bytes || shape == Shape::rate || shape == Shape::flop_rate;
}

std::optional<Found> find(const ValueType& type, void* value, const RangeBits& range, const std::string& path,
                          Missing missing);

// Element `position` of an optional (0) or a list. The writer's each() hands out the elements themselves.
std::optional<Found> find_in_container(const ValueType& type, void* container, const RangeBits& range, size_t position,
                                       const std::string& path, Missing missing) {
  void* element = nullptr;
  size_t index = 0;
  const auto note = [&](const std::string&, const void* each) {
    if (index++ == position) element = const_cast<void*>(each);
  };
  type.container->each(container, note);
  if (element == nullptr && type.shape == Shape::optional && missing == Missing::create) {
    type.container->add(container, {}, [](void*) {});
    index = 0;
    type.container->each(container, note);
  }
  if (element == nullptr) return std::nullopt;
  return find(type.container->element, element, range, path, missing);
}

std::optional<Found> find_in_object(const ObjectType& type, void* object, const std::string& path, Missing missing) {
  for (const Setting& setting : list_settings(type, object))
    if (setting.key == first_of(path))
      return find(*setting.type, setting.value, setting.limit.range, rest_of(path), missing);
  return std::nullopt;
}

std::optional<Found> find(const ValueType& type, void* value, const RangeBits& range, const std::string& path,
                          Missing missing) {
  if (type.shape == Shape::object) return find_in_object(*type.object, value, path, missing);
  if (type.shape == Shape::optional) return find_in_container(type, value, range, 0, path, missing);
  if (type.shape == Shape::list) {
    size_t position = 0;
    const std::string digits = first_of(path);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), position);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return find_in_container(type, value, range, position, rest_of(path), missing);
  }
  if (!is_number(type.shape) || !path.empty()) return std::nullopt;
  return Found{value, type.shape, range};
}

std::optional<Found> find(DeviceProfile& profile, const std::string& path, Missing missing) {
  return find_in_object(ObjectTypeOf<DeviceProfile>::table, &profile, path, missing);
}

bool is_continuous(Shape shape) {
  return shape == Shape::real || shape == Shape::duration || shape == Shape::rate || shape == Shape::flop_rate;
}

void add_numbers(const ValueType& type, void* value, const std::string& path, const std::string& below,
                 std::vector<std::string>& out) {
  // One path leads to the other, or goes on below it.
  const auto is_on_the_way = (path + "/").starts_with(below + "/") || (below + "/").starts_with(path + "/");
  if (!path.empty() && !is_on_the_way) return;
  const std::string prefix = path.empty() ? "" : path + "/";
  if (is_continuous(type.shape)) out.push_back(path);
  if (type.shape == Shape::object)
    for (const Setting& setting : list_settings(*type.object, value))
      add_numbers(*setting.type, setting.value, prefix + setting.key, below, out);
  if (type.shape != Shape::optional && type.shape != Shape::list) return;
  size_t index = 0;
  type.container->each(value, [&](const std::string&, const void* element) {
    const std::string inner = type.shape == Shape::list ? prefix + std::to_string(index++) : path;
    add_numbers(type.container->element, const_cast<void*>(element), inner, below, out);
  });
}

double read(const Found& found) {
  switch (found.shape) {
    case Shape::int32:
      return double(*static_cast<const int32_t*>(found.value));
    case Shape::int64:
      return double(*static_cast<const int64_t*>(found.value));
    case Shape::real:
      return *static_cast<const double*>(found.value);
    case Shape::duration:
      return double(static_cast<const Duration*>(found.value)->ps);
    case Shape::bytes:
      return double(static_cast<const Bytes*>(found.value)->count);
    case Shape::rate:
      return static_cast<const Rate*>(found.value)->bytes_per_s;
    default:
      return static_cast<const FlopRate*>(found.value)->flop_per_s;
  }
}

void write(const Found& found, double value) {
  switch (found.shape) {
    case Shape::int32:
      *static_cast<int32_t*>(found.value) = int32_t(std::llround(value));
      break;
    case Shape::int64:
      *static_cast<int64_t*>(found.value) = std::llround(value);
      break;
    case Shape::real:
      *static_cast<double*>(found.value) = value;
      break;
    case Shape::duration:
      static_cast<Duration*>(found.value)->ps = std::llround(value);
      break;
    case Shape::bytes:
      static_cast<Bytes*>(found.value)->count = std::llround(value);
      break;
    case Shape::rate:
      static_cast<Rate*>(found.value)->bytes_per_s = value;
      break;
    default:
      static_cast<FlopRate*>(found.value)->flop_per_s = value;
  }
}

double end_of(Shape shape, uint64_t bits) {
  if (shape == Shape::int32) return double(end_of_bits<int32_t>(bits));
  if (shape == Shape::int64 || shape == Shape::duration || shape == Shape::bytes)
    return double(end_of_bits<int64_t>(bits));
  return end_of_bits<double>(bits);
}

// With every list long enough to be looked into.
DeviceProfile full_profile() {
  DeviceProfile profile;
  profile.cpu.threads.resize(16);
  profile.kernels.gemm.tiles.resize(16);
  profile.kernels.grouped_gemm.tiles.resize(16);
  profile.kernels.grouped_gemm_library.emplace().tiles.resize(16);
  profile.kernels.gemm_fp8 = profile.kernels.gemm;
  profile.kernels.grouped_gemm_fp8 = profile.kernels.grouped_gemm;
  return profile;
}

}  // namespace

double rounded(double value) {
  const std::string text = fmt::format("{:.3e}", value);
  double result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

bool is_profile_path(const std::string& path) {
  DeviceProfile profile = full_profile();
  return find(profile, path, Missing::create).has_value();
}

std::optional<double> profile_value(const DeviceProfile& profile, const std::string& path) {
  const auto found = find(const_cast<DeviceProfile&>(profile), path, Missing::give_up);  // it only looks
  if (found) return read(*found);
  return std::nullopt;
}

std::vector<std::string> numbers_below(const DeviceProfile& profile, const std::string& path) {
  std::vector<std::string> paths;
  add_numbers(value_type<DeviceProfile>(), const_cast<DeviceProfile*>(&profile), "", path, paths);
  return paths;
}

void set_profile_value(DeviceProfile& profile, const std::string& path, double value) {
  const auto found = find(profile, path, Missing::create);
  CHECK(found.has_value());
  write(*found, value);
}

ValueRange profile_range(const std::string& path) {
  DeviceProfile profile = full_profile();
  const auto found = find(profile, path, Missing::create);
  CHECK(found.has_value());
  ValueRange range{0, std::numeric_limits<double>::max()};
  if (found->range.has_low) range.low = end_of(found->shape, found->range.low);
  if (found->range.has_high) range.high = end_of(found->shape, found->range.high);
  return range;
}

}  // namespace moesim
