// Shape checks with letters.
#include "longview/base/tensor.h"

#include <sstream>

namespace longview {

std::string shape_text(const Tensor& x) {
  std::string out = "[";
  for (int64_t i = 0; i < x.dim(); ++i) out += (i ? "," : "") + std::to_string(x.size(i));
  return out + "]";
}

Shapes& Shapes::operator()(std::string_view name, const Tensor& x, std::string_view shape) {
  std::istringstream words{std::string(shape)};
  std::vector<std::string> letters;
  for (std::string word; words >> word;) letters.push_back(word);
  bool fits = x.defined() && x.dim() == static_cast<int64_t>(letters.size());
  for (size_t i = 0; fits && i < letters.size(); ++i) {
    const int64_t size = x.size(static_cast<int64_t>(i));
    const char letter = letters[i][0];
    fits = std::isdigit(static_cast<unsigned char>(letter)) != 0 ? std::stoll(letters[i]) == size
                                                                 : sizes_.emplace(letter, size).first->second == size;
  }
  if (!fits) {
    std::string wanted, bound;
    for (const auto& letter : letters) wanted += (wanted.empty() ? "" : ",") + letter;
    for (const auto& [letter, size] : sizes_) bound += fmt::format(" {}={}", letter, size);
    fail("[{}] {} must be [{}]; got {} with{}", where_, name, wanted, x.defined() ? shape_text(x) : "nothing", bound);
  }
  return *this;
}

}  // namespace longview
