// GGUF files made in memory, right or wrong as a test wants them.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "longview/base/check.h"

namespace longview::testing {

/// What `act` says when it fails; "" when it does not. Anything but an Error passes through and fails the test.
inline std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

using Bytes = std::vector<uint8_t>;

template <class T>
void put(Bytes& to, T value) {
  const size_t at = to.size();
  to.resize(at + sizeof value);
  std::memcpy(to.data() + at, &value, sizeof value);
}

inline void put_text(Bytes& to, std::string_view text) {
  put<uint64_t>(to, text.size());
  to.insert(to.end(), text.begin(), text.end());
}

struct GgufBytes {
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // innermost first, as the file has them
    uint32_t type = 0;
    Bytes data;
    std::optional<uint64_t> offset;  // default: behind the one before
  };
  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> tensor_count, key_count;  // default: as many as there are
  size_t alignment = 32;
  Bytes keys;
  uint64_t keys_written = 0;
  std::vector<Tensor> tensors;

  template <class T>
  GgufBytes& key(std::string_view name, uint32_t type, T value) {
    put_text(keys, name);
    put(keys, type);
    put(keys, value);
    ++keys_written;
    return *this;
  }
  GgufBytes& u32(std::string_view name, uint32_t value) { return key(name, 4, value); }
  GgufBytes& f32(std::string_view name, float value) { return key(name, 6, value); }
  GgufBytes& truth(std::string_view name, bool value) { return key<uint8_t>(name, 7, value); }
  GgufBytes& text(std::string_view name, std::string_view value) {
    key<uint64_t>(name, 8, value.size());
    keys.insert(keys.end(), value.begin(), value.end());
    return *this;
  }
  GgufBytes& texts(std::string_view name, const std::vector<std::string>& values) {
    key<uint32_t>(name, 9, 8);
    put<uint64_t>(keys, values.size());
    for (const auto& value : values) put_text(keys, value);
    return *this;
  }
  template <class T>
  GgufBytes& many(std::string_view name, uint32_t type, const std::vector<T>& values) {
    key<uint32_t>(name, 9, type);
    put<uint64_t>(keys, values.size());
    for (const T value : values) put(keys, value);
    return *this;
  }
  /// A tensor of F32 whose values count up from 0 in steps of 1/64.
  GgufBytes& tensor(std::string name, std::vector<uint64_t> dims) {
    uint64_t values = 1;
    for (const uint64_t dim : dims) values *= dim;
    Bytes data;
    for (uint64_t i = 0; i < values; ++i) put(data, static_cast<float>(i) / 64);
    tensors.push_back({std::move(name), std::move(dims), 0, std::move(data), {}});
    return *this;
  }
  Tensor& operator[](std::string_view name) {
    for (auto& tensor : tensors)
      if (tensor.name == name) return tensor;
    fail("[test] no tensor '{}'", name);
  }

  Bytes bytes() const {
    Bytes out(magic.begin(), magic.end());
    put(out, version);
    put<uint64_t>(out, tensor_count.value_or(tensors.size()));
    put<uint64_t>(out, key_count.value_or(keys_written));
    out.insert(out.end(), keys.begin(), keys.end());
    Bytes data;
    for (const auto& tensor : tensors) {
      data.resize((data.size() + alignment - 1) / alignment * alignment);
      put_text(out, tensor.name);
      put(out, static_cast<uint32_t>(tensor.dims.size()));
      for (const uint64_t dim : tensor.dims) put(out, dim);
      put(out, tensor.type);
      put<uint64_t>(out, tensor.offset.value_or(data.size()));
      data.insert(data.end(), tensor.data.begin(), tensor.data.end());
    }
    out.resize((out.size() + alignment - 1) / alignment * alignment);
    out.insert(out.end(), data.begin(), data.end());
    return out;
  }
};

/// One layer, width 4, 2 heads over 1, 6 tokens: the smallest model that opens. `arch` llama, qwen2 or qwen3.
inline GgufBytes tiny_gguf(const std::string& arch = "llama") {
  GgufBytes out;
  const std::string at = arch + ".";
  out.text("general.architecture", arch).u32(at + "block_count", 1).u32(at + "embedding_length", 4);
  out.u32(at + "feed_forward_length", 6).u32(at + "attention.head_count", 2).u32(at + "attention.head_count_kv", 1);
  out.u32(at + "context_length", 16).f32(at + "attention.layer_norm_rms_epsilon", 1e-5F);
  out.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
  out.texts("tokenizer.ggml.tokens", {"a", "b", "c", "ab", "abc", "<|im_end|>"}).texts("tokenizer.ggml.merges", {"a b", "ab c"});
  out.many<int32_t>("tokenizer.ggml.token_type", 5, {1, 1, 1, 1, 1, 3}).u32("tokenizer.ggml.eos_token_id", 5);
  out.tensor("token_embd.weight", {4, 6}).tensor("output_norm.weight", {4});
  out.tensor("blk.0.attn_norm.weight", {4}).tensor("blk.0.ffn_norm.weight", {4});
  out.tensor("blk.0.attn_q.weight", {4, 4}).tensor("blk.0.attn_k.weight", {4, 2}).tensor("blk.0.attn_v.weight", {4, 2});
  out.tensor("blk.0.attn_output.weight", {4, 4}).tensor("blk.0.ffn_gate.weight", {4, 6}).tensor("blk.0.ffn_up.weight", {4, 6});
  out.tensor("blk.0.ffn_down.weight", {6, 4});
  if (arch == "qwen2") out.tensor("blk.0.attn_q.bias", {4}).tensor("blk.0.attn_k.bias", {2}).tensor("blk.0.attn_v.bias", {2});
  if (arch == "qwen3") out.tensor("blk.0.attn_q_norm.weight", {2}).tensor("blk.0.attn_k_norm.weight", {2});
  return out;
}

}  // namespace longview::testing
