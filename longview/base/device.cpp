// Loading libtorch_cuda.so at run time: one program runs with a GPU and without.
#include "longview/base/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <array>

#include "longview/base/cpu.h"
#include "longview/base/fields.h"

namespace longview {
namespace {

/// Why there is no GPU; "": there is.
const std::string& cuda_refusal() {
  static const std::string why = []() -> std::string {
    if (::dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr) return "this machine has no NVIDIA driver (libcuda.so.1)";
    if (::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) return ::dlerror();
    const auto& hooks = at::detail::getCUDAHooks();
    if (!hooks.hasCUDA()) return "LibTorch's CUDA half finds no GPU";
    return "";
  }();
  return why;
}

}  // namespace

at::Device open_device(std::string_view name) {
  if (name == "cpu") return at::kCPU;
  const bool is_auto = name == "auto";
  LV_CHECK(is_auto || name == "cuda" || name.rfind("cuda:", 0) == 0, "[device] must be auto, cpu, cuda or cuda:N; got '{}'", name);
  const std::string& why = cuda_refusal();
  if (is_auto && !why.empty()) return at::kCPU;
  LV_CHECK(why.empty(), "[device] {} cannot be used: {}", name, why);
  const int64_t index = name.size() > 5 ? to_int("device", "cuda:", name.substr(5)) : 0;
  const auto count = static_cast<int64_t>(static_cast<uint8_t>(at::detail::getCUDAHooks().deviceCount()));
  LV_CHECK(index >= 0 && index < count, "[device] there is no GPU {}; there are {}", index, count);
  at::globalContext().lazyInitDevice(at::kCUDA);
  at::globalContext().setFloat32MatmulPrecision("highest");  // f32 is f32
  return {at::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

std::string device_text(at::Device device) { return device.is_cpu() ? "cpu" : fmt::format("cuda:{}", device.index()); }

std::string gpu_name(at::Device device) {
  if (device.is_cpu()) return "";
  using Get = int (*)(int*, int);
  using Name = int (*)(char*, int, int);
  const auto get = reinterpret_cast<Get>(::dlsym(RTLD_DEFAULT, "cuDeviceGet"));
  const auto name = reinterpret_cast<Name>(::dlsym(RTLD_DEFAULT, "cuDeviceGetName"));
  std::array<char, 256> out{};
  int number = 0;
  const bool is_told = get != nullptr && name != nullptr && get(&number, device.index()) == 0 &&
                       name(out.data(), static_cast<int>(out.size()) - 1, number) == 0;
  return is_told ? out.data() : "";
}

void wait_for(at::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

int64_t peak_bytes(at::Device device) {
  if (device.is_cpu()) return rss_peak_bytes();
  return c10::getDeviceAllocator(device.type())->getDeviceStats(device.index()).reserved_bytes[0].peak;
}

}  // namespace longview
