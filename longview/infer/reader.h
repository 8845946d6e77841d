// Streaming a text through a model in bounded memory, with the loss by position.
#pragma once

#include "longview/infer/session.h"
#include "longview/report/curve.h"
#include "longview/segment/contiguous.h"

namespace longview {

struct ReadOptions {
  int64_t chunk = 512;         // tokens a segment
  std::vector<int64_t> edges;  // bucket i is [edges[i], edges[i+1]), the last has no end; empty: default_edges
  int64_t period = 0;          // tokens, a memory's segment perhaps, by whose offsets the losses are summed too; 0: they are not
  /// Called after every segment: tokens read so far and their mean loss in the last segment. false: stop reading.
  std::function<bool(int64_t tokens, double nll)> progress;
};

struct ReadResult {
  int64_t tokens = 0;     // read, from this text
  int64_t predicted = 0;  // scored: the first token of a text has no prediction
  double nll = 0;         // mean, nats a predicted token
  std::vector<LossBucket> buckets;
  std::vector<LossBucket> offsets;  // by position modulo the period: [0,8) [8,16) [16,32) [32,64) ...; seconds are not measured
  double seconds = 0;
  bool is_interrupted = false;
};

/// Buckets that grow with the position: eighths of the trained length up to it, then each half or whole doubling after it.
std::vector<int64_t> default_edges(int64_t trained_length);

class Reader {
 public:
  /// Begins where `session` stands; it must outlive the reader.
  Reader(const Transformer& model, const Method& method, ReadOptions options, Session& session);
  /// Ids in order, any number at a time. Returns false once reading was stopped: further ids are ignored.
  bool read(std::span<const Id> ids);
  /// Reads the tail that filled no segment and gives the result.
  ReadResult finish();

 private:
  void take(const Segment& segment);
  /// Adds the losses of `targets` [T] at positions from `first` on, predicted by hidden [T,E].
  double score(const Tensor& hidden, const Tensor& targets, int64_t first);

  const Transformer& model_;
  Method method_;
  ReadOptions options_;
  Session& session_;
  Contiguous cut_;
  ReadResult result_;
  double sum_ = 0;
  Tensor logits_;  // memory of the last block of logits
};

}  // namespace longview
