// longview generate --nbce: a prompt answered from independent contexts, and which of them answered each token.
#include "longview/base/progress.h"
#include "longview/base/text_format.h"
#include "longview/text/passages.h"
#include "tools/conversation.h"

namespace longview::tools {
namespace {

struct NamedContext {
  std::string name, text;
  std::vector<Id> ids;  // with the prompt, as the model reads them
};

/// The prompt after a context ("": alone), in the model's chat template if that is asked for.
std::vector<Id> with_prompt(const GenerateCommand& command, const Tokenizer& tokenizer, const std::string& context) {
  const std::string before = context.empty() ? "" : context + "\n\n";
  if (command.chat) {
    std::vector<ChatMessage> messages;
    if (!command.system.empty()) messages.push_back({"system", command.system});
    messages.push_back({"user", before + *command.prompt});
    return ChatTemplate(tokenizer.spec()).encode(tokenizer, messages);
  }
  const auto& spec = tokenizer.spec();
  std::vector<Id> ids = tokenizer.encode(std::array{TextPart{before}, TextPart{*command.prompt, Specials::parse}});
  if (spec.bos >= 0 && (spec.add_bos || ids.empty())) ids.insert(ids.begin(), spec.bos);
  return ids;
}

/// Tokens a context may have, so that prompt and answer still fit into what the model was trained for.
int64_t context_room(const GenerateCommand& command, const Opened& opened, int64_t prompt_tokens) {
  const int64_t trained = opened.model->config().trained_length, answer = std::max<int64_t>(command.generate.most, 0);
  LV_CHECK(command.context_tokens >= 0, "[nbce] --context-tokens must not be negative; got {}", command.context_tokens);
  if (command.context_tokens > 0) return command.context_tokens;
  const int64_t room = std::min(trained / 4, trained - prompt_tokens - answer);
  LV_CHECK(room >= 16,
           "[nbce] the prompt has {} tokens and the answer up to {}: no room for a context in the {} that {} was trained for",
           prompt_tokens, answer, trained, opened.model->config().name);
  return room;
}

std::vector<NamedContext> contexts_of(const GenerateCommand& command, const Opened& opened, int64_t most) {
  constexpr size_t kMost = 1000;
  std::vector<NamedContext> out;
  for (const auto& path : command.contexts) {
    const Document document(text_path(path, {command.json}));
    const auto cut = passages(document.text(), *opened.tokenizer, most);
    LV_CHECK(!cut.empty(), "[nbce] {} is blank; a context needs words", path);
    for (size_t n = 0; n < cut.size(); ++n) {
      const std::string name = cut.size() == 1 ? document.name() : fmt::format("{} {}/{}", document.name(), n + 1, cut.size());
      out.push_back({name, std::string(cut[n]), {}});
    }
    LV_CHECK(out.size() <= kMost, "[nbce] more than {} contexts; give longer ones with --context-tokens (now {})", kMost, most);
  }
  for (auto& context : out) context.ids = with_prompt(command, *opened.tokenizer, context.text);
  return out;
}

/// The prompt alone and every context with it, each read into a state of its own; empty when Ctrl-C came first.
std::vector<Session> read_all(const GenerateCommand& command, const Opened& opened, const Method& method,
                              const std::vector<NamedContext>& contexts, const std::vector<Id>& prompt) {
  int64_t total = static_cast<int64_t>(prompt.size()), done = 0;
  for (const auto& context : contexts) total += static_cast<int64_t>(context.ids.size());
  Progress progress(total, "tokens", progress_on_stderr(command.quiet || total <= 2 * command.chunk));
  std::vector<Session> out;
  const auto read = [&](std::span<const Id> ids, const std::string& name) {
    Session& session = out.emplace_back();
    const auto chunk = static_cast<size_t>(command.chunk);
    for (size_t at = 0; at < ids.size() && !interrupted(); at += chunk) {
      progress.update(done, "reading " + name);
      const auto part = ids.subspan(at, std::min(chunk, ids.size() - at));
      feed(*opened.model, method, part, command.chunk, session);
      done += static_cast<int64_t>(part.size());
    }
  };
  read(prompt, "the question");
  for (const auto& context : contexts) read(context.ids, context.name);
  progress.finish();
  if (interrupted()) out.clear();
  return out;
}

std::string first_words(const std::string& text) {
  constexpr size_t kShown = 48;
  std::string out = text.substr(0, kShown);
  for (char& c : out)
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  if (text.size() <= kShown) return out;
  const size_t blank = out.rfind(' ');
  return (blank == std::string::npos || blank == 0 ? out : out.substr(0, blank)) + "...";
}

std::string choices_table(const std::vector<NamedContext>& contexts, const std::vector<int64_t>& answered) {
  TextTable table{{{"context", TextTable::Align::left}, {"tokens"}, {"answered"}, {"begins", TextTable::Align::left}}, {}};
  for (size_t n = 0; n < contexts.size(); ++n)
    table.rows.push_back({contexts[n].name, with_commas(static_cast<int64_t>(contexts[n].ids.size())), std::to_string(answered[n]),
                          first_words(contexts[n].text)});
  return table.text();
}

Json nbce_json(const GenerateCommand& command, const Tokenizer& tokenizer, const std::vector<NamedContext>& contexts,
               const Generated& made, std::span<const Contexts::Choice> choices, const std::vector<int64_t>& answered) {
  NbceOptions options = parse_nbce(*command.nbce);
  Json all = Json::array(), tokens = Json::array();
  for (size_t n = 0; n < contexts.size(); ++n)
    all.push_back({{"name", contexts[n].name},
                   {"tokens", contexts[n].ids.size()},
                   {"begins", first_words(contexts[n].text)},
                   {"answered", answered[n]}});
  for (size_t n = 0; n < made.ids.size(); ++n)
    tokens.push_back({{"text", tokenizer.bytes(made.ids[n])}, {"context", choices[n].context}, {"entropy", choices[n].entropy}});
  return {{"setting", setting_text(options.pooling, field_texts(options))}, {"contexts", all}, {"tokens", tokens}};
}

}  // namespace

void answer_from_contexts(GenerateCommand command, const Opened& opened) {
  const auto& config = opened.model->config();
  const std::string position = asked_position(command, config), attention = asked_attention(command, config);
  const Method method = opened.model->method(position, attention.empty() ? usual_attention(*opened.model, position) : attention);
  const auto prompt = with_prompt(command, *opened.tokenizer, "");
  LV_CHECK(!prompt.empty(), "[nbce] the question is empty, and this model has no token that begins a text");
  const int64_t room = context_room(command, opened, static_cast<int64_t>(prompt.size()));
  const auto contexts = contexts_of(command, opened, room);
  for (const auto& context : contexts)
    if (const auto size = static_cast<int64_t>(context.ids.size()); size > config.trained_length)
      note(command, fmt::format("[{}: {} tokens with the question, trained for {}; give a smaller --context-tokens]", context.name,
                                with_commas(size), with_commas(config.trained_length)));
  auto sessions = read_all(command, opened, method, contexts, prompt);
  Generated made;
  made.end = "interrupted";
  std::vector<int64_t> answered(contexts.size(), 0);
  int64_t bytes = 0, seen = 0, kept = 0;
  Json nbce = nbce_json(command, *opened.tokenizer, contexts, made, {}, answered);
  if (!sessions.empty()) {
    Contexts together(*opened.model, method, parse_nbce(*command.nbce), std::move(sessions));
    made = generate(together, *opened.tokenizer, command.generate, [&](std::string_view text) {
      print(command, text);
      return !interrupted();
    });
    print(command, "\n");
    for (const auto& choice : together.choices()) ++answered[static_cast<size_t>(choice.context)];
    for (const auto& session : together.sessions()) {
      bytes += session.state.bytes(), seen += session.state.seen();
      kept += std::min(session.state.seen(), method.attention->bound().value_or(session.state.seen()));
    }
    nbce = nbce_json(command, *opened.tokenizer, contexts, made, together.choices(), answered);
    note(command, "\n" + choices_table(contexts, answered));
  } else {
    note(command, "interrupted before the contexts were read to their end");
  }
  write_json(command, {{"prompt", *command.prompt},
                       {"nbce", nbce},
                       {"model", config.name},
                       {"text", made.text},
                       {"ids", made.ids},
                       {"end", made.end},
                       {"tokens_per_second", made.seconds > 0 ? static_cast<double>(made.ids.size()) / made.seconds : 0.0},
                       {"context",
                        {{"position", method.position->setting},
                         {"attention", method.attention->setting},
                         {"seen", seen},
                         {"kept", kept},
                         {"dropped", seen - kept},
                         {"trained_length", config.trained_length}}},
                       {"state_bytes", bytes},
                       {"rss_peak_bytes", rss_peak_bytes()}});
}

}  // namespace longview::tools
