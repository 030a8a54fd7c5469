// A struct of settings of any type, such as the options of a policy. Copies copy the struct.
#pragma once

#include <utility>

#include "sim/config/setting.h"
#include "sim/core/check.h"

namespace moesim {

class AnyStruct {
 public:
  AnyStruct() = default;  // holds none
  explicit AnyStruct(const ObjectType& type) : type_(&type), object_(type.create()) {}
  template <HasFields T>
  explicit AnyStruct(T object) : type_(&ObjectTypeOf<T>::table), object_(new T(std::move(object))) {}

  AnyStruct(const AnyStruct& other);
  AnyStruct(AnyStruct&& other) noexcept
      : type_(std::exchange(other.type_, nullptr)), object_(std::exchange(other.object_, nullptr)) {}
  AnyStruct& operator=(AnyStruct other) noexcept {
    std::swap(type_, other.type_);
    std::swap(object_, other.object_);
    return *this;
  }
  ~AnyStruct();

  const ObjectType* type() const { return type_; }
  void* object() { return object_; }
  const void* object() const { return object_; }

  // CHECKs that it holds a T.
  template <HasFields T>
  const T& as() const {
    CHECK(type_ == &ObjectTypeOf<T>::table);
    return *static_cast<const T*>(object_);
  }

 private:
  const ObjectType* type_ = nullptr;
  void* object_ = nullptr;
};

}  // namespace moesim
