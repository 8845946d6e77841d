// Scales of the scores that go with any position method; they are written as values of its setting.
//   logn=clipped      max(1, log_N n)   for a model trained without it (kexue.fm/archives/8823; Qwen, arXiv:2309.16609)
//   logn=trained      log_N n           for a model trained with it;  n keys are visible to the query, N is the trained length
//   temperature=F     (0.1 ln F + 1)^2  YaRN's (arXiv:2309.00071) for a stretch by F
#pragma once

#include "longview/position/position.h"

namespace longview {

/// Takes the scales out of a setting's values.
struct Scales {
  std::string logn;
  double temperature = 0;
  /// These where they are said, else the others.
  Scales over(const Scales& other) const {
    return {logn.empty() ? other.logn : logn, temperature == 0 ? other.temperature : temperature};
  }
  bool is_empty() const { return logn.empty() && temperature == 0; }
};
Scales take_scales(Setting& setting);

/// The method with these scales on top of its own.
std::shared_ptr<const Position> scaled_by(const Scales& scales, std::shared_ptr<const Position> method);

}  // namespace longview
