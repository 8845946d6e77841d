// What a training step reads, and where batches come from. Everything is made on the CPU.
#pragma once

#include "longview/base/json.h"
#include "longview/base/tensor.h"

namespace longview {

/// Tensors that are undefined say the usual thing.
struct Batch {
  Tensor ids;        // int64 [B,T]
  Tensor targets;    // int64 [B,T] the token after each; -1: not scored
  Tensor share;      // f32 [B,T] weight of a target in the loss, 0 where none is scored; sums to 1 over the targets of a
                     //   Source's loss ("text", "answers"), so each loss is a mean; undefined: the plain mean
  Tensor write;      // f32 [B,T] how often a memory writes a token (replication; shields and padding 0); undefined: once
  Tensor document;   // int64 [B,T] the text a token is of, -1 padding; a text that goes on in the next batch keeps its number;
                     //   undefined: a row is one text
  Tensor positions;  // int64 [T] where the tokens stand; undefined: 0 to T-1
  Tensor kind;       // int8 [B,T] index into Source::kinds() of a target, -1 where none is scored; undefined: all are kind 0
  bool continues = false;    // rows go on where the rows of the batch before ended (truncated backpropagation)
  bool carried = false;      // the next batch's rows go on where these end: what they carry is to be kept
  int64_t fresh_tokens = 0;  // tokens counted as read: padding is not
};

/// What a step asks for; may change from step to step (a curriculum).
struct BatchShape {
  int64_t rows = 1, length = 512;  // B, T
  int64_t segment = 0;             // N: tokens a memory writes at once; 0: there is no memory
  double replication = 1;          // R: up to how often a segment of filler counts in the memory
  std::vector<double> shares{};    // of the rows, by the sources of a mixture; empty: its own
};

/// Batches without end. What follows restore(state()) is the same to the bit, whatever machine made it.
class Source {
 public:
  virtual ~Source() = default;
  /// Throws on a shape that the source has no rows for.
  virtual Batch next(const BatchShape& shape) = 0;
  /// Where the data stands, random numbers included.
  virtual Json state() const = 0;
  /// Throws on what state() of a source with this setting did not give.
  virtual void restore(const Json& state) = 0;
  /// Sources that it is mixed from.
  virtual int64_t parts() const { return 1; }
  /// Names of the classes of targets, for accuracies.
  virtual std::vector<std::string> kinds() const { return {"text"}; }
  /// The loss that targets of a kind are a part of: "text" (all tokens), "answers", or "names" (of a named key what its name decides).
  virtual std::string loss(size_t kind) const { return kind == 0 ? "text" : "answers"; }
};

}  // namespace longview
