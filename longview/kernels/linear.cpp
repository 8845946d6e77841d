// Packing of weights into panels, and the definition of the linear layer. Formats: ggml's, see checkpoint/blocks.h.
#include "longview/kernels/linear.h"

#include <cstring>

#include "longview/checkpoint/unpack.h"

namespace longview::kernels {
namespace {

WeightForm form_of(BlockType type) {
  switch (type) {
    case BlockType::f32: return WeightForm::real32;
    case BlockType::f16: return WeightForm::real16;
    case BlockType::bf16: return WeightForm::brain16;
    default: return code_bits(type) <= 4 ? WeightForm::codes4 : WeightForm::codes8;
  }
}

int64_t panel_row_bytes(WeightForm form) {
  switch (form) {
    case WeightForm::real32: return kPanel * 4;
    case WeightForm::real16:
    case WeightForm::brain16: return kPanel * 2;
    case WeightForm::codes8: return kPanel;
    case WeightForm::codes4: return kPanel / 2;
  }
  return 0;
}

// Codes of outputs 0-15 and 16-31 share the first 16 bytes as low and high halves, 32-47 and 48-63 the second.
void put_code4(uint8_t* row, int64_t lane, uint8_t code) {
  row[lane / 32 * 16 + lane % 16] |= static_cast<uint8_t>(lane / 16 % 2 == 0 ? code : code << 4);
}

void pack_codes(Weight& weight, BlockType type, const uint8_t* row, int64_t output, std::vector<uint8_t>& codes,
                std::vector<float>& scales, std::vector<float>& minimums) {
  const int64_t groups = weight.inputs / weight.group, panel = output / kPanel, lane = output % kPanel;
  unpack_codes(type, row, weight.inputs, codes.data(), scales.data(), minimums.data());
  const int64_t stride = panel_row_bytes(weight.form);
  auto* data = weight.data.data_ptr<uint8_t>() + panel * weight.inputs * stride;
  for (int64_t i = 0; i < weight.inputs; ++i) {
    if (weight.form == WeightForm::codes4) put_code4(data + i * stride, lane, codes[i]);
    else data[i * stride + lane] = codes[i];
  }
  auto* scale = weight.scales.data_ptr<float>() + panel * groups * kPanel + lane;
  auto* minimum = weight.minimums.data_ptr<float>() + panel * groups * kPanel + lane;
  for (int64_t g = 0; g < groups; ++g) scale[g * kPanel] = scales[g], minimum[g * kPanel] = minimums[g];
}

template <class Value>
void pack_reals(Weight& weight, const uint8_t* row, int64_t output) {
  auto* data =
      reinterpret_cast<Value*>(weight.data.data_ptr<uint8_t>()) + output / kPanel * weight.inputs * kPanel + output % kPanel;
  for (int64_t i = 0; i < weight.inputs; ++i) std::memcpy(data + i * kPanel, row + i * sizeof(Value), sizeof(Value));
}

float half_value(uint16_t bits) {
  c10::Half half;
  half.x = bits;
  return static_cast<float>(half);
}

float brain_value(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float out;
  std::memcpy(&out, &wide, sizeof out);
  return out;
}

void unpack_row(const Weight& weight, int64_t output, float* out) {
  const int64_t panel = output / kPanel, lane = output % kPanel, stride = panel_row_bytes(weight.form);
  const uint8_t* data = weight.data.data_ptr<uint8_t>() + panel * weight.inputs * stride;
  const int64_t groups = weight.group > 0 ? weight.inputs / weight.group : 0;
  const float* scale = groups > 0 ? weight.scales.data_ptr<float>() + panel * groups * kPanel + lane : nullptr;
  const float* minimum = groups > 0 ? weight.minimums.data_ptr<float>() + panel * groups * kPanel + lane : nullptr;
  for (int64_t i = 0; i < weight.inputs; ++i, data += stride) {
    uint8_t code = 0;
    switch (weight.form) {
      case WeightForm::real32: out[i] = reinterpret_cast<const float*>(data)[lane]; continue;
      case WeightForm::real16: out[i] = half_value(reinterpret_cast<const uint16_t*>(data)[lane]); continue;
      case WeightForm::brain16: out[i] = brain_value(reinterpret_cast<const uint16_t*>(data)[lane]); continue;
      case WeightForm::codes8: code = data[lane]; break;
      case WeightForm::codes4: code = (data[lane / 32 * 16 + lane % 16] >> (lane / 16 % 2 * 4)) & 15; break;
    }
    out[i] = std::fma(scale[i / weight.group * kPanel], static_cast<float>(code), minimum[i / weight.group * kPanel]);
  }
}

}  // namespace

int64_t Weight::bytes() const {
  if (dense.defined()) return static_cast<int64_t>(dense.nbytes());
  return data.nbytes() + (scales.defined() ? scales.nbytes() + minimums.nbytes() : 0);
}

Weight pack(BlockType type, const uint8_t* bytes, int64_t outputs, int64_t inputs, const std::function<int64_t(int64_t)>& source) {
  const BlockShape block = block_shape(type);
  LV_CHECK(inputs % block.values == 0, "[linear] {} inputs do not divide into {} blocks of {}", inputs, block_name(type),
           block.values);
  Weight weight;
  weight.outputs = outputs, weight.inputs = inputs, weight.form = form_of(type);
  const int64_t row_bytes = inputs / block.values * block.bytes;
  weight.data = at::zeros({weight.panels() * inputs * panel_row_bytes(weight.form)}, at::kByte);
  const bool has_codes = weight.form == WeightForm::codes4 || weight.form == WeightForm::codes8;
  if (has_codes) {
    weight.group = code_group(type);
    weight.scales = at::zeros({weight.panels(), inputs / weight.group, kPanel});
    weight.minimums = at::zeros_like(weight.scales);
  }
  at::parallel_for(0, weight.panels(), 1, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> codes(has_codes ? inputs : 0);
    std::vector<float> scales(has_codes ? inputs / weight.group : 0), minimums(scales.size());
    for (int64_t r = begin * kPanel; r < std::min(end * kPanel, outputs); ++r) {
      const uint8_t* row = bytes + source(r) * row_bytes;
      if (has_codes) pack_codes(weight, type, row, r, codes, scales, minimums);
      else if (weight.form == WeightForm::real32) pack_reals<uint32_t>(weight, row, r);
      else pack_reals<uint16_t>(weight, row, r);
    }
  });
  return weight;
}

Weight pack(const Tensor& dense) {
  Shapes("linear")("weight", dense, "O I");
  const Tensor rows = dense.to(at::kFloat).contiguous();  // [O,I]
  return pack(BlockType::f32, static_cast<const uint8_t*>(rows.data_ptr()), rows.size(0), rows.size(1),
              [](int64_t r) { return r; });
}

Weight unpacked(const Tensor& dense) {
  Shapes("linear")("weight", dense, "O I");
  Weight weight;
  weight.outputs = dense.size(0), weight.inputs = dense.size(1), weight.dense = dense;
  return weight;
}

Weight on_device(Weight weight, at::Device device, at::ScalarType type) {
  if (device.is_cpu()) return weight;
  return unpacked(unpack(weight).to(device, type));
}

Tensor unpack(const Weight& weight) { return rows(weight, at::arange(weight.outputs, at::kLong)); }

Tensor rows(const Weight& weight, const Tensor& ids) {
  if (weight.dense.defined())
    return at::embedding(weight.dense, ids.to(weight.dense.device()));  // its gradient sorts: no two add at once
  Tensor out = at::empty({ids.size(0), weight.inputs});                 // [T,I]
  const Tensor side_by_side = ids.contiguous();                         // [T]
  const auto* id = side_by_side.data_ptr<int64_t>();
  for (int64_t t = 0; t < ids.size(0); ++t) {
    LV_CHECK(id[t] >= 0 && id[t] < weight.outputs, "[embedding] id {} is outside the vocabulary of {}", id[t], weight.outputs);
    unpack_row(weight, id[t], out.data_ptr<float>() + t * weight.inputs);
  }
  return out;
}

Tensor linear_ref(const Tensor& x, const Weight& weight) { return at::matmul(x, unpack(weight).to(x.dtype()).t()); }

Tensor linear(const Tensor& x, const Weight& weight) {
  const Weight* one = &weight;
  return linear(x, std::span(&one, 1))[0];
}

}  // namespace longview::kernels
