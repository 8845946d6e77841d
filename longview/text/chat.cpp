#include "longview/text/chat.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "longview/base/check.h"
#include "longview/base/names.h"
#include "longview/text/utf8.h"

namespace longview {
namespace {

// A conversation as parts of a text: what the family writes is read for special tokens, what people write is not.
struct Conversation {
  const std::vector<ChatMessage>& messages;
  size_t first;
  std::string_view jinja, default_system, bos, eos;
  std::deque<std::string> texts = {};  // a deque: the parts point into it
  std::vector<TextPart> parts = {};

  void write(std::string text, Specials specials) {
    texts.push_back(std::move(text));
    parts.push_back({texts.back(), specials});
  }
  void marker(std::string text) { write(std::move(text), Specials::parse); }
  void content(std::string text) { write(std::move(text), Specials::plain); }
  bool says(std::string_view words) const { return jinja.find(words) != std::string_view::npos; }
  bool continues_reply() const { return first > 0 && messages[first - 1].role == "assistant"; }
  // The system message, which only the first can be.
  bool has_system() const { return first == 0 && messages.front().role == "system"; }
};

// Python's str.strip(), which Jinja's trim is.
std::string stripped(std::string_view text) {
  const auto is_space = [](char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); };
  size_t begin = std::string_view::npos, end = 0;
  for (size_t at = 0, length = 0; at < text.size(); at += length) {
    length = std::max<size_t>(utf8_length(text.substr(at)), 1);
    if (utf8_length(text.substr(at)) > 0 && is_space(utf8_decode(text.substr(at), length))) continue;
    begin = std::min(begin, at);
    end = at + length;
  }
  return end == 0 ? "" : std::string(text.substr(begin, end - begin));
}

// Qwen3 leaves thoughts out of the turns before the last question.
std::string without_thoughts(const std::string& reply) {
  const size_t end = reply.rfind("</think>");
  if (end == std::string::npos) return reply;
  const size_t begin = reply.find_first_not_of('\n', end + 8);
  return begin == std::string::npos ? "" : reply.substr(begin);
}

void write_chatml(Conversation& out) {
  if (out.continues_reply()) out.marker("\n");
  if (out.first == 0 && !out.has_system() && !out.default_system.empty())
    out.marker("<|im_start|>system\n" + std::string(out.default_system) + "<|im_end|>\n");
  size_t last_question = 0;
  for (size_t at = 0; at < out.messages.size(); ++at)
    if (out.messages[at].role == "user") last_question = at;
  for (size_t at = out.first; at < out.messages.size(); ++at) {
    const auto& [role, content] = out.messages[at];
    const bool forgets = role == "assistant" && at < last_question && out.says("</think>");
    out.marker("<|im_start|>" + role + "\n");
    out.content(forgets ? without_thoughts(content) : content);
    out.marker("<|im_end|>\n");
  }
  out.marker("<|im_start|>assistant\n");
}

// Llama 3.1 and later always write a system message that names the dates; ours is the template's own, so that runs repeat.
std::string llama3_dates(const Conversation& out) {
  if (!out.says("Cutting Knowledge Date")) return "";
  constexpr std::string_view key = "date_string = \"";
  const size_t begin = out.jinja.find(key);
  const size_t end = begin == std::string_view::npos ? begin : out.jinja.find('"', begin + key.size());
  const std::string_view today =
      end == std::string_view::npos ? "26 Jul 2024" : out.jinja.substr(begin + key.size(), end - begin - key.size());
  return "Cutting Knowledge Date: December 2023\nToday Date: " + std::string(today) + "\n\n";
}

void write_llama3(Conversation& out) {
  const auto turn = [&](const std::string& role, const std::string& before, const std::string& content) {
    out.marker("<|start_header_id|>" + role + "<|end_header_id|>\n\n" + before);
    out.content(stripped(content));
    out.marker("<|eot_id|>");
  };
  const std::string dates = out.first == 0 ? llama3_dates(out) : "";
  if (out.first == 0) out.marker(std::string(out.bos));
  if (!dates.empty() && !out.has_system()) turn("system", dates, "");
  for (size_t at = out.first; at < out.messages.size(); ++at)
    turn(out.messages[at].role, at == 0 && out.has_system() ? dates : "", out.messages[at].content);
  out.marker("<|start_header_id|>assistant<|end_header_id|>\n\n");
}

void check_turns(const Conversation& out) {
  const size_t offset = !out.messages.empty() && out.messages.front().role == "system" ? 1 : 0;
  for (size_t at = offset; at < out.messages.size(); ++at)
    LV_CHECK((out.messages[at].role == "user") == ((at - offset) % 2 == 0),
             "[chat] this family takes turns, user first; message {} is the {}'s", at + 1, out.messages[at].role);
}

void write_llama2(Conversation& out) {
  check_turns(out);
  for (size_t at = out.has_system() ? 1 : out.first; at < out.messages.size(); ++at) {
    const auto& [role, content] = out.messages[at];
    if (role == "assistant") {
      out.marker(" ");
      out.content(stripped(content));
      out.marker(" " + std::string(out.eos));
      continue;
    }
    out.marker(std::string(out.bos) + "[INST] ");
    // The template strips the whole of it, so with a system message only the question's end.
    const bool system = at == 1 && out.has_system();
    out.content(stripped(system ? "<<SYS>>\n" + out.messages.front().content + "\n<</SYS>>\n\n" + content : content));
    out.marker(" [/INST]");
  }
}

// Mistral's templates differ in where they put spaces. A system message stands before the first question.
void write_mistral(Conversation& out) {
  check_turns(out);
  const auto says_any = [&](std::initializer_list<std::string_view> forms) {
    return std::any_of(forms.begin(), forms.end(), [&](std::string_view form) { return out.says(form); });
  };
  const std::string close = says_any({"' [/INST]'", "\" [/INST]\""}) ? " [/INST]" : "[/INST]";
  const std::string before = says_any({"' ' + message", "\" \" + message"}) ? " " : "";
  const std::string after = says_any({"eos_token + ' '", "eos_token+' '", "eos_token + \" \""}) ? " " : "";
  const bool trims = says_any({"message['content'] | trim", "message['content']|trim", "message[\"content\"]|trim"});
  if (out.first == 0) out.marker(std::string(out.bos));
  if (out.continues_reply()) out.marker(after);
  for (size_t at = out.has_system() ? 1 : out.first; at < out.messages.size(); ++at) {
    const auto& [role, content] = out.messages[at];
    const bool reply = role == "assistant";
    const bool system = at == 1 && out.has_system();
    out.marker(reply ? before : "[INST] ");
    if (system) out.content(out.messages.front().content + "\n\n");
    out.content(reply && trims ? stripped(content) : content);
    out.marker(reply ? std::string(out.eos) + after : close);
  }
}

void write_zephyr(Conversation& out) {
  if (out.continues_reply()) out.marker("\n");
  for (size_t at = out.first; at < out.messages.size(); ++at) {
    out.marker("<|" + out.messages[at].role + "|>\n");
    out.content(out.messages[at].content);
    out.marker(std::string(out.eos) + "\n");
  }
  out.marker("<|assistant|>\n");
}

struct Family {
  std::string name;
  std::vector<std::string_view> markers;  // all of them stand in the template
  void (*write)(Conversation&);
};

// The first whose markers are there: llama-2's contain mistral's.
const std::vector<Family>& families() {
  static const std::vector<Family> table = {
      {"chatml", {"<|im_start|>", "<|im_end|>"}, write_chatml},
      {"llama-3", {"<|start_header_id|>", "<|eot_id|>"}, write_llama3},
      {"llama-2", {"[INST]", "<<SYS>>"}, write_llama2},
      {"mistral", {"[INST]", "[/INST]", "eos_token"}, write_mistral},
      {"zephyr", {"<|user|>", "<|assistant|>", "eos_token"}, write_zephyr},
  };
  return table;
}

// The system message a chatml template writes when none is given: the string literal "<|im_start|>system\n...<|im_end|>".
std::string default_system(std::string_view jinja) {
  constexpr std::string_view opening = "<|im_start|>system";
  for (size_t at = jinja.find(opening); at != std::string_view::npos; at = jinja.find(opening, at + 1)) {
    if (at == 0 || (jinja[at - 1] != '\'' && jinja[at - 1] != '"')) continue;
    std::string literal;
    for (size_t c = at + opening.size(); c < jinja.size() && jinja[c] != jinja[at - 1]; ++c) {
      const bool escaped = jinja[c] == '\\' && c + 1 < jinja.size();
      if (escaped) ++c;
      literal += escaped && jinja[c] == 'n' ? '\n' : jinja[c];
    }
    const size_t end = literal.find("<|im_end|>");
    if (literal.starts_with('\n') && end != std::string::npos) return literal.substr(1, end - 1);
  }
  return "";
}

}  // namespace

ChatTemplate::ChatTemplate(const TokenizerSpec& spec) : template_(spec.chat_template) {
  std::vector<std::string> known;
  for (const Family& family : families()) {
    known.push_back(family.name);
    const bool fits = std::all_of(family.markers.begin(), family.markers.end(),
                                  [&](std::string_view marker) { return template_.find(marker) != std::string::npos; });
    if (fits && family_.empty()) family_ = family.name;
  }
  LV_CHECK(!template_.empty(), "[chat] the checkpoint has no chat template; known families: {}", listed(known));
  LV_CHECK(!family_.empty(), "[chat] the checkpoint's chat template is of no known family; known: {}", listed(known));
  const auto spelled = [&](Id id) {
    return id >= 0 && static_cast<size_t>(id) < spec.tokens.size() ? spec.tokens[static_cast<size_t>(id)] : "";
  };
  bos_ = spelled(spec.bos);
  eos_ = spelled(spec.eos);
  if (family_ == "chatml") default_system_ = default_system(template_);
}

std::vector<Id> ChatTemplate::encode(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages, size_t first) const {
  static const std::vector<std::string> roles = {"system", "user", "assistant"};
  LV_CHECK(first < messages.size(), "[chat] a conversation needs a message to answer; got {}, {} of them already read",
           messages.size(), first);
  for (size_t at = 0; at < messages.size(); ++at) {
    const std::string& role = messages[at].role;
    LV_CHECK(std::find(roles.begin(), roles.end(), role) != roles.end(), "[chat] {}", unknown_name("role", role, roles));
    LV_CHECK(role != "system" || at == 0, "[chat] a system message comes first; message {} is one", at + 1);
  }
  Conversation conversation{messages, first, template_, default_system_, bos_, eos_};
  const auto family = std::find_if(families().begin(), families().end(), [&](const Family& f) { return f.name == family_; });
  family->write(conversation);
  return tokenizer.encode(conversation.parts);
}

}  // namespace longview
