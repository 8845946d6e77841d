// Where tensors live: the CPU, or a GPU through LibTorch's CUDA half, which is loaded only when it is asked for and there.
#pragma once

#include "longview/base/tensor.h"

namespace longview {

/// "cpu", "cuda", "cuda:1", or "auto": a GPU where there is one. Call it before any tensor is made. Throws when a GPU is asked for by
/// name and cannot be used, with the reason.
at::Device open_device(std::string_view name);

/// "cpu", or the GPU's name.
std::string device_text(at::Device device);

}  // namespace longview
