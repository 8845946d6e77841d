// longview generate: continue a prompt or a saved state; chat on a terminal.
#include <unistd.h>

#include <iostream>

#include "tools/conversation.h"

namespace longview::tools {
namespace {

/// One turn of a chat: the message, the answer, and the token that ends the answer's turn.
Generated turn(Conversation& talk, const Opened& opened, const ChatTemplate& chat, std::vector<ChatMessage>& messages,
               const std::string& text) {
  const size_t first = messages.size();
  messages.push_back({"user", text});
  talk.hear(chat.encode(*opened.tokenizer, messages, first == 1 && messages[0].role == "system" ? 0 : first));
  Generated made = talk.answer();
  messages.push_back({"assistant", made.text});
  const std::span<const Id> ends = opened.tokenizer->spec().stops;
  talk.hear_end(made, made.end == "token" || ends.empty() ? std::span<const Id>{} : ends.first(1));
  return made;
}

/// The next line of standard input; none at its end, at an empty line, and at Ctrl-C.
std::optional<std::string> next_message(const GenerateCommand& command) {
  if (::isatty(0) != 0 && !command.quiet) std::cerr << "> " << std::flush;
  char* line = nullptr;
  size_t room = 0;
  const ssize_t size = ::getline(&line, &room, stdin);  // unlike std::getline it returns when a signal comes
  std::string out(line == nullptr ? "" : line, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  std::free(line);
  if (size < 0 && ::isatty(0) != 0) std::cerr << "\n";
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  if (out.empty() || interrupted()) return std::nullopt;
  return out;
}

void chat(const GenerateCommand& command, const Opened& opened) {
  const ChatTemplate chat(opened.tokenizer->spec());
  Conversation talk(command, opened);
  std::vector<ChatMessage> messages;
  if (!command.system.empty()) messages.push_back({"system", command.system});
  Generated made;
  std::optional<std::string> message = command.prompt;
  const bool is_terminal = ::isatty(0) != 0, goes_on = is_terminal || !message;
  if (is_terminal && !command.quiet) std::cerr << "Write a message; an empty line or Ctrl-D ends, Ctrl-C stops an answer.\n";
  for (; message || (goes_on && (message = next_message(command))); message.reset()) {
    made = turn(talk, opened, chat, messages, *message);
    if (is_terminal) interrupted() = false;
    if (interrupted()) break;
  }
  LV_CHECK(!talk.is_empty(), "[generate] no message was given: -p TEXT, or lines on standard input");
  Json said = Json::array();
  for (const auto& one : messages) said.push_back({{"role", one.role}, {"content", one.content}});
  talk.finish({{"messages", said}}, made);
}

/// The prompt as it is shown before its continuation: its last characters, from the beginning of a word.
std::string shown(const std::string& prompt) {
  constexpr size_t kShown = 400;
  if (prompt.size() <= kShown) return prompt;
  const size_t blank = prompt.find_first_of(" \n", prompt.size() - kShown);
  return blank == std::string::npos ? "" : "..." + prompt.substr(blank);
}

void complete(const GenerateCommand& command, const Opened& opened, const std::string& prompt) {
  Conversation talk(command, opened);
  std::vector<Id> ids;
  const auto& spec = opened.tokenizer->spec();
  const bool has_bos = spec.bos >= 0 && (spec.add_bos || prompt.empty());  // an empty prompt still needs something to continue
  if (command.state.empty() && has_bos) ids.push_back(spec.bos);
  const auto text = opened.tokenizer->encode(prompt, Specials::parse);
  ids.insert(ids.end(), text.begin(), text.end());
  LV_CHECK(!ids.empty() || !talk.is_empty(), "[generate] the prompt is empty, and this model has no token that begins a text");
  talk.hear(ids);
  if (interrupted()) note(command, "interrupted before the prompt was read to its end");
  else if (::isatty(1) != 0 && !command.quiet) print(command, shown(prompt));
  const Generated made = talk.answer();
  if (!command.save.empty()) talk.hear_end(made);
  talk.finish({{"prompt", prompt}}, made);
}

/// -p, -f (a file, or - for standard input), or what is piped in; nothing when there is none of them.
std::optional<std::string> prompt_of(const GenerateCommand& command) {
  if (command.prompt) return command.prompt;
  const bool is_piped = command.file.empty() && command.state.empty() && !command.chat && ::isatty(0) == 0;
  if (is_piped) return std::string(std::istreambuf_iterator<char>(std::cin), {});  // may be empty
  if (command.file.empty()) return std::nullopt;
  return std::string(Document(text_path(command.file, {command.save, command.json})).text());
}

void check(const GenerateCommand& command) {
  LV_CHECK(command.chunk >= 1, "[generate] --chunk must be at least 1; got {}", command.chunk);
  LV_CHECK(!command.prompt || command.file.empty(), "[generate] give either -p or -f");
  LV_CHECK(command.generate.most >= -1, "[generate] -n must be -1 or more; got {}", command.generate.most);
  for (const auto& stop : command.generate.stops) LV_CHECK(!stop.empty(), "[generate] --stop must not be empty");
  check(command.generate.sample);
  LV_CHECK(command.nbce || command.contexts.empty(), "[generate] --context goes with --nbce; add --nbce");
  if (command.nbce) {
    LV_CHECK(!command.contexts.empty(), "[nbce] no context is given; add --context FILE, once for each text");
    LV_CHECK(command.prompt || !command.file.empty(), "[nbce] no question is given; add -p TEXT or -f FILE");
    LV_CHECK(command.state.empty() && command.save.empty(),
             "[nbce] --state and --save hold one text, and NBCE reads one for each context: they do not go together");
  }
  check_writable("--save", command.save);
  check_writable("--json", command.json);
}

void run(GenerateCommand& command) {
  interrupted();
  command.generate.sample.temperature = command.temperature.value_or(command.nbce ? parse_nbce(*command.nbce).tau : 0);
  check(command);
  command.chat = command.chat || !command.system.empty();
  command.prompt = prompt_of(command);
  const Opened opened = open_model(command);
  if (command.nbce) return answer_from_contexts(command, opened);
  const bool is_asked = command.prompt || !command.state.empty();
  if (command.chat || (!is_asked && !opened.tokenizer->spec().chat_template.empty())) chat(command, opened);
  else complete(command, opened, command.prompt.value_or(""));
}

void add_sampling(CLI::App& app, GenerateCommand& command) {
  SampleOptions& sample = command.generate.sample;
  app.add_option("--temp", command.temperature, "temperature; 0: always the likeliest token (0; --nbce: its tau)")->type_name("X");
  add_count(app, "--top-k", sample.top_k, "sample from the k likeliest tokens; 0: all");
  app.add_option("--top-p", sample.top_p, "sample from the likeliest tokens that together have this probability")->type_name("X");
  app.add_option("--min-p", sample.min_p, "drop tokens less likely than this share of the likeliest")->type_name("X");
  app.add_option("--repeat-penalty", sample.repeat_penalty, "make recent tokens less likely; 1: off")->type_name("X");
  add_count(app, "--repeat-last-n", sample.repeat_last, "how many tokens count as recent");
  app.add_option("-s,--seed", sample.seed, "of the random numbers; the same seed makes the same text")->type_name("N");
}

}  // namespace

void add_generate(CLI::App& program) {
  auto command = std::make_shared<GenerateCommand>();
  auto* app = program.add_subcommand("generate", "continue a prompt or a saved state; chat on a terminal");
  add_model_options(*app, *command);
  add_method_options(*app, *command);
  app->add_option("-p,--prompt", command->prompt, "text to continue, or the first message of a chat")->type_name("TEXT");
  app->add_option("-f,--file", command->file, "file with the text to continue; -: standard input")->type_name("FILE");
  app->add_option("--state", command->state, "go on from a saved state")->type_name("FILE");
  app->add_option("--save", command->save, "keep the state in a file afterwards")->type_name("FILE");
  add_count(*app, "-n,--predict", command->generate.most, "tokens to make at most (256); -1: until the model ends");
  app->add_option("--stop", command->generate.stops, "end at this text; may be repeated")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app->add_flag("--ignore-eos", command->generate.ignore_end, "go on past the tokens that end a turn");
  add_count(*app, "--chunk", command->chunk, "tokens of a prompt read at once (512)");
  app->add_flag("--chat", command->chat, "use the model's chat template; messages from -p, or one a line from standard input");
  app->add_option("--system", command->system, "system message of a chat")->type_name("TEXT");
  app->add_option("--nbce", command->nbce, "answer from several --context: entropy, mean, max or sum, as entropy:beta=0.25,eta=0.1")
      ->type_name("[POOLING]")
      ->expected(0, 1);
  app->add_option("--context", command->contexts, "text to answer from; may be repeated; a long one is cut into several")
      ->type_name("FILE")
      ->allow_extra_args(false);
  add_count(*app, "--context-tokens", command->context_tokens, "longest context (a quarter of the trained length)");
  add_sampling(*app, *command);
  app->callback([command] { run(*command); });
}

}  // namespace longview::tools
