// longview eval passkey, needle: what is hidden in long texts and asked for at their end.
#include "tools/passkey.h"

#include "longview/base/text_format.h"
#include "longview/eval/needle.h"
#include "longview/eval/shared_reading.h"
#include "tools/memory.h"
#include "tools/passkey_table.h"

namespace longview::tools {
namespace {

constexpr int64_t kMostStates = int64_t{2} << 30;  // bytes of states that may wait for their turn

std::vector<double> numbers_of(const char* option, const std::string& text, double least, double most) {
  std::vector<double> out;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(to_real("eval", option, text.substr(begin, end - begin)));
    LV_CHECK(out.back() >= least && out.back() <= most, "[eval] {} must be from {} to {}; got '{}'", option, least, most, text);
    begin = end + 1;
  }
  return out;
}

/// Tokens that a memory writes together: what offsets are counted in.
int64_t segment_of(const PasskeyCommand& command, const std::vector<std::pair<std::string, Method>>& methods) {
  if (command.segment > 0 || (command.needle_offsets.empty() && command.question_offsets.empty())) return command.segment;
  for (const auto& [label, method] : methods) {
    const Setting setting = parse_setting(method.attention->setting);
    if (const auto found = setting.values.find("segment"); found != setting.values.end())
      return to_int("eval", "segment", found->second);
  }
  fail("[eval] offsets are counted in segments, and no method has any: --segment N says how long they are");
}

/// The places that are asked for: every depth with every offset; an offset of -1 is as it falls.
std::vector<KeyCell> cells_of(const PasskeyCommand& command, int64_t segment) {
  const auto most = static_cast<double>(std::max<int64_t>(segment - 1, 0));
  const auto offsets = [&](const char* option, const std::string& text) {
    auto out = numbers_of(option, text, 0, most);
    if (out.empty()) out.push_back(-1);
    return out;
  };
  std::vector<KeyCell> out;
  const auto depths = numbers_of("--depths", command.depths, 0, 100);
  LV_CHECK(!depths.empty(), "[eval] --depths needs at least one");
  for (const double depth : depths)
    for (const double needle : offsets("--needle-offsets", command.needle_offsets))
      for (const double question : offsets("--question-offsets", command.question_offsets))
        out.push_back({depth / 100, static_cast<int64_t>(needle), static_cast<int64_t>(question)});
  return out;
}

struct Seeker {
  const PasskeyCommand& command;
  const Opened& opened;
  int64_t segment;
  std::vector<Id> book;

  PasskeyPrompt prompt(int64_t length, const KeyCell& cell, int64_t trial) const;
  std::vector<PasskeyPrompt> prompts(int64_t length, const std::vector<KeyCell>& cells) const;
  /// How the prompts of a length are read with a method: shared and in batches, where states are small enough to wait.
  SharedReading reading(const Method& method, int64_t length, size_t prompts) const;
};

PasskeyPrompt Seeker::prompt(int64_t length, const KeyCell& cell, int64_t trial) const {
  const auto seed = static_cast<uint64_t>(command.seed + trial) * 1000003 +
                    static_cast<uint64_t>(100 * cell.depth * 1009 + static_cast<double>(length)) +
                    static_cast<uint64_t>((cell.needle_offset + 1) * 7368787 + (cell.question_offset + 1) * 15485863);
  if (command.is_needle) return needle_prompt({length, cell.depth, seed, book}, *opened.tokenizer);
  PasskeyTask task{.length = length,
                   .depth = cell.depth,
                   .book = book,
                   .wordings = command.wordings,
                   .keys = command.keys,
                   .needles = command.needles,
                   .seed = seed};
  if (!book.empty()) {  // the same piece at every depth of a trial, so that it is read once
    const auto room = static_cast<int64_t>(book.size()) - length + 1;
    LV_CHECK(room >= 1, "[eval] the haystack has {} tokens; {} are needed", book.size(), length);
    task.book_at = Random(static_cast<uint64_t>(command.seed + trial)).below(room);
  }
  PasskeyPrompt out = passkey_prompt(task, *opened.tokenizer);
  if (cell.question_offset >= 0) {
    task.length -= ((out.answer_begin - cell.question_offset) % segment + segment) % segment;
    out = passkey_prompt(task, *opened.tokenizer);
  }
  if (cell.needle_offset >= 0) {  // at that offset of the depth's segment, or of the next one that has room behind the introduction
    int64_t at = out.needle_begin / segment * segment + cell.needle_offset;
    const int64_t first = passkey_prompt({.length = task.length,
                                          .depth = 0,
                                          .book = task.book,
                                          .book_at = task.book_at,
                                          .wordings = task.wordings,
                                          .keys = task.keys,
                                          .seed = task.seed},
                                         *opened.tokenizer)
                              .needle_begin;
    while (at < first) at += segment;
    while (at > first && at > out.needle_begin && at + (out.needle_end - out.needle_begin) > out.answer_begin) at -= segment;
    task.needle_at = at;
    out = passkey_prompt(task, *opened.tokenizer);
  }
  return out;
}

std::vector<PasskeyPrompt> Seeker::prompts(int64_t length, const std::vector<KeyCell>& cells) const {
  std::vector<PasskeyPrompt> out;
  for (const auto& cell : cells)
    for (int64_t trial = 0; trial < command.trials; ++trial) out.push_back(prompt(length, cell, trial));
  return out;
}

std::vector<std::span<const Id>> texts_of(const std::vector<PasskeyPrompt>& prompts) {
  std::vector<std::span<const Id>> out;
  for (const auto& prompt : prompts) out.emplace_back(prompt.ids.data(), static_cast<size_t>(prompt.answer_begin));
  return out;
}

SharedReading Seeker::reading(const Method& method, int64_t length, size_t prompts) const {
  const int64_t state = std::max<int64_t>(state_bytes(method, opened.model->config(), length), 1), room = kMostStates / state;
  const int64_t wanted = command.batch > 0 ? command.batch : opened.model->device().is_cpu() ? 2 * at::get_num_threads() : 1;
  SharedReading out;
  out.chunk = command.chunk;
  out.is_shared = room >= static_cast<int64_t>(prompts);
  out.batch = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, room));
  return out;
}

std::vector<std::pair<std::string, Method>> methods_of(const PasskeyCommand& command, const Opened& opened) {
  const auto& config = opened.model->config();
  LV_CHECK(command.memory == "on" || command.memory == "off" || command.memory == "both",
           "[eval] --memory must be on, off or both; got '{}'", command.memory);
  const auto all = labelled_methods(*opened.model, command.methods, command.list, {usual_method(config)});
  if (command.memory == "on") return all;
  std::vector<std::pair<std::string, Method>> out;
  bool is_any = false;
  for (const auto& [label, method] : all) {
    const bool has_one = has_memory(method, config);
    is_any = is_any || has_one;
    if (command.memory == "both" || !has_one) out.emplace_back(label, method);
    if (has_one) out.emplace_back(label + ", memory off", without_memory(method, *opened.model));
  }
  LV_CHECK(is_any, "[eval] --memory {}: no method has a memory", command.memory);
  return out;
}

}  // namespace

Json find_keys(const PasskeyCommand& command, const Opened& opened) {
  const auto lengths = parse_edges("eval", command.lengths, "--lengths");
  const auto methods = methods_of(command, opened);
  const int64_t segment = segment_of(command, methods);
  const auto cells = cells_of(command, segment);
  Seeker seeker{command, opened, segment, {}};
  if (command.is_needle || command.haystack != std::vector<std::string>{"repeat"}) {
    std::vector<Document> documents;
    if (command.is_needle) documents.emplace_back(command.book.empty() ? default_book() : text_path(command.book, {command.json}));
    else
      for (const auto& file : command.haystack) documents.emplace_back(text_path(file, {command.json, command.report}));
    seeker.book = tokenize(documents, *opened.tokenizer, 0).ids;
  }
  int64_t total = 0, done = 0;
  for (const int64_t length : lengths) {
    const auto prompts = seeker.prompts(length, cells);
    for (const auto& [label, method] : methods)
      total += tokens_to_read(texts_of(prompts), seeker.reading(method, length, prompts.size()).is_shared);
  }
  Progress progress(total, "tokens", progress_output(command));
  std::vector<KeyRow> rows;
  for (const auto& [label, method] : methods) {
    for (const int64_t length : lengths) {
      const auto prompts = seeker.prompts(length, cells);
      KeyRow row{label, method.position->setting, method.attention->setting, length, cells};
      SharedReading how = seeker.reading(method, length, prompts.size());
      const auto note = [&, &name = label] {
        const KeyScore score = row.all();
        return fmt::format("{} resident  {} at {}: {} of {}", bytes_text(rss_bytes()), name, with_commas(length), score.found,
                           score.tried);
      };
      how.step = [&](int64_t tokens) {
        progress.update(done += tokens, note());
        return !interrupted();
      };
      const auto begin = std::chrono::steady_clock::now();
      read_all(*opened.model, method, texts_of(prompts), how, [&, &used = method](size_t which, Session session) {
        const PasskeyPrompt& asked = prompts[which];
        row.state_bytes = std::max(row.state_bytes, session.state.bytes());
        row.memory_bytes = std::max(row.memory_bytes, memory_bytes(session.state));
        const KeyAnswer answer = answer_of(*opened.model, used, *opened.tokenizer, asked, std::move(session));
        row.cells[which / static_cast<size_t>(command.trials)].add(answer, asked);
      });
      row.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (row.all().tried > 0) rows.push_back(std::move(row));
      if (interrupted()) break;
    }
    if (interrupted()) break;
  }
  progress.finish();
  print(command, key_table(rows).text() +
                     "  found of asked by depth; found in all with Wilson's 95 % interval; exact: every token of the key "
                     "the likeliest; nats a token of it; a compressive memory's numbers, and all "
                     "that is carried of one text\n");
  constexpr int64_t kFew = 4;
  for (const auto& row : rows)
    if (row.all().tried <= kFew) print(command, answers_text(row));
  if (!command.report.empty()) {
    Page page = key_report(rows, command.is_needle ? "needle" : "passkey", opened.model->config().name);
    page.sections.push_back({"How this was measured", {model_run_facts(command)}});
    write_file(command.report, html(page));
    print(command, "Report: " + command.report + "\n");
  }
  Json out = Json::array();
  for (const auto& row : rows) out.push_back(row.json());
  return out;
}

void add_passkey_options(CLI::App& app, PasskeyCommand& command) {
  app.add_option("--lengths,--length", command.lengths, "tokens of the whole prompt (4k,8k,16k,32k)")->type_name("N,N,...");
  app.add_option("--depths", command.depths, "where the sentence stands, in percent (0,25,50,75,100)")->type_name("P,P,...");
  add_count(app, "--trials", command.trials, "prompts for each length and place, for repeat texts of the book (1)");
  app.add_option("--wordings", command.wordings, "passkey: one (as published), many, heldout (none that training has) or table")
      ->type_name("NAME");
  app.add_option("--keys", command.keys, "passkey: digits, words, codes or mixed")->type_name("KIND");
  add_count(app, "--needles", command.needles, "passkey: sentences that are hidden; several have names, and one is asked for (1)");
  app.add_option("--haystack", command.haystack, "passkey: repeat (five sentences again and again), or text files")
      ->type_name("repeat|FILE...");
  app.add_option("--needle-offsets", command.needle_offsets,
                 "passkey: tokens of a segment before the sentence; nothing: as it falls")
      ->type_name("N,N,...");
  app.add_option("--question-offsets", command.question_offsets,
                 "passkey: tokens of a segment before the answer (the text is made shorter); nothing: as it falls")
      ->type_name("N,N,...");
  add_count(app, "--segment", command.segment, "that offsets are counted in; 0: the method's own");
  app.add_option("--memory", command.memory, "on, off (as if every gate were closed), or both")->type_name("on|off|both");
  add_count(app, "--batch", command.batch, "prompts read together where they share nothing more; 0: by the device");
  app.add_option("--report", command.report, "passkey, needle: write a page with what was found by length and depth")
      ->type_name("FILE.html");
}

}  // namespace longview::tools
