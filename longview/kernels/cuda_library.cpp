// Finding and checking liblongview_cuda.so.
#include "longview/kernels/cuda_library.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <filesystem>

namespace longview::kernels {
namespace {

struct Library {
  const CudaLaunches* launches = nullptr;
  std::string why;
};

void* open_library() {
  constexpr const char* kName = "liblongview_cuda.so";
  std::error_code none;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  for (const auto& path : {folder / kName, folder / "../lib" / kName})
    if (std::filesystem::exists(path, none)) return ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  return ::dlopen(kName, RTLD_NOW | RTLD_LOCAL);
}

const Library& library() {
  static const Library found = []() -> Library {
    void* handle = open_library();
    if (handle == nullptr) return {nullptr, ::dlerror()};
    auto* get = reinterpret_cast<decltype(&longview_cuda_launches)>(::dlsym(handle, "longview_cuda_launches"));
    if (get == nullptr) return {nullptr, "liblongview_cuda.so is not longview's"};
    const CudaLaunches* launches = get();
    if (launches->version != kCudaVersion) return {nullptr, "liblongview_cuda.so is of another version of longview"};
    return {launches, ""};
  }();
  return found;
}

}  // namespace

const CudaLaunches* cuda_library() { return library().launches; }

const std::string& cuda_refusal() { return library().why; }

void* stream_of(const Tensor& x) { return c10::impl::VirtualGuardImpl(at::kCUDA).getStream(x.device()).native_handle(); }

}  // namespace longview::kernels
