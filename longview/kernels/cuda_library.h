// liblongview_cuda.so, opened when it is first needed.
#pragma once

#include "longview/base/tensor.h"
#include "longview/kernels/cuda/launches.h"

namespace longview::kernels {

/// What the library beside the program offers, or the one that the loader finds; null: there is none that fits.
const CudaLaunches* cuda_library();
/// Why there is none; "": there is.
const std::string& cuda_refusal();
/// The stream that LibTorch gives its work for x to.
void* stream_of(const Tensor& x);

}  // namespace longview::kernels
