// Su's two columns (kexue.fm/archives/9603 and after): a text that repeats itself, where whoever sees far enough can copy, and one that
// does not, where far sight only helps as far as it does in real text.
#pragma once

#include "longview/infer/session.h"

namespace longview {

struct Accuracy {
  double first = 0;  // share of right next tokens (top 1) at positions before `from`
  double rest = 0;   // at positions from `from` on
  double rest_nll = 0;
};

/// Reads ids and scores the most likely next token. A token that repeats is scored like any other.
Accuracy next_token_accuracy(const Transformer& model, const Method& method, std::span<const Id> ids, int64_t from, int64_t chunk,
                             const std::function<bool(int64_t)>& progress = {});

/// The first `period` ids again and again, `length` in all.
std::vector<Id> repeated(std::span<const Id> ids, int64_t period, int64_t length);

}  // namespace longview
