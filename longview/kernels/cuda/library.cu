// The one thing that liblongview_cuda.so shows.
#include "longview/kernels/cuda/launches.h"

extern "C" const longview::kernels::CudaLaunches* longview_cuda_launches() {
  using namespace longview::kernels;
  static const CudaLaunches out{kCudaVersion, memory_launches(), row_launches()};
  return &out;
}
