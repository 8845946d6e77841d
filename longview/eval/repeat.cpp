#include "longview/eval/repeat.h"

#include "longview/kernels/elementwise.h"
#include "longview/segment/contiguous.h"

namespace longview {

std::vector<Id> repeated(std::span<const Id> ids, int64_t period, int64_t length) {
  LV_CHECK(period >= 1 && period <= static_cast<int64_t>(ids.size()),
           "[eval] the period must be from 1 to the text's {} tokens; got {}", ids.size(), period);
  std::vector<Id> out;
  for (int64_t n = 0; n < length; ++n) out.push_back(ids[static_cast<size_t>(n % period)]);
  return out;
}

Accuracy next_token_accuracy(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t from, int64_t chunk,
                             const std::function<bool(int64_t)>& progress) {
  constexpr int64_t kRows = 128;  // of logits at a time
  Session session;
  Accuracy out;
  int64_t first = 0, rest = 0;
  bool is_stopped = false;
  Contiguous cut(chunk, 0, [&](const Segment& segment) {
    if (is_stopped) return;
    const Tensor hidden = advance(model, method, segment, session);  // [T,E]
    for (int64_t row = 0; row < hidden.size(0); row += kRows) {
      const int64_t at = segment.first + row + 1;  // position of the first target
      const int64_t count = std::min({kRows, hidden.size(0) - row, static_cast<int64_t>(ids.size()) - at});
      if (count <= 0) break;
      std::vector<int64_t> wanted(ids.begin() + at, ids.begin() + at + count);
      const Tensor logits = model.logits(hidden.narrow(0, row, count)), targets = at::tensor(wanted, at::kLong);  // [rows,V] [rows]
      const Tensor right = logits.argmax(-1).cpu() == targets, losses = kernels::nll(logits, targets);            // [rows]
      for (int64_t n = 0; n < count; ++n) {
        const bool is_rest = at + n >= from, is_right = right.data_ptr<bool>()[n];
        (is_rest ? rest : first) += 1;
        (is_rest ? out.rest : out.first) += is_right ? 1 : 0;
        if (is_rest) out.rest_nll += losses.data_ptr<double>()[n];
      }
    }
    if (progress && !progress(segment.first + hidden.size(0))) is_stopped = true;
  });
  cut.add(ids);
  cut.finish();
  if (first > 0) out.first /= static_cast<double>(first);
  if (rest > 0) out.rest /= static_cast<double>(rest), out.rest_nll /= static_cast<double>(rest);
  return out;
}

}  // namespace longview
