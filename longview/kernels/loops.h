// The inner loops, on raw memory, once for each instruction set: what attention_cpu, linear_cpu, memory_cpu and elementwise call.
#pragma once

#include <cstdint>

namespace longview::kernels {

constexpr int64_t kTileRows = 64;    // query rows of an attention tile: the lanes of its panels
constexpr int64_t kTileKeys = 64;    // keys of an attention tile, at most
constexpr int64_t kPanel = 64;       // outputs of a weight's panel
constexpr int64_t kHalfPanel = 32;   // what few rows are multiplied by at a time
constexpr int64_t kMemoryRows = 64;  // rows that read a compressive memory at a time, at most

constexpr int64_t kLeastWork = 1 << 16;  // multiplications worth a thread of their own

struct alignas(64) CacheLine {  // what aligned buffers are made of
  float at[16];
};

/// Keys of one head, not rotated: key j at k + j * stride_k; cos and sin rows of `pairs`.
struct HeadKeys {
  const float *k, *cos, *sin;
  int64_t stride_k, pairs, width;
};

/// Running softmax of 64 rows: weighted values [D,64], largest score [64], sum of weights [64].
struct SoftmaxSums {
  float *values, *maximum, *total;
};

/// Adds up to 64 keys to the running softmax of 64 rows.
struct AttentionTile {
  const float* q;      // [D,64] rotated and scaled queries
  const float *k, *v;  // [keys,D] rotated keys; value j at v + j * stride_v
  int64_t keys, first, width, stride_v;
  const int32_t *from, *to;  // [64]: row r sees the keys from[r] <= first + j < to[r]
  bool is_masked;            // some row does not see some key
  int64_t rows;              // how many of the 64 rows are there: the rest is not computed
  SoftmaxSums sums;
  float* scores;                            // scratch [max(64,D),64]
  const void *q_tiles, *k_tiles, *v_tiles;  // packed operands (pack_columns, pack_rows, pack_transposed), or null
};

enum class WeightForm : uint8_t { real32, real16, brain16, codes8, codes4 };

/// One panel of 64 outputs of a weight (linear.h), and the rows of x it is multiplied with.
struct PanelProduct {
  WeightForm form;
  int64_t inputs, group;  // group: inputs that share a scale, 0 where there are no codes
  const uint8_t* data;
  const float *scales, *minimums;   // [inputs/group,64]
  const float *x, *bias;            // x [rows,inputs]; bias of the panel or null
  float* y;                         // [rows, outputs of the weight], at the panel's first output
  int64_t rows, ldx, ldy, outputs;  // outputs: how many of the panel's 64 exist
  float* expanded;                  // scratch for many rows, of all panels of a call: inputs x 64 (packed: 576 x 64 each)
  int half;                         // few rows: 0 or 1, which 32 outputs; many rows: -1
  const void* x_tiles;              // x as pack_rows makes it, or null
};

/// Reads a compressive memory (memory.h) for rows of one head: out = sigma(q) M / sigma(q) z, or local + gate (that - local).
struct MemoryRead {
  const float *features, *numerator;  // [rows,width]: sigma(q), and what M is read with
  const float *M, *z;                 // [width,columns] [width]
  int64_t rows, width, columns;       // rows: at most kMemoryRows; the other two multiples of 16
  const float* local;                 // null: none. Row r at local + r * stride, and of out alike
  float* out;                         // may be local
  int64_t stride;
  float gate;
};

/// Adds what `tokens` tokens write to the sums of one head: M += sigma(K)^T V, z += sum fresh sigma(k).
struct MemoryWrite {
  const float* features;           // [tokens,width]: sigma(k)
  const float *v, *fresh;          // value t at v + t * stride; fresh [tokens] or null: 1 each
  int64_t tokens, width, columns;  // these two multiples of 16
  int64_t stride;
  float *M, *z;  // [width,columns] [width]
};

/// Operands of matrix tiles, for loops that have them: three bf16 for each f32, padded to blocks of 16 by 32.
struct Packing {
  void (*rows)(const float* x, int64_t rows, int64_t inputs, int64_t ldx, void* out);
  void (*columns)(const float* panel, int64_t inputs, void* out);                                         // [inputs,64]
  void (*transposed)(const float* v, int64_t begin, int64_t end, int64_t width, int64_t ldv, void* out);  // keys [begin,end) of 64
};
constexpr int64_t kPieceInputs = 576;  // inputs of a weight that are expanded to tiles at a time, at most
/// Bytes of an operand [rows, inputs].
constexpr int64_t packed_bytes(int64_t rows, int64_t inputs) { return (rows + 15) / 16 * 16 * ((inputs + 31) / 32 * 32) * 6; }

struct Loops {
  void (*rotate_keys)(const HeadKeys&, int64_t first, int64_t count, float* out);  // [count,D]
  void (*attend)(const AttentionTile&);
  void (*multiply)(const PanelProduct* panels, int64_t count);  // of one weight, the same rows of x
  void (*norm_row)(const float* x, const float* weight, int64_t E, float epsilon, float* out);
  void (*gate_row)(float* gate, const float* up, int64_t F);
  double (*log_sum_exp)(const float* x, int64_t V);
  void (*elu1)(const float* x, int64_t D, float* out);  // elu(x) + 1; D: a multiple of 16
  void (*memory_read)(const MemoryRead&);
  void (*memory_write)(const MemoryWrite&);
  const Packing* packing = nullptr;
};

/// The loops for this machine: the widest of amx, avx512, avx2 and baseline it has (LONGVIEW_ISA lowers it).
const Loops& loops();

const Loops& loops_baseline();
const Loops& loops_avx2();
const Loops& loops_avx512();
const Loops& loops_amx();

}  // namespace longview::kernels
