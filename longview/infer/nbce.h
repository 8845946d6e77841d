// Naive Bayes-based context extension (kexue.fm/archives/9617, 9632, 9648): contexts read independently, joined at the output.
//   log p(t|S_1..S_n) = (1 + beta) pool_k log p(t|S_k) - beta log p(t) + const
#pragma once

#include "longview/infer/generate.h"

namespace longview {

struct NbceOptions {
  /// entropy: the context that is surest of the next token (9632). mean, max: of all contexts (9617). sum: not pooled, the naive
  /// Bayes of the derivation, sum_k log p(t|S_k) - (n-1) log p(t), where beta has no say.
  std::string pooling = "entropy";
  double beta = 0.25, eta = 0.1, top_p = 0.95, tau = 0.01;
  void fields(auto&& field) {
    field("beta", beta, "how much of what the model would say without a context is taken away");
    field("eta", eta, "nats of entropy that favour the context chosen for the token before");
    field("top_p", top_p, "of every context only the likeliest tokens that together have this probability count");
    field("tau", tau, "temperature of sampling");
  }
};

/// "entropy:beta=0.25,eta=0.1"; "" is the default. Throws on unknown names and on values out of range.
NbceOptions parse_nbce(std::string_view setting);

struct Pooled {
  Tensor logits;                // f64 [V]: log-probabilities up to a constant; at most -1e30 where no context allows the token
  int64_t context = 0;          // 0 to n-1: the one of the lowest entropy, which is the one that answers under entropy pooling
  std::vector<double> entropy;  // [n] nats, of what top_p left, before eta
};

/// One step: logits [n+1,V], row 0 of the prompt without a context; `before` is the context of the token before, -1 at the first.
Pooled pool(const Tensor& logits, int64_t before, const NbceOptions& options);

/// A prompt that is answered from several contexts.
class Contexts final : public Continuation {
 public:
  /// sessions[0] has read the prompt, each of the others a context and the prompt.
  Contexts(const Transformer& model, const Method& method, NbceOptions options, std::vector<Session> sessions);
  Tensor logits() override;
  void hear(Id id) override;
  std::span<const Id> recent() const override { return sessions_.front().recent; }

  struct Choice {
    int64_t context = 0;
    double entropy = 0;
  };
  /// Which context answered each token.
  const std::vector<Choice>& choices() const { return choices_; }
  std::span<const Session> sessions() const { return sessions_; }

 private:
  const Transformer& model_;
  const Method& method_;
  NbceOptions options_;
  std::vector<Session> sessions_;
  std::vector<Choice> choices_;
};

}  // namespace longview
