// tokenizer.json and llama2.c files: what is read of them, and that what is wrong or not known is an error that names it.
#include <gtest/gtest.h>

#include "longview/base/check.h"
#include "tests/text/vocabularies.h"

namespace longview {
namespace {

using nlohmann::json;

json small(const std::string& name) { return json::parse(read_text(golden_path("tokenizer_" + name + ".json"))); }

std::string error_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The error of a small vocabulary with one value changed.
std::string changed(const std::string& name, const std::string& at, const json& value) {
  json file = small(name);
  file[json::json_pointer(at)] = value;
  return error_of([&] { make_tokenizer(tokenizer_from_json(file.dump(), "", "t.json")); });
}

TEST(TokenizerJson, ReadsWhatTheFileSays) {
  const auto llama3 = golden_spec("llama3");
  EXPECT_EQ(llama3.model, "bpe");
  EXPECT_EQ(llama3.split, "llama-3");
  EXPECT_TRUE(llama3.ignore_merges && llama3.add_bos && !llama3.add_eos && !llama3.nfc);
  EXPECT_EQ(llama3.tokens[static_cast<size_t>(llama3.bos)], "<|begin_of_text|>");
  const auto qwen2 = golden_spec("qwen2");
  EXPECT_EQ(qwen2.split, "qwen2");
  EXPECT_TRUE(qwen2.nfc && !qwen2.add_bos);
  EXPECT_EQ(qwen2.kinds[1], TokenKind::control);
  EXPECT_EQ(qwen2.kinds.back(), TokenKind::user);
  const auto legacy = golden_spec("legacy");
  EXPECT_EQ(legacy.model, "spm");
  EXPECT_TRUE(legacy.add_space_prefix && legacy.space_prefix == SpacePrefix::each && legacy.split.empty() && legacy.add_bos);
  EXPECT_EQ(legacy.kinds[0], TokenKind::unknown);
  EXPECT_EQ(legacy.kinds[3], TokenKind::byte);
  EXPECT_EQ(golden_spec("metaspace").space_prefix, SpacePrefix::first_unless_space);
  EXPECT_EQ(golden_spec("words").split, "metaspace");
}

TEST(TokenizerJson, ReadsTheConfigBesideIt) {
  const std::string file = small("qwen2").dump();
  const json config = {
      {"bos_token", nullptr},
      {"eos_token", {{"content", "<|im_end|>"}, {"special", true}}},
      {"pad_token", "<|endoftext|>"},
      {"add_bos_token", false},
      {"chat_template", json::array({{{"name", "tool"}, {"template", "T"}}, {{"name", "default"}, {"template", "D"}}})}};
  const auto spec = tokenizer_from_json(file, config.dump(), "t.json");
  EXPECT_EQ(spec.bos, -1);
  EXPECT_EQ(spec.eos, 2);
  EXPECT_EQ(spec.pad, 0);
  EXPECT_EQ(spec.stops, (std::vector<Id>{2, 0}));
  EXPECT_EQ(spec.chat_template, "D");
  const auto with = [&](const json& one) { return error_of([&] { tokenizer_from_json(file, one.dump(), "t.json"); }); };
  EXPECT_EQ(with({{"eos_token", "</s>"}}), "[tokenizer] t.json: eos_token '</s>' is not in the vocabulary");
  EXPECT_EQ(with({{"eos_token", 7}}), "[tokenizer] t.json: 'eos_token' must be a string");
  EXPECT_EQ(with({{"add_bos_token", "yes"}}), "[tokenizer] t.json: 'add_bos_token' must be true or false");
  EXPECT_EQ(with(json::array()), "[tokenizer] t.json: tokenizer_config.json must be an object");
  EXPECT_TRUE(tokenizer_from_json(file, R"({"bos_token":"<|im_start|>","add_bos_token":true})", "t.json").add_bos);
}

TEST(TokenizerJson, NamesWhatItDoesNotKnow) {
  EXPECT_EQ(changed("gpt2", "/model/type", "Unigram"), "[tokenizer] t.json: model 'Unigram' is not known; known: BPE");
  EXPECT_EQ(changed("gpt2", "/model/dropout", 0.1), "[tokenizer] t.json: dropout is not known; merges must be the same every time");
  EXPECT_EQ(changed("gpt2", "/model/end_of_word_suffix", "</w>"), "[tokenizer] t.json: end_of_word_suffix '</w>' is not known");
  EXPECT_EQ(changed("gpt2", "/pre_tokenizer/add_prefix_space", true),
            "[tokenizer] t.json: ByteLevel with add_prefix_space is not known");
  EXPECT_EQ(changed("gpt2", "/normalizer", {{"type", "Lowercase"}}),
            R"([tokenizer] t.json: normalizer {"type":"Lowercase"} is not known; known: NFC, Prepend and Replace of U+2581)");
  EXPECT_EQ(changed("gpt2", "/post_processor", {{"type", "BertProcessing"}}),
            "[tokenizer] t.json: post-processor 'BertProcessing' is not known; known: ByteLevel, Sequence, TemplateProcessing");
  EXPECT_NE(changed("qwen2", "/pre_tokenizer/pretokenizers/0/pattern/Regex", "\\d+")
                .find("this pre-tokenizer is not known: {\"behavior\""),
            std::string::npos);
  EXPECT_NE(changed("legacy", "/pre_tokenizer", {{"type", "Whitespace"}})
                .find("this pre-tokenizer is not known: {\"type\":\"Whitespace\"}"),
            std::string::npos);
  EXPECT_EQ(changed("legacy", "/model/byte_fallback", false),
            "[tokenizer] t.json: BPE is known with a ByteLevel pre-tokenizer or with byte_fallback; this has neither");
  EXPECT_EQ(changed("gpt2", "/added_tokens/0/single_word", true),
            "[tokenizer] t.json: single_word of added token '<|endoftext|>' is not known");
}

TEST(TokenizerJson, RefusesWhatIsWrong) {
  const auto raw = [](const std::string& text) {
    return error_of([&] { make_tokenizer(tokenizer_from_json(text, "", "t.json")); });
  };
  EXPECT_NE(raw("{").find("[tokenizer] t.json: "), std::string::npos);
  EXPECT_NE(raw("").find("[tokenizer] t.json: "), std::string::npos);
  EXPECT_EQ(raw("[]"), "[tokenizer] t.json: expected an object with 'model'; got a array");
  EXPECT_EQ(raw("{}"), "[tokenizer] t.json: 'model' must be an object");
  EXPECT_NE(raw(std::string(100000, '[')).find("nests deeper than 200"), std::string::npos);
  for (const json& id : {json(-1), json(1e9), json(1.5), json("7"), json(nullptr), json(4294967297), json::array()})
    EXPECT_NE(changed("gpt2", "/model/vocab/a", id).find("the id of token 'a' must be a whole number below "), std::string::npos)
        << id;
  EXPECT_EQ(changed("gpt2", "/model/vocab/a", 40), "[tokenizer] t.json: id 40 is both 'H' and 'a'");
  EXPECT_EQ(changed("gpt2", "/added_tokens/0/id", 5), "[tokenizer] t.json: token '<|endoftext|>' has two ids, 0 and 5");
  EXPECT_EQ(changed("gpt2", "/added_tokens/0/id", "0").substr(0, 60),
            "[tokenizer] t.json: the id of added token '<|endoftext|>' mu");
  EXPECT_EQ(changed("gpt2", "/added_tokens", 3), "[tokenizer] t.json: added_tokens must be a list");
  EXPECT_EQ(changed("gpt2", "/model/merges/0", "a"), "[tokenizer] t.json: merge 'a' must be two tokens");
  EXPECT_EQ(changed("gpt2", "/model/merges/0", "a b c"), "[tokenizer] t.json: merge 'a b c' must be two tokens");
  EXPECT_EQ(changed("gpt2", "/model/merges/0", {"a", 1}), "[tokenizer] t.json: a merge must be two tokens");
  EXPECT_EQ(changed("gpt2", "/model/merges/0", "a qqqq"), "[tokenizer] merge 0 needs 'aqqqq', which is not in the vocabulary");
  EXPECT_EQ(changed("legacy", "/post_processor/single/0/SpecialToken/id", "<q>"),
            "[tokenizer] t.json: the post-processor's '<q>' is not in the vocabulary");
}

TEST(TokenizerLlama2c, ReadsScoredStrings) {
  const auto spec = golden_spec("llama2c");
  EXPECT_EQ(spec.tokens.size(), 600u);
  EXPECT_EQ(spec.tokens[1], "<s>");
  EXPECT_EQ(spec.tokens[3], "<0x00>");
  EXPECT_TRUE(spec.add_bos && spec.add_space_prefix);
  const MappedFile file(golden_path("tokenizer_llama2c.bin"));
  EXPECT_EQ(error_of([&] { tokenizer_from_llama2c(file.bytes(), 601, "t.bin"); }),
            "[tokenizer] t.bin ends early: 4 bytes are missing");
  EXPECT_EQ(error_of([&] { tokenizer_from_llama2c(file.bytes().first(1000), 600, "t.bin"); }).substr(0, 28),
            "[tokenizer] t.bin ends early");
  EXPECT_EQ(error_of([&] { tokenizer_from_llama2c({}, 0, "t.bin"); }),
            "[tokenizer] t.bin: a llama2.c vocabulary has at least 259 tokens; got 0");
}

}  // namespace
}  // namespace longview
