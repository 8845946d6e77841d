// How much filler a memory bears before it loses a key: docs/results/passkey.md. The filler is read once; then its memory is multiplied, which for the
// linear rule is the memory of a text that is as many times longer (to what upper layers make of it), with no rounding added; then a key is hidden and
// asked for. What is lost here is lost to the filler's share of a read; what a text that long loses beyond it is rounding, or what repetition hides.
//   longview_bench_capacity MODEL [--filler FILE...] [--length 1048576] [--times 1,10,100] [--trials 50] [--needles 1] [--wordings one] [--device cpu]
// JSON lines: tokens of filler that the memory holds, keys found of those asked, tokens right, nats a token.
#include <CLI/CLI.hpp>

#include "longview/base/device.h"
#include "longview/base/json.h"
#include "longview/eval/needle.h"
#include "longview/longview.h"

namespace longview {
namespace {

struct Options {
  std::string model, wordings = "one", device = "auto";
  std::vector<std::string> filler;
  std::vector<double> times{1, 2, 5, 10, 20, 50, 100};
  int64_t length = 1 << 20, trials = 50, needles = 1, chunk = 2048;
};

constexpr int64_t kPrompt = 2048;  // tokens: introduction, more filler, needles and question

std::vector<Id> filler_of(const Options& o, const Tokenizer& tokenizer) {
  std::vector<Id> out;
  for (const auto& file : o.filler) {
    const auto ids = tokenizer.encode(read_text(file));
    out.insert(out.end(), ids.begin(), ids.end());
  }
  const auto sentences = tokenizer.encode(kLoopFiller);
  for (size_t i = 0; o.filler.empty() && static_cast<int64_t>(out.size()) < o.length; ++i)
    out.push_back(sentences[i % sentences.size()]);
  LV_CHECK(static_cast<int64_t>(out.size()) >= o.length, "[capacity] the filler has {} tokens; {} are asked for", out.size(),
           o.length);
  out.resize(static_cast<size_t>(o.length));
  return out;
}

ModelState multiplied(ModelState state, double times) {
  for (auto& layer : state.layers)
    for (const char* name : {"M", "z"})
      if (const auto found = layer.tensors.find(name); found != layer.tensors.end()) found->second = found->second * times;
  return state;
}

void run(const Options& o) {
  prepare_process();
  const at::Device device = open_device(o.device);
  const auto checkpoint = open_checkpoint(o.model);
  const auto tokenizer = make_tokenizer(checkpoint.tokenizer);
  const Transformer model(checkpoint, device);
  const Method method = model.method("", "");
  const Setting setting = parse_setting(method.attention->setting);
  LV_CHECK(setting.name.starts_with("infini") && setting.values.at("rule") == "linear",
           "[capacity] a memory that is multiplied needs infini with the linear rule; this model has {}",
           method.attention->setting);
  const int64_t N = std::stoll(setting.values.at("segment"));
  LV_CHECK(o.length % N == 0, "[capacity] the filler must be whole segments of {} tokens; got {}", N, o.length);
  Session read;
  feed(model, method, filler_of(o, *tokenizer), o.chunk, read);
  for (const double times : o.times) {
    int64_t found = 0, right = 0, tokens = 0;
    double nll = 0;
    for (int64_t trial = 0; trial < o.trials; ++trial) {
      const auto prompt =
          passkey_prompt({.length = kPrompt,
                          .depth = static_cast<double>(trial) / static_cast<double>(std::max<int64_t>(o.trials, 2)) / 2,
                          .wordings = o.wordings,
                          .needles = o.needles,
                          .seed = static_cast<uint64_t>(trial)},
                         *tokenizer);
      Session session = read;
      session.state = multiplied(session.state, times);
      feed(model, method, std::span(prompt.ids).first(static_cast<size_t>(prompt.answer_begin)), o.chunk, session);
      const KeyAnswer answer = answer_of(model, method, *tokenizer, prompt, std::move(session));
      found += answer.is_exact ? 1 : 0, right += answer.right, tokens += answer.tokens;
      nll += answer.nll / static_cast<double>(o.trials);
    }
    const auto [low, high] = wilson(found, o.trials);
    const Json line = {{"tokens", static_cast<double>(o.length) * times},
                       {"times", times},
                       {"exact", found},
                       {"tried", o.trials},
                       {"low", low},
                       {"high", high},
                       {"token_accuracy", static_cast<double>(right) / static_cast<double>(tokens)},
                       {"nll", nll}};
    std::puts(line.dump().c_str());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace longview

int main(int count, char** words) {
  longview::Options o;
  CLI::App app("How much filler a memory bears before it loses a key; JSON lines");
  app.add_option("model", o.model)->required();
  app.add_option("--filler", o.filler);
  app.add_option("--length", o.length);
  app.add_option("--times", o.times)->delimiter(',');
  app.add_option("--trials", o.trials);
  app.add_option("--needles", o.needles);
  app.add_option("--wordings", o.wordings);
  app.add_option("--chunk", o.chunk);
  app.add_option("--device", o.device);
  CLI11_PARSE(app, count, words);
  try {
    longview::run(o);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
