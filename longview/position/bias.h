// Methods that turn nothing: the scores are plain products of queries and keys, with a bias added or not.
//   score(i,j) = scale_i <q_i, k_j> + bias_h(i,j)
#pragma once

#include "longview/position/position.h"

namespace longview {

struct Unrotated : Position {
  using Position::Position;
  Tensor theta(int64_t) const override { return at::empty({0}, at::kDouble); }  // [0]
  bool is_trained_in() const override { return true; }
  /// One piece of every key, biased as bias() says.
  Pieces pieces() const override;
};

/// A bias by the distance alone: it is made once for each distance and then spread over queries and keys.
struct DistanceBias : Unrotated {
  using Unrotated::Unrotated;
  /// f64 [n], from 0 up -> f64 [H,n] on the same device.
  virtual Tensor of_distance(const Tensor& distance) const = 0;
  Tensor bias(const Tensor& i, const Tensor& j) const override;
  Pieces pieces() const override;
};

}  // namespace longview
