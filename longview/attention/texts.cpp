#include "longview/attention/texts.h"

namespace longview {

std::vector<TextSpan> text_spans(const Tensor& document) {
  Shapes("texts")("document", document, "B T");
  const Tensor numbers = document.to(at::kLong).contiguous();
  const int64_t B = numbers.size(0), T = numbers.size(1);
  const int64_t* number = numbers.data_ptr<int64_t>();
  std::vector<TextSpan> out;
  for (int64_t row = 0; row < B; ++row, number += T)
    for (int64_t first = 0, end = 0; first < T; first = end) {
      for (end = first + 1; end < T && number[end] == number[first];) ++end;
      if (number[first] >= 0) out.push_back({row, first, end - first});
    }
  return out;
}

Tensor attended_texts(const Attention& attention, const Qkv& x, const Position& position, const Segment& segment) {
  LV_CHECK(segment.first == 0 && !segment.write.defined(), "[texts] rows of several texts begin at 0 and have no weights");
  const int64_t B = x.q.size(0), T = x.q.size(2);
  const auto nothing = [&](int64_t count) {
    return at::zeros({1, x.q.size(1), count, x.q.size(3)}, x.q.options().requires_grad(false));
  };
  std::vector<Tensor> rows;
  auto text = segment.texts.begin();
  for (int64_t row = 0; row < B; ++row) {
    std::vector<Tensor> parts;
    int64_t at = 0;
    for (; text != segment.texts.end() && text->row == row; ++text) {
      const auto cut = [&](const Tensor& y) { return y.narrow(0, row, 1).narrow(2, text->first, text->count); };
      const Segment alone{segment.ids.narrow(0, row, 1).narrow(1, text->first, text->count)};
      if (text->first > at) parts.push_back(nothing(text->first - at));
      parts.push_back(attention.attend({cut(x.q), cut(x.k), cut(x.v), x.gate}, position, alone, {}).out);  // [1,H,count,D]
      at = text->first + text->count;
    }
    if (at < T) parts.push_back(nothing(T - at));
    rows.push_back(at::cat(parts, 2));  // [1,H,T,D]
  }
  return at::cat(rows);  // [B,H,T,D]
}

}  // namespace longview
