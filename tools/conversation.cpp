// Reading, answering, saving.
#include "tools/conversation.h"

#include "longview/base/progress.h"
#include "longview/base/text_format.h"
#include "tools/reading.h"

namespace longview::tools {

Conversation::Conversation(const GenerateCommand& command, const Opened& opened) : command_(command), opened_(opened) {
  if (command.state.empty()) {
    const std::string position = asked_position(command, opened.model->config()),
                      attention = asked_attention(command, opened.model->config());
    method_ = opened.model->method(position, attention.empty() ? usual_attention(*opened.model, position) : attention);
    return;
  }
  auto resumed = resume(command, command.state, opened);
  const auto& info = resumed.info;
  method_ = resumed.method;
  note(command, fmt::format("{}  {} tokens already read, {}", info.text, with_commas(info.tokens), method_text(method_)));
  text_name_ = info.text;
  session_ = std::move(resumed.session);
}

void Conversation::hear(std::span<const Id> ids) {
  const auto chunk = static_cast<size_t>(command_.chunk);
  Progress progress(static_cast<int64_t>(ids.size()), "tokens", progress_on_stderr(command_.quiet || ids.size() <= 2 * chunk));
  for (size_t done = 0; done < ids.size() && !interrupted(); done += chunk) {
    progress.update(static_cast<int64_t>(done), "reading the prompt");
    feed(*opened_.model, method_, ids.subspan(done, std::min(chunk, ids.size() - done)), command_.chunk, session_);
  }
  progress.finish();
  tell_overflow();
}

Generated Conversation::answer() {
  Generated out;
  out.end = "interrupted";
  if (interrupted()) return out;
  out = generate(*opened_.model, method_, *opened_.tokenizer, command_.generate, session_, [&](std::string_view text) {
    print(command_, text);
    return !interrupted();
  });
  print(command_, "\n");
  tell_overflow();
  return out;
}

void Conversation::hear_end(const Generated& made, std::span<const Id> more) {
  if (!made.ids.empty()) feed(*opened_.model, method_, std::span(&made.ids.back(), 1), 1, session_);
  feed(*opened_.model, method_, more, 1, session_);
}

Json Conversation::context() const {
  const int64_t seen = session_.state.seen(), kept = std::min(seen, method_.attention->bound().value_or(seen));
  return {{"position", method_.position->setting},
          {"attention", method_.attention->setting},
          {"seen", seen},
          {"kept", kept},
          {"dropped", seen - kept},
          {"trained_length", opened_.model->config().trained_length}};
}

void Conversation::tell_overflow() {
  if (is_told_ || command_.quiet) return;
  const Json now = context();
  const auto seen = now["seen"].get<int64_t>(), dropped = now["dropped"].get<int64_t>();
  if (dropped > 0)
    note(command_, fmt::format("[{}: {} tokens read, {} kept, {} dropped]", method_.attention->setting, with_commas(seen),
                               with_commas(seen - dropped), with_commas(dropped)));
  else if (seen > opened_.model->config().trained_length)
    for (const auto& warning : method_warnings(method_, opened_.model->config(), seen)) note(command_, "[" + warning + "]");
  else return;
  is_told_ = true;
}

void Conversation::finish(Json fields, const Generated& made) const {
  const auto& config = opened_.model->config();
  if (!command_.save.empty()) {
    save_session(command_.save, session_, method_, config, opened_.checkpoint.fingerprint, text_name_);
    note(command_, fmt::format("saved to {}; go on with: longview generate --state {}", command_.save, command_.save));
  }
  fields.update({{"model", config.name},
                 {"text", made.text},
                 {"ids", made.ids},
                 {"end", made.end},
                 {"tokens_per_second", made.seconds > 0 ? static_cast<double>(made.ids.size()) / made.seconds : 0.0},
                 {"context", context()},
                 {"state_bytes", session_.state.bytes()},
                 {"rss_peak_bytes", rss_peak_bytes()}});
  write_json(command_, fields);
}

}  // namespace longview::tools
