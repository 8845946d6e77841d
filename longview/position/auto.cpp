// Choice by length: a query inside the trained length N sees true distances, so there the model is its own to the bit; a later one
// sees Leaky ReRoPE (kexue.fm/archives/9708) with window N/2 and the smallest factor of 8, 16, 32, ... that keeps its farthest key
// within N. Possible because keys are kept un-rotated.
#include "longview/position/methods.h"

namespace longview {
namespace {

struct AutoConfig {
  void fields(auto&&) {}
};

struct Auto final : Distances {
  Auto(AutoConfig, const Rotary& rotary) : Distances(rotary), N(rotary.trained_length), w(std::max<int64_t>(N / 2, 1)) {}

  /// Queries from here on need a factor larger than k.
  int64_t reach(double k) const { return static_cast<int64_t>(static_cast<double>(w) + k * static_cast<double>(N - w)); }
  double factor(int64_t i) const {
    double k = kFirst;
    while (k < kLast && i >= reach(k)) k *= 2;
    return k;
  }

  Tensor distance(const Tensor& i, const Tensor& j) const override {
    Tensor k = at::empty({i.size(0), 1}, at::kDouble);  // [Tq,1]
    for (int64_t t = 0; t < i.size(0); ++t) k[t][0] = i[t].item<int64_t>() < N ? 1.0 : factor(i[t].item<int64_t>());
    const Tensor d = Position::distance(i, j), window = at::full({}, static_cast<double>(w), at::kDouble);  // [Tq,Tk]
    return at::where((d < window).logical_or(k == 1), d, window + (d - window) / k);                        // [Tq,Tk]
  }

  Pieces pieces() const override {
    std::vector<Piece> out;
    for (double k = kFirst; k <= kLast; k *= 2) {
      const int64_t begin = k == kFirst ? N : std::max(N, reach(k / 2)), end = k == kLast ? INT64_MAX : reach(k);
      out.push_back({[begin, end, w = w](int64_t i) {
                       return std::pair(int64_t{0}, i >= begin && i < end ? std::max<int64_t>(i - w + 1, 0) : 0);
                     },
                     Place([w = w, k](int64_t i) { return static_cast<double>(w) + static_cast<double>(i - w) / k; }),
                     Place([k](int64_t j) { return static_cast<double>(j) / k; })});
    }
    out.push_back(
        {[N = N, w = w](int64_t i) { return std::pair(i < N ? int64_t{0} : std::max<int64_t>(i - w + 1, 0), i + 1); }, {}, {}});
    return out;
  }

  std::string anchor() const override { return "it counts tokens from the start of the text"; }

  std::string choice(int64_t tokens) const override {
    std::string out = fmt::format("the model's own distances for the first {} tokens", N);
    for (double k = kFirst; k <= kLast && tokens > N; k *= 2) {
      const int64_t begin = k == kFirst ? N : reach(k / 2);
      if (begin < tokens && begin >= N) out += fmt::format(", leaky_rerope:window={},factor={} from {} on", w, k, begin);
    }
    return out;
  }

  static constexpr double kFirst = 8, kLast = 8 << 12;
  int64_t N, w;
};

}  // namespace

std::shared_ptr<const Position> make_auto(const Setting& setting, const Rotary& rotary) {
  return made<Auto>("auto", with_values(AutoConfig{}, setting), rotary);
}

}  // namespace longview
