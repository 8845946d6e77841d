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

Tensor each_text(const std::vector<TextSpan>& texts, int64_t B, int64_t T, int64_t dim,
                 const std::function<Tensor(const TextSpan&)>& read) {
  std::vector<Tensor> made, rows;
  for (const auto& text : texts) made.push_back(read(text));
  const auto nothing = [&](int64_t count) {
    auto sizes = made.front().sizes().vec();
    sizes[static_cast<size_t>(dim)] = count;
    return made.front().new_zeros(sizes);
  };
  size_t n = 0;
  for (int64_t row = 0; row < B; ++row) {
    std::vector<Tensor> parts;
    int64_t at = 0;
    for (; n < texts.size() && texts[n].row == row; ++n) {
      if (texts[n].first > at) parts.push_back(nothing(texts[n].first - at));
      parts.push_back(made[n]);
      at = texts[n].first + texts[n].count;
    }
    if (at < T) parts.push_back(nothing(T - at));
    rows.push_back(at::cat(parts, dim));
  }
  return at::cat(rows);
}

Tensor attended_texts(const Attention& attention, const Qkv& x, const Position& position, const Segment& segment) {
  LV_CHECK(segment.first == 0 && !segment.write.defined(), "[texts] rows of several texts begin at 0 and have no weights");
  return each_text(segment.texts, x.q.size(0), x.q.size(2), 2, [&](const TextSpan& text) {
    const auto cut = [&](const Tensor& y) { return y.narrow(0, text.row, 1).narrow(2, text.first, text.count); };
    const Segment alone{segment.ids.narrow(0, text.row, 1).narrow(1, text.first, text.count)};
    return attention.attend({cut(x.q), cut(x.k), cut(x.v), x.gate}, position, alone, {}).out;  // [1,H,count,D]
  });                                                                                          // [B,H,T,D]
}

}  // namespace longview
