// Where tensors live: the CPU, or a GPU through LibTorch's CUDA half, which is loaded only when it is asked for and there.
#pragma once

#include "longview/base/tensor.h"

namespace longview {

/// "cpu", "cuda", "cuda:1", or "auto": a GPU where there is one. Call it before any tensor is made. Throws when a GPU is asked for by
/// name and cannot be used, with the reason.
at::Device open_device(std::string_view name);

/// "cpu", or "cuda:0".
std::string device_text(at::Device device);
/// "NVIDIA H200" as the driver says; "" for the CPU, and where the driver does not tell.
std::string gpu_name(at::Device device);
/// Until the device has done all that it was given.
void wait_for(at::Device device);
/// Most bytes that tensors have taken on the device since the program began; of the CPU all that the process has had resident.
int64_t peak_bytes(at::Device device);

}  // namespace longview
