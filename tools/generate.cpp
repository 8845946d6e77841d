// longview generate: continue a prompt or a saved state; chat on a terminal.
#include <unistd.h>

#include <iostream>

#include "longview/base/text_format.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

struct GenerateCommand : SharedOptions {
  std::string prompt, file, state, save, system;
  int64_t chunk = 512;
  bool chat = false;
  GenerateOptions generate;
};

/// What became of the text in the cache: said in the output, so that nobody wonders what the model still knows.
Json context_json(const Method& method, const Session& session, const ModelConfig& config) {
  const int64_t seen = session.state.seen(), kept = std::min(seen, method.attention->bound().value_or(seen));
  return {{"position", method.position->setting},
          {"attention", method.attention->setting},
          {"seen", seen},
          {"kept", kept},
          {"dropped", seen - kept},
          {"trained_length", config.trained_length}};
}

/// Tells once when the text outgrows what the method keeps.
struct Overflow {
  bool is_told = false;
  void tell(const GenerateCommand& command, const Method& method, const Session& session, const ModelConfig& config) {
    const Json context = context_json(method, session, config);
    if (is_told || command.quiet) return;
    const auto dropped = context["dropped"].get<int64_t>();
    if (dropped > 0) {
      std::cerr << fmt::format("[{}: {} tokens read, {} kept, {} dropped]\n", method.attention->setting,
                               with_commas(session.state.seen()), with_commas(context["kept"].get<int64_t>()),
                               with_commas(dropped));
      is_told = true;
    } else if (session.state.seen() > config.trained_length) {
      for (const auto& warning : method_warnings(method, config, session.state.seen()))
        std::cerr << "[" << warning << "]\n", is_told = true;
    }
  }
};

struct Conversation {
  const GenerateCommand& command;
  const Opened& opened;
  Method method;
  Session session;
  Overflow overflow;

  void hear(std::span<const Id> ids) {
    feed(*opened.model, method, ids, command.chunk, session);
    overflow.tell(command, method, session, opened.model->config());
  }

  Generated answer() {
    Generated out = generate(*opened.model, method, *opened.tokenizer, command.generate, session, [&](std::string_view text) {
      print(command, text);
      return !interrupted();
    });
    overflow.tell(command, method, session, opened.model->config());
    return out;
  }
};

Conversation begin(const GenerateCommand& command, const Opened& opened) {
  if (command.state.empty()) {
    const std::string attention = command.attention.empty() ? bounded_attention(*opened.model) : command.attention;
    return {command, opened, opened.model->method(command.position, attention), {}, {}};
  }
  auto restored = load_session(command.state, opened.model->config(), opened.checkpoint.fingerprint);
  const auto& info = restored.info;
  const Method saved = opened.model->method(info.position, info.attention);
  const Method asked = opened.model->method(command.position.empty() ? info.position : command.position,
                                            command.attention.empty() ? info.attention : command.attention);
  LV_CHECK(asked.position->setting == saved.position->setting && asked.attention->setting == saved.attention->setting,
           "[state] {} was read with {} and {}; asked for are {} and {}. Leave --rope-scaling and --attention out, or read the "
           "text again",
           command.state, saved.position->setting, saved.attention->setting, asked.position->setting, asked.attention->setting);
  if (!command.quiet)
    print(command,
          fmt::format("{}  {} tokens already read, {}, {}\n", info.text, with_commas(info.tokens), info.position, info.attention));
  return {command, opened, saved, std::move(restored.session), {}};
}

void finish(const GenerateCommand& command, const Conversation& talk, const Generated& made, const std::string& prompt) {
  if (!command.save.empty())
    save_session(command.save, talk.session, talk.method, talk.opened.model->config(), talk.opened.checkpoint.fingerprint,
                 "conversation");
  write_json(command, {{"model", talk.opened.model->config().name},
                       {"prompt", prompt},
                       {"text", made.text},
                       {"ids", made.ids},
                       {"end", made.end},
                       {"tokens_per_second", made.seconds > 0 ? static_cast<double>(made.ids.size()) / made.seconds : 0.0},
                       {"context", context_json(talk.method, talk.session, talk.opened.model->config())},
                       {"state_bytes", talk.session.state.bytes()},
                       {"rss_peak_bytes", rss_peak_bytes()}});
}

/// One turn of a chat: the message, the answer, and the token that ends the answer's turn.
Generated turn(Conversation& talk, const ChatTemplate& chat, std::vector<ChatMessage>& messages, const std::string& text) {
  const size_t first = messages.size();
  messages.push_back({"user", text});
  talk.hear(chat.encode(*talk.opened.tokenizer, messages, first == 1 && messages[0].role == "system" ? 0 : first));
  Generated made = talk.answer();
  messages.push_back({"assistant", made.text});
  if (!made.ids.empty()) talk.hear(std::span(&made.ids.back(), 1));
  const auto& ends = talk.opened.tokenizer->spec().stops;
  if (made.end != "token" && !ends.empty()) talk.hear(std::span(ends.data(), 1));
  return made;
}

void chat(const GenerateCommand& command, const Opened& opened) {
  const ChatTemplate chat(opened.tokenizer->spec());
  Conversation talk = begin(command, opened);
  std::vector<ChatMessage> messages;
  if (!command.system.empty()) messages.push_back({"system", command.system});
  Generated made;
  if (!command.prompt.empty()) {
    made = turn(talk, chat, messages, command.prompt);
    print(command, "\n");
  }
  const bool is_terminal = ::isatty(0) != 0;
  if (is_terminal && !command.quiet) std::cerr << "Write a message; an empty line or Ctrl-D ends, Ctrl-C stops an answer.\n";
  const bool goes_on = is_terminal || command.prompt.empty();
  for (std::string line;
       goes_on && (is_terminal ? std::cerr << "> " << std::flush : std::cerr) && std::getline(std::cin, line) && !line.empty();) {
    interrupted() = false;
    made = turn(talk, chat, messages, line);
    print(command, "\n");
  }
  finish(command, talk, made, command.prompt);
}

void complete(const GenerateCommand& command, const Opened& opened, const std::string& prompt) {
  Conversation talk = begin(command, opened);
  std::vector<Id> ids;
  const auto& spec = opened.tokenizer->spec();
  if (command.state.empty() && spec.add_bos && spec.bos >= 0) ids.push_back(spec.bos);
  const auto text = opened.tokenizer->encode(prompt, Specials::parse);
  ids.insert(ids.end(), text.begin(), text.end());
  LV_CHECK(!ids.empty() || !command.state.empty(), "[generate] the prompt is empty; give -p TEXT, -f FILE or --state FILE");
  talk.hear(ids);
  if (!command.quiet) print(command, prompt.size() > 400 ? "..." + prompt.substr(prompt.size() - 200) : prompt);
  const Generated made = talk.answer();
  print(command, "\n");
  finish(command, talk, made, prompt);
}

void run(GenerateCommand& command) {
  interrupted();
  LV_CHECK(command.chunk >= 1, "[generate] --chunk must be at least 1; got {}", command.chunk);
  LV_CHECK(command.prompt.empty() || command.file.empty(), "[generate] give either -p or -f");
  check(command.generate.sample);
  std::string prompt = command.prompt;
  if (!command.file.empty()) prompt = std::string(Document(std::filesystem::path(command.file)).text());
  const Opened opened = open_model(command);
  const bool is_talk = command.chat || (prompt.empty() && command.state.empty() && ::isatty(0) != 0 &&
                                        !opened.tokenizer->spec().chat_template.empty());
  if (is_talk) {
    command.prompt = prompt;
    chat(command, opened);
  } else {
    complete(command, opened, prompt);
  }
}

void add_sampling(CLI::App& app, SampleOptions& sample) {
  app.add_option("--temp", sample.temperature, "temperature; 0: always the likeliest token");
  app.add_option("--top-k", sample.top_k, "sample from the k likeliest tokens; 0: all");
  app.add_option("--top-p", sample.top_p, "sample from the likeliest tokens that together have this probability");
  app.add_option("--min-p", sample.min_p, "drop tokens less likely than this share of the likeliest");
  app.add_option("--repeat-penalty", sample.repeat_penalty, "make recent tokens less likely; 1: off");
  app.add_option("--repeat-last-n", sample.repeat_last, "how many tokens count as recent");
  app.add_option("--seed", sample.seed, "of the random numbers");
}

}  // namespace

void add_generate(CLI::App& program) {
  auto command = std::make_shared<GenerateCommand>();
  auto* app = program.add_subcommand("generate", "continue a prompt or a saved state; chat on a terminal");
  add_model_options(*app, *command);
  add_method_options(*app, *command);
  app->add_option("-p,--prompt", command->prompt, "text to continue, or the first message of a chat");
  app->add_option("-f,--file", command->file, "file with the text to continue");
  app->add_option("--state", command->state, "go on from a saved state");
  app->add_option("--save", command->save, "keep the state in a file afterwards");
  app->add_option("-n,--predict", command->generate.most, "tokens to make at most; -1: until the model ends");
  app->add_option("--stop", command->generate.stops, "end at this text; may be repeated");
  app->add_flag("--ignore-eos", command->generate.ignore_end, "go on past the tokens that end a turn");
  app->add_option("--chunk", command->chunk, "tokens of a prompt read at once");
  app->add_flag("--chat", command->chat, "use the model's chat template; messages from -p and standard input");
  app->add_option("--system", command->system, "system message of a chat");
  add_sampling(*app, command->generate.sample);
  app->callback([command] { run(*command); });
}

}  // namespace longview::tools
