#include "tools/reading.h"

#include "longview/base/text_format.h"

namespace longview::tools {
namespace {

struct EnoughTokens {};

std::string remembers(const Method& method) {
  const Setting setting = parse_setting(method.attention->setting);
  const auto memory = setting.values.find("memory");
  if (memory != setting.values.end() && memory->second == "off") return "what is in view only: the memory is off";
  return std::string(find(attentions(), "attention", setting.name).remembers);
}

/// Resident memory after a tenth of the text and at its end: whether reading takes more the longer the text is.
struct ResidentTrace {
  int64_t tenth = 0, end = 0;  // bytes
};

Json json_of(const ReadResult& result, const ReadRun& run, const ResidentTrace& memory, const std::string& book,
             const Method& method, const ModelConfig& config) {
  const bool is_scored = result.predicted > 0;  // one token alone predicts nothing
  Json buckets = Json::array();
  for (const auto& bucket : result.buckets)
    buckets.push_back(
        {{"from", bucket.from}, {"to", bucket.to}, {"tokens", bucket.tokens}, {"nll", bucket.nll}, {"seconds", bucket.seconds}});
  Json offsets = Json::array();
  for (const auto& part : result.offsets)
    offsets.push_back({{"from", part.from}, {"to", part.to}, {"tokens", part.tokens}, {"nll", part.nll}});
  return {{"book", book},
          {"model", config.name},
          {"trained_length", config.trained_length},
          {"position", method.position->setting},
          {"attention", method.attention->setting},
          {"tokens", result.tokens},
          {"nll", is_scored ? Json(result.nll) : Json()},
          {"perplexity", is_scored ? Json(std::exp(result.nll)) : Json()},
          {"buckets", buckets},
          {"offsets", offsets},
          {"tokens_per_second", run.tokens_per_second},
          {"seconds", run.seconds},
          {"state_bytes", run.state_bytes},
          {"rss_peak_bytes", run.rss_peak_bytes},
          {"rss_tenth_bytes", memory.tenth},
          {"rss_end_bytes", memory.end},
          {"interrupted", result.is_interrupted}};
}

ReadRun run_of(const ReadResult& result, const Method& method, const Session& session) {
  ReadRun run;
  run.label = method_label(method);
  run.buckets = result.buckets, run.offsets = result.offsets;
  run.tokens = result.tokens;
  run.seconds = result.seconds;
  run.tokens_per_second = result.seconds > 0 ? static_cast<double>(result.tokens) / result.seconds : 0;
  run.state_bytes = session.state.bytes();
  run.rss_peak_bytes = rss_peak_bytes();
  run.note = "Remembers " + remembers(method) + ".";
  return run;
}

}  // namespace

Text tokenize(const std::vector<Document>& documents, const Tokenizer& tokenizer, int64_t most) {
  Text out;
  const auto limit = most > 0 ? static_cast<size_t>(most) : SIZE_MAX;
  if (tokenizer.spec().add_bos && tokenizer.spec().bos >= 0) out.ids.push_back(tokenizer.spec().bos);
  for (const auto& document : documents) {
    out.name += (out.name.empty() ? "" : " + ") + document.name();
    try {
      tokenizer.encode(document.text(), Specials::plain, [&](std::span<const Id> ids) {
        out.ids.insert(out.ids.end(), ids.begin(), ids.end());
        if (out.ids.size() >= limit) throw EnoughTokens{};
      });
    } catch (const EnoughTokens&) {
    }
    document.release_before(document.text().size());
  }
  if (out.ids.size() > limit) out.ids.resize(limit);
  LV_CHECK(!out.ids.empty(), "[read] {} has no tokens", out.name);
  return out;
}

Method parse_method(const Transformer& model, const std::string& text, const std::string& attention_otherwise) {
  if (text == "own") return model.method("", "");
  std::string position, attention;
  bool is_hybrid = false;  // of both kinds: the attention that goes with the position
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('+', begin), text.size());
    const std::string part = text.substr(begin, end - begin), name = parse_setting(part).name;
    const auto is_of = [&](const std::vector<std::string>& known) {
      return std::find(known.begin(), known.end(), name) != known.end();
    };
    is_hybrid = is_hybrid || (is_of(names(attentions())) && is_of(names(positions())));
    std::string& side = is_of(names(attentions())) && !is_of(names(positions())) ? attention : position;
    LV_CHECK(side.empty(), "[method] '{}' names two methods of one kind: {} and {}", text, side, part);
    side = part;
    begin = end + 1;
  }
  return model.method(position, attention.empty() && !is_hybrid ? attention_otherwise : attention);
}

std::vector<std::string> split_methods(const std::string& text) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const size_t equals = part.find('='), colon = part.find_first_of(":+");
    if (!out.empty() && equals != std::string::npos && (colon == std::string::npos || colon > equals)) out.back() += "," + part;
    else out.push_back(part);
    begin = end + 1;
  }
  return out;
}

std::vector<std::pair<std::string, Method>> labelled_methods(const Transformer& model, std::vector<std::string> asked,
                                                             const std::string& list, const std::vector<std::string>& usual) {
  for (const auto& text : split_methods(list)) asked.push_back(text);
  std::vector<std::pair<std::string, Method>> out;
  for (const auto& text : asked.empty() ? usual : asked)
    out.emplace_back(text == "none"  ? "full attention"
                     : text == "own" ? method_label(model.method("", ""))
                                     : text,
                     parse_method(model, text, "full"));
  return out;
}

std::string usual_method(const ModelConfig& config) { return config.attention.empty() && config.position.empty() ? "none" : "own"; }

std::vector<int64_t> parse_edges(std::string_view command, const std::string& text, std::string_view option) {
  std::vector<int64_t> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(to_int(command, option, text.substr(begin, end - begin)));
    LV_CHECK(out.back() >= 0 && (out.size() < 2 || out[out.size() - 2] < out.back()),
             "[{}] {} must begin at 0 or more and grow; got '{}'", command, option, text);
    begin = end + 1;
  }
  return out;
}

ProgressOutput progress_output(const SharedOptions& options) {
  ProgressOutput out = progress_on_stderr(options.quiet);
  if (!out.terminal) out.write = [write = out.write](std::string_view line) { write("  " + std::string(line)); };
  return out;
}

Resumed resume(const SharedOptions& options, const std::string& file, const Opened& opened) {
  const auto& config = opened.model->config();
  const std::string position = asked_position(options, config), attention = asked_attention(options, config);
  auto restored = load_session(file, config, opened.checkpoint.fingerprint, opened.model->device());
  const auto& info = restored.info;
  const Method method = opened.model->method(info.position, info.attention);
  const Method asked =
      opened.model->method(position.empty() ? info.position : position, attention.empty() ? info.attention : attention);
  LV_CHECK(asked.position->setting == method.position->setting && asked.attention->setting == method.attention->setting,
           "[state] {} was read with {}; asked for is {}. Leave --rope-scaling and --attention out, or read the text again", file,
           method_text(method), method_text(asked));
  return {std::move(restored.session), info, method};
}

int64_t state_bytes(const Method& method, const ModelConfig& config, int64_t tokens) {
  int64_t sum = 0;
  for (int64_t layer = 0; layer < config.layers; ++layer) {
    const Attention& attention = method.attention->at(layer);
    const int64_t kept = std::min(tokens, attention.bound().value_or(tokens));
    sum += 2 * config.kv_heads * config.head_width * kept + 2 * attention.memory_values(config.kv_heads, config.head_width);
  }
  return sum * static_cast<int64_t>(sizeof(float));
}

int64_t working_bytes(const ModelConfig& config, int64_t chunk) {
  constexpr int64_t kLogitRows = 128, kAllocator = int64_t{96} << 20, kRest = int64_t{64} << 20;
  const int64_t row = 8 * config.width + 4 * config.feed_forward + 6 * config.heads * config.head_width;
  return 4 * (chunk * row + 2 * kLogitRows * config.vocabulary) + kAllocator + kRest;
}

Reading read_text(const SharedOptions& options, const Opened& opened, const Method& method, const Text& text,
                  ReadSettings settings) {
  reset_rss_peak();
  ResidentTrace memory;
  const int64_t before = settings.session.state.seen();
  const std::span<const Id> ids = text.ids;
  const auto total = static_cast<int64_t>(ids.size()) - before;
  const bool is_its_beginning =
      total >= 0 && (before == 0 || digest_of(ids.first(static_cast<size_t>(before))) == settings.session.digest);
  LV_CHECK(is_its_beginning, "[read] the saved state has read {} tokens, and they are not the first ones of {}",
           with_commas(before), text.name);
  Progress progress(total, "tokens", progress_output(options));
  MemoryTrace trace(static_cast<int64_t>(ids.size()));
  Reading out;
  out.session = std::move(settings.session);
  Reader reader(*opened.model, method,
                {settings.chunk, settings.edges, settings.period,
                 [&](int64_t tokens, double nll) {
                   if (memory.tenth == 0 && tokens >= total / 10) memory.tenth = rss_bytes();
                   trace.see(out.session);
                   if (settings.watch) settings.watch(out.session);
                   progress.update(tokens, fmt::format("loss {:.2f}", nll));
                   return !interrupted();
                 }},
                out.session);
  reader.read(ids.subspan(static_cast<size_t>(before)));
  const ReadResult result = reader.finish();
  progress.finish();
  memory.end = rss_bytes();
  out.run = run_of(result, method, out.session);
  out.json = json_of(result, out.run, memory, text.name, method, opened.model->config());
  out.memory = trace.samples();
  out.json["memory"] = memory_json(out.memory);
  return out;
}

}  // namespace longview::tools
