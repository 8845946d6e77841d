// GGUF from hostile bytes: metadata, tensor table, model, tokenizer, weights. Anything but an Error is a finding.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "longview/base/check.h"
#include "longview/checkpoint/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longview;
  try {
    const Checkpoint checkpoint = checkpoint_from_gguf(read_gguf({data, size}, nullptr, "fuzz.gguf"), "fuzz.gguf");
    for (const auto& [name, tensor] : checkpoint.tensors) {
      const auto [values, bytes] = block_shape(tensor.type);
      std::vector<float> out(tensor.bytes.size() / static_cast<size_t>(bytes) * static_cast<size_t>(values));
      dequantize(tensor.type, tensor.bytes.data(), static_cast<int64_t>(out.size()), out.data());
      check_finite(name, tensor);
    }
    const auto tokenizer = make_tokenizer(checkpoint.tokenizer);
    tokenizer->decode(tokenizer->encode("a b\xff<|im_end|>"));
  } catch (const Error&) {
  }
  return 0;
}
