// The one door to LibTorch: the tensor type, and the shape letters that public entries check.
//   B batch, H heads, G key-value heads, T tokens, S segments, N segment length, D head width, E model width, V vocabulary
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "longview/base/check.h"

namespace longview {

using at::Tensor;

/// Binds the letters of `shape` ("B H T D") to the sizes of `x`; throws "[where] x must be [B,H,T,D]; got [3,4]" when the number
/// of dimensions differs or a letter was bound to another size before. A number in `shape` must be that size.
class Shapes {
 public:
  explicit Shapes(std::string_view where) : where_(where) {}
  Shapes& operator()(std::string_view name, const Tensor& x, std::string_view shape);
  int64_t operator[](char letter) const { return sizes_.at(letter); }

 private:
  std::string where_;
  std::map<char, int64_t> sizes_;
};

/// "[1,9,512,64]"
std::string shape_text(const Tensor& x);

}  // namespace longview
