// How the ranks share a batch: its rows (data parallelism), and the tokens of each row between the ranks of a group (sequence parallelism).
//   rank = row part * sequence_ranks + token part
#pragma once

#include "longview/parallel/communicator.h"
#include "longview/segment/batch.h"

namespace longview {

struct Split {
  std::shared_ptr<Communicator> all, text;  // every rank; those that read the same rows
  int64_t row_parts = 1, row_part = 0;

  int64_t token_parts() const { return text->size(); }
  bool is_whole() const { return all->size() == 1; }
};

/// Throws where `sequence_ranks` does not divide the ranks. All ranks must call it.
Split split_ranks(const std::shared_ptr<Communicator>& all, int64_t sequence_ranks);

/// Throws where an attention method cannot read a text that is spread over ranks.
void check_spread(const Split& split, const std::string& attention);

/// Throws where the ranks cannot share a batch of B rows of T tokens, in segments of N tokens (0: none).
void check_split(const Split& split, int64_t B, int64_t T, int64_t N);

/// This rank's rows and tokens. Shares of the loss stay those of the whole batch, so that losses and gradients of the ranks add up to them.
/// Throws where nothing is scored.
Batch own_part(const Batch& batch, const Split& split, int64_t N);

/// Where tokens of this rank's part are in the whole batch: indices into rows one after the other, [n].
Tensor places_in_whole(const Tensor& places, int64_t B, int64_t T, const Split& split);

/// Tensors of this rank's rows -> those of all rows, on every rank; and back.
Tensor of_all_rows(const Tensor& x, const Split& split);
Tensor of_own_rows(const Tensor& x, const Split& split);

}  // namespace longview
