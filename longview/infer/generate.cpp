// Generation: sample, show what is certain, read the token, repeat.
#include "longview/infer/generate.h"

#include <algorithm>
#include <chrono>

namespace longview {
namespace {

/// Text made so far, of which only what is certain is shown.
class Output {
 public:
  Output(const std::vector<std::string>& stops, const std::function<bool(std::string_view)>& write)
      : stops_(stops), write_(write) {}

  /// Adds a token's bytes; true when a stop text is complete.
  bool add(const std::string& bytes) {
    text_ += bytes;
    size_t first = std::string::npos;
    for (const auto& stop : stops_) {
      const size_t from = shown_ > stop.size() ? shown_ - stop.size() : 0;
      first = std::min(first, text_.find(stop, from));
    }
    if (first != std::string::npos) text_.resize(std::max(first, shown_));
    return first != std::string::npos;
  }

  /// Shows up to what may still change; false when the reader of the text wants no more.
  bool show(bool is_end) {
    const size_t certain = is_end ? text_.size() - unfinished() : text_.size() - std::max(unfinished(), begun());
    if (certain <= shown_) return true;
    const size_t from = shown_;
    shown_ = certain;
    return write_(std::string_view(text_).substr(from, certain - from));
  }

  /// All that was shown.
  std::string take() {
    text_.resize(shown_);
    return std::move(text_);
  }

 private:
  /// Bytes at the end that may begin a stop text.
  size_t begun() const {
    size_t most = 0;
    for (const auto& stop : stops_)
      for (size_t n = std::min(stop.size() - 1, text_.size()); n > most; --n)
        if (std::string_view(text_).substr(text_.size() - n) == std::string_view(stop).substr(0, n)) most = n;
    return most;
  }

  /// Bytes at the end that begin a UTF-8 character and are not all of it.
  size_t unfinished() const {
    for (size_t n = 1; n <= std::min<size_t>(3, text_.size() - shown_); ++n) {
      const auto byte = static_cast<unsigned char>(text_[text_.size() - n]);
      if ((byte & 0xC0) == 0x80) continue;
      const size_t length = byte >= 0xF8 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
      return length > n ? n : 0;
    }
    return 0;
  }

  const std::vector<std::string>& stops_;
  const std::function<bool(std::string_view)>& write_;
  std::string text_;
  size_t shown_ = 0;
};

struct OneText final : Continuation {
  OneText(const Transformer& model, const Method& method, Session& session) : model_(model), method_(method), session_(session) {}
  Tensor logits() override { return next_logits(model_, session_); }
  void hear(Id id) override { feed(model_, method_, std::span(&id, 1), 1, session_); }
  std::span<const Id> recent() const override { return session_.recent; }

 private:
  const Transformer& model_;
  const Method& method_;
  Session& session_;
};

}  // namespace

Generated generate(const Transformer& model, const Method& method, const Tokenizer& tokenizer, const GenerateOptions& options,
                   Session& session, const std::function<bool(std::string_view)>& write) {
  OneText text(model, method, session);
  return generate(text, tokenizer, options, write);
}

Generated generate(Continuation& text, const Tokenizer& tokenizer, const GenerateOptions& options,
                   const std::function<bool(std::string_view)>& write) {
  LV_CHECK(options.most >= -1, "[generate] the number of tokens must be -1 or more; got {}", options.most);
  for (const auto& stop : options.stops) LV_CHECK(!stop.empty(), "[generate] a stop text must not be empty");
  const auto start = std::chrono::steady_clock::now();
  Sampler sampler(options.sample);
  Output output(options.stops, write);
  Generated out;
  const auto& ends = tokenizer.spec().stops;
  while (out.end.empty()) {
    if (options.most >= 0 && static_cast<int64_t>(out.ids.size()) >= options.most) {
      out.end = "length";
      break;
    }
    if (!out.ids.empty()) text.hear(out.ids.back());
    const Id id = sampler.next(text.logits(), text.recent());
    out.ids.push_back(id);
    if (!options.ignore_end && std::find(ends.begin(), ends.end(), id) != ends.end()) out.end = "token";
    else if (output.add(tokenizer.bytes(id))) out.end = "stop";
    if (!output.show(!out.end.empty())) out.end = "interrupted";
  }
  if (out.end != "interrupted") output.show(true);
  out.text = output.take();
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace longview
