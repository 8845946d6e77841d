// What a training step reads, and the contract of where it comes from.
#pragma once

#include "longview/base/json.h"
#include "longview/base/tensor.h"

namespace longview {

struct Batch {
  Tensor ids;              // int64 [B,T]
  Tensor targets;          // int64 [B,T] the token after each; -1: not scored
  Tensor share = {};       // f32 [B,T] each target's weight in the loss; undefined: all alike, 1 in sum
  Tensor write = {};       // f32 [B,T] how often a memory writes each token; undefined: once
  Tensor document = {};    // int64 [B,T] a text's number where a row has several, -1 padding; undefined: one a row
  Tensor positions = {};   // int64 [T] where tokens stand; undefined: 0 to T-1
  Tensor kind = {};        // int64 [B,T] class of each scored target; undefined: none
  bool continues = false;  // rows go on where those of the batch before ended
};

struct BatchShape {
  int64_t rows = 1, length = 512;  // B, T
  int64_t repeats = 1;             // most often that a segment of filler counts as written
  int64_t segment = 0;             // of the model's memory; 0: it has none
};

class Source {
 public:
  virtual ~Source() = default;
  virtual Batch next(const BatchShape& shape) = 0;
  /// Names of the classes of targets, and which of them show whether the task is learnt.
  virtual std::vector<std::string> kinds() const { return {}; }
  virtual std::vector<int64_t> steering() const { return {}; }
  /// Position in the data and of the random numbers: after restore() the same batches follow.
  virtual Json state() const = 0;
  virtual void restore(const Json& state) = 0;
};

}  // namespace longview
