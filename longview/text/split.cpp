// The four expressions, from the tokenizer.json files of GPT-2, Llama 3, Qwen2 and SmolLM (Hugging Face tokenizers), rewritten so
// that PCRE2 gives what Oniguruma gives there:
// - \s is Unicode White_Space, written out (PCRE2's own has U+180E too);
// - letters and numbers of Unicode 15 to 17 are named beside \p{L} and \p{N}, since PCRE2 10.42 knows Unicode 14 (naming what a
//   later PCRE2 knows anyway does no harm);
// - repetitions whose giving back could never help are possessive, so a piece of any length is matched in linear time;
// - SmolLM's "Digits, then GPT-2" in one expression: each number alone, and the text before it split as if it ended there.
#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include "longview/text/split.h"

#include <pcre2.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>

#include "longview/base/check.h"
#include "longview/base/names.h"
#include "longview/text/tokenizer.h"
#include "longview/text/utf8.h"

namespace longview {
namespace {

// Members of the expressions' character classes: white space, letters, numbers.
const std::string kSpace = R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
const std::string kLetter =
    R"(\p{L}\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65}\x{10D6F}-\x{10D85})"
    R"(\x{10EC2}-\x{10EC4}\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E}\x{11390}-\x{113B5}\x{113B7}\x{113D1}\x{113D3})"
    R"(\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10}\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446}\x{13460}-\x{143FA})"
    R"(\x{16100}-\x{1611D}\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A}\x{1E030}-\x{1E06D}\x{1E4D0}-\x{1E4EB})"
    R"(\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
const std::string kNumber =
    R"(\p{N}\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139}\x{16D70}-\x{16D79})"
    R"(\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";
const std::string kNumber17 = kNumber + R"(\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6})";  // Rust's is_numeric, which Digits uses

struct Form {
  std::string name, expression;           // ours
  std::vector<std::string> hugging_face;  // as tokenizer.json spells it; none where it is not one expression
};

std::string set(const std::string& members) { return "[" + members + "]"; }
std::string other(const std::string& members) { return "[^" + members + "]"; }

std::string words(const std::string& digits) {
  return "(?i:'s|'t|'re|'ve|'m|'ll|'d)|" + other("\\r\\n" + kLetter + kNumber) + "?+" + set(kLetter) + "++|" + digits + "| ?+" +
         other(kSpace + kLetter + kNumber) + "++[\\r\\n]*+|" + set(kSpace) + "*[\\r\\n]++|" + set(kSpace) + "+(?!" + other(kSpace) +
         ")|" + set(kSpace) + "++";
}

const std::vector<Form>& forms() {
  static const std::string contractions = "'s|'t|'re|'ve|'m|'ll|'d";
  static const std::string letters = "| ?+" + set(kLetter) + "++";
  static const std::vector<Form> table = {
      {"gpt-2",
       contractions + letters + "| ?+" + set(kNumber) + "++| ?+" + other(kSpace + kLetter + kNumber) + "++|" + set(kSpace) +
           "+(?!" + other(kSpace) + ")|" + set(kSpace) + "++",
       {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
        R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}},
      {"llama-3",
       words(set(kNumber) + "{1,3}+"),
       {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {"qwen2",
       words(set(kNumber)),
       {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
      {"smollm",
       set(kNumber17) + "|" + contractions + letters + "| ?+" + other(kSpace + kLetter + kNumber17) + "++|" + set(kSpace) + "+(?!" +
           other(kSpace + kNumber17) + ")|" + set(kSpace) + "++",
       {}},
  };
  return table;
}

}  // namespace

std::vector<std::string> split_names() {
  std::vector<std::string> out;
  for (const Form& form : forms()) out.push_back(form.name);
  return out;
}

std::string split_of_regex(std::string_view regex) {
  for (const Form& form : forms())
    if (std::find(form.hugging_face.begin(), form.hugging_face.end(), regex) != form.hugging_face.end()) return form.name;
  return "";
}

std::string regex_of_split(std::string_view name) {
  for (const Form& form : forms())
    if (form.name == name && !form.hugging_face.empty()) return form.hugging_face.front();
  return "";
}

struct Split::Code {
  pcre2_code* code = nullptr;
  bool jit = false;  // without it (an unusual build of PCRE2) the interpreter does the same

  explicit Code(const std::string& expression) {
    int error = 0;
    size_t at = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(), PCRE2_UTF | PCRE2_ANCHORED, &error,
                         &at, nullptr);
    LV_CHECK(code != nullptr, "[tokenizer] PCRE2 refuses the pre-tokenizer's expression (error {} at {})", error, at);
    jit = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD) == 0;
  }
  ~Code() { pcre2_code_free(code); }
  Code(Code&&) = delete;
};

Split::Split(std::string_view name) {
  const auto form = std::find_if(forms().begin(), forms().end(), [&](const Form& f) { return f.name == name; });
  LV_CHECK(form != forms().end(), "[tokenizer] {}", unknown_name("pre-tokenizer", name, split_names()));
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Code>> compiled;  // each once a process
  const std::lock_guard lock(mutex);
  auto& code = compiled[form->name];
  if (!code) code = std::make_shared<const Code>(form->expression);
  code_ = code;
}

struct SplitMemory::Match {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  Match() { pcre2_set_match_limit(context, std::numeric_limits<uint32_t>::max()); }  // the interpreter's; ours are linear
  ~Match() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
};

SplitMemory::SplitMemory() : match_(std::make_unique<Match>()) {}
SplitMemory::~SplitMemory() = default;

std::string_view Splitter::next() {
  source_.drop(piece_);
  valid_ -= std::min(valid_, piece_);
  piece_ = 0;
  while (piece_ == 0) {
    const bool known = validate();
    const std::string_view view = source_.view();
    if (known && valid_ == 0) {
      piece_ = view.empty() ? 0 : 1;
      ended_ = false;
      break;
    }
    const bool complete = known && (ended_ || source_.final());
    if (valid_ > 0) piece_ = match(view.substr(0, valid_), complete);
    if (piece_ == 0) source_.grow();
  }
  return source_.view().substr(0, piece_);
}

// Finds how far the window is UTF-8; false if it ends inside a character or is empty, and more may come.
bool Splitter::validate() {
  if (ended_) return true;
  const std::string_view view = source_.view();
  valid_ += utf8_prefix(view.substr(valid_));
  if (source_.final()) {
    ended_ = true;
    return true;
  }
  const std::string_view rest = view.substr(valid_);
  ended_ = !rest.empty() && !utf8_truncated(rest.substr(0, 4));
  return ended_;
}

// Length of the piece at the start; 0 if it could be longer once more of the text is there.
size_t Splitter::match(std::string_view valid, bool complete) {
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(valid.data());
  auto& at = *memory_.match_;
  const auto& code = *split_.code_;
  const uint32_t options = complete ? 0 : PCRE2_PARTIAL_HARD;
  const int found = code.jit ? pcre2_jit_match(code.code, subject, valid.size(), 0, options, at.data, at.context)
                             : pcre2_match(code.code, subject, valid.size(), 0, options | PCRE2_NO_UTF_CHECK, at.data, at.context);
  if (found == PCRE2_ERROR_PARTIAL && !complete) return 0;
  LV_CHECK(found >= 0, "[tokenizer] PCRE2 cannot split the text (error {})", found);
  const size_t* span = pcre2_get_ovector_pointer(at.data);
  LV_CHECK(span[0] == 0 && span[1] > 0, "[tokenizer] the pre-tokenizer leaves a character out");
  return span[1];
}

}  // namespace longview
