// The values that cross folders, and the steps between them, on one screen:
//
//   Document --tokenizer--> ids --cut--> Segment --+--> Transformer::forward --> Hidden --head--> logits --> losses, next token
//                                                  |          |
//                                   ModelState ----+----------+   (in by argument, out by return)
//
//   text/corpus.h      Document           a text and where it came from
//   segment/segment.h  Segment            ids [B,T] and the position of the first
//   here               State, ModelState  what a layer, a model carries from segment to segment
//   model/transformer  Hidden             [B,T,E] before the output layer, so that logits are made only where they are needed
#pragma once

#include "longview/base/tensor.h"

namespace longview {

class Communicator;  // parallel/communicator.h

/// Tokens [first, first + count) of a row.
struct TextSpan {
  int64_t row = 0, first = 0, count = 0;
};

/// Ids that a model reads in one call, and where in their text they begin.
struct Segment {
  Tensor ids;            // int64 [B,T]
  int64_t first = 0;     // position of ids[:,0]
  Tensor write = {};     // f32 [B,T] how often a memory writes each token, in training; undefined: once
  Tensor document = {};  // int64 [B,T] a text's number where a row has several, -1 padding, in training; undefined: one a row
  std::vector<TextSpan> texts = {};  // the same for methods that do not know `document`: each text is attended to alone
  Tensor positions = {};   // int64 [T] (CPU), rising: where the tokens stand, for full attention in training; undefined: from first
  bool only_last = false;  // only the last token of what the model gives is wanted: others may be left out, the state never
  /// Other processes read the rest of the text, in the order of their ranks, T tokens each; `first` is then of rank 0's ids. Null: none.
  Communicator* spread = nullptr;
};

/// What one layer carries from segment to segment: named tensors and how many tokens it has seen. A value: copying it forks the
/// text, since nothing that is shared is ever written (attention/kv.h); its tensors are all there is to count, save and restore.
struct State {
  int64_t seen = 0;
  std::map<std::string, Tensor> tensors;

  int64_t bytes() const {
    int64_t sum = 0;
    for (const auto& [name, tensor] : tensors) sum += tensor.numel() * tensor.element_size();
    return sum;
  }
};

/// The states of all layers.
struct ModelState {
  std::vector<State> layers;

  int64_t seen() const { return layers.empty() ? 0 : layers.front().seen; }
  int64_t bytes() const {
    int64_t sum = 0;
    for (const auto& layer : layers) sum += layer.bytes();
    return sum;
  }
};

}  // namespace longview
