// Hugging Face's tokenizer.json (the serialised form of the `tokenizers` library) with tokenizer_config.json beside it: BPE,
// byte-level or with byte fallback. What it does not know it names; what only concerns decoding, padding or offsets it skips.
#include <algorithm>
#include <optional>
#include <unordered_map>

#include "longview/base/check.h"
#include "longview/text/split.h"
#include "longview/text/tokenizer_json.h"

namespace longview {
namespace {

class TokenizerJson {
 public:
  TokenizerJson(std::string_view tokenizer, std::string_view config, std::string_view where)
      : file_{std::string(where)},
        root_(file_.parse(tokenizer)),
        config_(config.empty() ? JsonValue::object() : file_.parse(config)) {}

  TokenizerSpec read() {
    const JsonValue& model = file_.object(root_, "model");
    read_model(model);
    read_steps(file_, root_, spec_);
    LV_CHECK(spec_.model != "spm" || file_.flag(model, "byte_fallback", false),
             "[tokenizer] {}: BPE is known with a ByteLevel pre-tokenizer or with byte_fallback; this has neither", file_.where);
    read_added();
    mark_kinds(model);
    read_merges(model);
    read_post_processor(file_.find(root_, "post_processor"));
    read_config();
    return std::move(spec_);
  }

 private:
  void read_model(const JsonValue& model) {
    const std::string type = file_.text(model, "type", "BPE");
    LV_CHECK(type == "BPE", "[tokenizer] {}: model '{}' is not known; known: BPE", file_.where, type);
    const JsonValue* dropout = file_.find(model, "dropout");
    LV_CHECK(!dropout || *dropout == 0, "[tokenizer] {}: dropout is not known; merges must be the same every time", file_.where);
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      LV_CHECK(file_.text(model, affix, "").empty(), "[tokenizer] {}: {} '{}' is not known", file_.where, affix,
               file_.text(model, affix, ""));
    spec_.ignore_merges = file_.flag(model, "ignore_merges", false);
    const JsonValue& vocabulary = file_.object(model, "vocab");
    const JsonValue* added = file_.find(root_, "added_tokens");
    most_ = 2 * (vocabulary.size() + (added ? added->size() : 0)) + 1024;  // a file may leave some ids out, but not most
    for (const auto& [token, id] : vocabulary.items()) put(token, file_.id(id, most_, "of token '" + token + "'"));
  }

  void put(const std::string& token, Id id) {
    if (spec_.tokens.size() <= static_cast<size_t>(id)) spec_.tokens.resize(static_cast<size_t>(id) + 1);
    const auto [known, is_new] = ids_.try_emplace(token, id);
    LV_CHECK(known->second == id, "[tokenizer] {}: token '{}' has two ids, {} and {}", file_.where, token, known->second, id);
    std::string& place = spec_.tokens[static_cast<size_t>(id)];
    LV_CHECK(!is_new || place.empty(), "[tokenizer] {}: id {} is both '{}' and '{}'", file_.where, id, place, token);
    place = token;
  }

  // A "normalized" token is looked for in the text as it is written, like the others. Hugging Face looks for it after normalising:
  // where a normalizer prepends U+2581 to it, as in Llama 1, it is special there only after a space, which it takes.
  void read_added() {
    const JsonValue* added = file_.find(root_, "added_tokens");
    if (!added) return;
    LV_CHECK(added->is_array(), "[tokenizer] {}: added_tokens must be a list", file_.where);
    for (const JsonValue& entry : *added) {
      const std::string content = file_.text(entry, "content", "");
      LV_CHECK(!content.empty(), "[tokenizer] {}: an added token has no content", file_.where);
      LV_CHECK(!file_.flag(entry, "single_word", false), "[tokenizer] {}: single_word of added token '{}' is not known",
               file_.where, content);
      const JsonValue* given = file_.find(entry, "id");
      LV_CHECK(given, "[tokenizer] {}: added token '{}' has no id", file_.where, content);
      const Id id = file_.id(*given, most_, "of added token '" + content + "'");
      put(content, id);
      special_[id] = file_.flag(entry, "special", false) ? TokenKind::control : TokenKind::user;
      const SpaceTaker taker{id, file_.flag(entry, "lstrip", false), file_.flag(entry, "rstrip", false)};
      if (taker.left || taker.right) spec_.space_takers.push_back(taker);
    }
  }

  void mark_kinds(const JsonValue& model) {
    spec_.kinds.assign(spec_.tokens.size(), TokenKind::normal);
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      const std::string& token = spec_.tokens[id];
      if (token.empty()) spec_.kinds[id] = TokenKind::unused;
      if (spec_.model == "spm" && token.size() == 6 && token.starts_with("<0x") && token.ends_with('>'))
        spec_.kinds[id] = TokenKind::byte;
    }
    for (const auto& [id, kind] : special_) spec_.kinds[static_cast<size_t>(id)] = kind;
    spec_.unk = id_of(file_.text(model, "unk_token", ""));
    if (spec_.unk >= 0 && spec_.model == "spm") spec_.kinds[static_cast<size_t>(spec_.unk)] = TokenKind::unknown;
  }

  void read_merges(const JsonValue& model) {
    const JsonValue* merges = file_.find(model, "merges");
    LV_CHECK(merges && merges->is_array(), "[tokenizer] {}: merges must be a list", file_.where);
    for (const JsonValue& merge : *merges) {
      if (merge.is_string()) {
        const auto& line = merge.get_ref<const std::string&>();
        const size_t space = line.find(' ');
        LV_CHECK(space != std::string::npos && line.find(' ', space + 1) == std::string::npos,
                 "[tokenizer] {}: merge '{}' must be two tokens", file_.where, line);
        spec_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
      } else {
        LV_CHECK(merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string(),
                 "[tokenizer] {}: a merge must be two tokens", file_.where);
        spec_.merges.emplace_back(merge[0].get<std::string>(), merge[1].get<std::string>());
      }
    }
  }

  void read_post_processor(const JsonValue* step) {
    if (!step) return;
    const std::string type = file_.text(*step, "type", "");
    if (type == "ByteLevel") return;  // offsets only
    if (type == "Sequence") {
      for (const JsonValue& one : file_.list(*step, "processors")) read_post_processor(&one);
      return;
    }
    LV_CHECK(type == "TemplateProcessing",
             "[tokenizer] {}: post-processor '{}' is not known; known: ByteLevel, Sequence, TemplateProcessing", file_.where, type);
    bool after_text = false;
    for (const JsonValue& piece : file_.list(*step, "single")) {
      if (file_.find(piece, "Sequence")) {
        LV_CHECK(!after_text, "[tokenizer] {}: a post-processor that repeats the text is not known", file_.where);
        after_text = true;
        continue;
      }
      const std::string name = file_.text(file_.object(piece, "SpecialToken"), "id", "");
      const Id id = id_of(name);
      LV_CHECK(id >= 0, "[tokenizer] {}: the post-processor's '{}' is not in the vocabulary", file_.where, name);
      bool& adds = after_text ? spec_.add_eos : spec_.add_bos;
      LV_CHECK(!adds, "[tokenizer] {}: a post-processor with several tokens {} the text is not known", file_.where,
               after_text ? "after" : "before");
      adds = true;
      (after_text ? spec_.eos : spec_.bos) = id;
    }
  }

  Id id_of(const std::string& token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() || token.empty() ? -1 : found->second;
  }

  // A token of tokenizer_config.json: a string, or an object with its content.
  std::string named(const char* key) const {
    const JsonValue* value = file_.find(config_, key);
    return value && value->is_object() ? file_.text(*value, "content", "") : file_.text(config_, key, "");
  }

  void read_config() {
    LV_CHECK(config_.is_object(), "[tokenizer] {}: tokenizer_config.json must be an object", file_.where);
    const auto needed = [&](const char* key, Id& id) {
      const std::string token = named(key);
      if (token.empty()) return;
      id = id_of(token);
      LV_CHECK(id >= 0, "[tokenizer] {}: {} '{}' is not in the vocabulary", file_.where, key, token);
    };
    needed("bos_token", spec_.bos);
    needed("eos_token", spec_.eos);
    spec_.pad = id_of(named("pad_token"));
    if (spec_.unk < 0) spec_.unk = id_of(named("unk_token"));
    spec_.add_bos = file_.flag(config_, "add_bos_token", spec_.add_bos) && spec_.bos >= 0;
    spec_.add_eos = file_.flag(config_, "add_eos_token", spec_.add_eos) && spec_.eos >= 0;
    const JsonValue* templates = file_.find(config_, "chat_template");
    if (!templates || !templates->is_array()) {
      spec_.chat_template = file_.text(config_, "chat_template", "");
    } else {
      for (const JsonValue& one : *templates)
        if (file_.text(one, "name", "") == "default" || spec_.chat_template.empty())
          spec_.chat_template = file_.text(one, "template", "");
    }
    spec_.stops = find_stops(spec_);
  }

  JsonFile file_;
  JsonValue root_, config_;
  TokenizerSpec spec_;
  std::unordered_map<std::string, Id> ids_;
  std::unordered_map<Id, TokenKind> special_;
  size_t most_ = 0;
};

}  // namespace

TokenizerSpec tokenizer_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json, std::string_view where) {
  return TokenizerJson(tokenizer_json, tokenizer_config_json, where).read();
}

}  // namespace longview
