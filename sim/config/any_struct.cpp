#include "sim/config/any_struct.h"

namespace moesim {

AnyStruct::AnyStruct(const AnyStruct& other)
    : type_(other.type_), object_(type_ == nullptr ? nullptr : type_->copy(other.object_)) {}

AnyStruct::~AnyStruct() {
  if (type_ != nullptr) type_->destroy(object_);
}

}  // namespace moesim
