// longview convert: the folder it writes computes what the source computes, and its memory at first changes nothing.
#include "longview/checkpoint/adapter.h"
#include "longview/model/transformer.h"
#include "tests/tools/child.h"

namespace longview::testing {
namespace {

struct ProgramConvert : Program {
  std::string gguf(const char* name) const { return fmt::format("{}/models/{}/model.gguf", LONGVIEW_GOLDEN, name); }
  Json converted(const Words& words) const {
    const Ended ended = run(Words{"convert"} + words + Words{"--json", "-", "-q"});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.status == 0 ? ended.json() : Json::object();
  }
  /// Loss of the book by position with a method, all its digits.
  std::string losses(const std::string& model, const Words& words) const {
    const Ended ended = run(Words{"read", book, "-m", model, "--json", "-", "-q", "--buckets", "0,16,32,64,128,256"} + words);
    EXPECT_EQ(ended.status, 0) << ended.err;
    std::string out;
    const Json json = ended.json();
    for (const auto& bucket : json["buckets"]) out += bucket["nll"].dump() + " ";
    return out;
  }
};

Tensor logits_of(const fs::path& path) {
  const Transformer model(open_checkpoint(path));
  const Tensor ids = at::arange(40).mul(7).remainder(model.config().vocabulary);  // [T]
  const auto out = model.forward({ids.unsqueeze(0), 0}, model.method("", ""), {});
  return model.logits(out.hidden);  // [1,T,V]
}

TEST_F(ProgramConvert, GivesTheSameLogitsToTheBit) {
  for (const char* name : {"llama", "llama-llama3", "llama-yarn", "qwen2", "qwen3"}) {
    converted({gguf(name), at(name)});
    EXPECT_TRUE(at::equal(logits_of(gguf(name)), logits_of(at(name)))) << name;
  }
  converted({stories, at("stories")});
  EXPECT_TRUE(at::equal(logits_of(stories), logits_of(at("stories"))));
  EXPECT_EQ(losses(stories, {}), losses(at("stories"), {}));
}

TEST_F(ProgramConvert, ThroughGgufAndBackToTheBit) {
  for (const char* name : {"llama", "llama-llama3", "mistral", "qwen2", "qwen3"}) {
    const std::string folder = fmt::format("{}/models/{}", LONGVIEW_GOLDEN, name), file = at(name) + std::string(".gguf");
    const Json json = converted({folder, file});
    EXPECT_EQ(json["files"].size(), 1U);
    EXPECT_TRUE(at::equal(logits_of(folder), logits_of(file))) << name;
  }
  EXPECT_EQ(converted({llama, at("q8.gguf"), "--type", "q8_0"})["dtype"], "q8_0");
  EXPECT_EQ(losses(stories, {}), (converted({stories, at("s.gguf")}), losses(at("s.gguf"), {})));
}

TEST_F(ProgramConvert, AMemoryChangesNothingAtFirst) {
  converted({llama, at("plain")});
  const Json json = converted({llama, at("memory"), "--add-infini=infini:segment=16"});
  EXPECT_EQ(json["attention"].get<std::string>().rfind("infini:segment=16,", 0), 0U);
  EXPECT_EQ(json["memory_gate"], "tanh");
  EXPECT_EQ(losses(at("plain"), {"--attention", "full"}), losses(at("memory"), {"--attention", "full"}));
  const std::string off = losses(at("memory"), {"--attention", "infini:segment=16,memory=off"});
  EXPECT_EQ(losses(at("memory"), {}), off);
  EXPECT_EQ(losses(at("memory"), {"--attention", "infini:segment=16"}), off);
  EXPECT_EQ(losses(at("plain"), {"--attention", "infini:segment=16,memory=off"}), off);
}

TEST_F(ProgramConvert, GatesCanBeOpenedAndTakenAway) {
  const Json json = converted({llama, at("open"), "--add-infini=infini:segment=16", "--gate", "sigmoid"});
  EXPECT_EQ(json["memory_gate"], "sigmoid");
  EXPECT_EQ(Json::parse(read_text(at("open/config.json")))["model_type"], "longview");  // Llama's class would leave the memory out
  EXPECT_NE(losses(at("open"), {}), losses(at("open"), {"--attention", "infini:segment=16,memory=off"}));
  converted({at("open"), at("closed"), "--drop-infini", "--dtype", "f32"});
  converted({llama, at("plain")});
  EXPECT_EQ(read_text(at("closed/model.safetensors")), read_text(at("plain/model.safetensors")));
  EXPECT_EQ(read_text(at("closed/config.json")), read_text(at("plain/config.json")));
  const Json usual = converted({llama, at("usual"), "--add-infini", "--gate", "tanh", "--beta", "0.1"});
  EXPECT_EQ(usual["attention"].get<std::string>().rfind("infini:segment=64,", 0), 0U);  // all of the trained length
}

/// One matrix of the golden Llama with A and B of rank 2.
void write_small_adapter(const fs::path& folder, const std::string& base) {
  const std::string weight = "model.layers.1.mlp.up_proj.weight";
  const auto shape = open_checkpoint(fs::path(LONGVIEW_GOLDEN) / "models/llama").tensors.at(weight).shape;
  Adapter adapter;
  adapter.alpha = 4, adapter.base = base;
  std::vector<std::vector<float>> values;
  for (const auto& sizes : {std::vector<int64_t>{2, shape[1]}, std::vector<int64_t>{shape[0], 2}}) {
    values.emplace_back(static_cast<size_t>(sizes[0] * sizes[1]));
    for (size_t n = 0; n < values.back().size(); ++n) values.back()[n] = static_cast<float>(n % 7) * 0.1F - 0.3F;
    StoredTensor tensor{sizes, BlockType::f32, {}};
    tensor.bytes = {reinterpret_cast<const uint8_t*>(values.back().data()), values.back().size() * sizeof(float)};
    adapter.tensors[sizes[0] == 2 ? adapter_a(weight) : adapter_b(weight)] = tensor;
  }
  write_adapter(folder, adapter);
}

TEST_F(ProgramConvert, AnAdapterIsReadBesideItsModelMergedOrByItsName) {
  write_small_adapter(at("adapter"), llama);
  converted({llama, at("merged"), "--adapter", at("adapter")});
  const std::string with = losses(llama, {"--adapter", at("adapter")});
  EXPECT_NE(with, losses(llama, {}));
  EXPECT_EQ(with, losses(at("merged"), {}));
  EXPECT_EQ(with, losses(at("adapter"), {}));
  EXPECT_EQ(with, losses(llama, {"--lora", at("adapter")}));
  expect_error({"read", book, "-m", at("adapter"), "--adapter", at("adapter")}, {"is an adapter itself"});
  write_small_adapter(at("lost"), "somebody/no-such-model");
  expect_error({"read", book, "-m", at("lost")}, {"is an adapter for 'somebody/no-such-model'", "give -m MODEL --adapter"});
  ASSERT_EQ(run({"read", book, "-m", llama, "-q", "--max-tokens", "64", "--save", at("text.mem")}).status, 0);
  expect_error({"generate", "--state", at("text.mem"), "-m", llama, "--adapter", at("adapter"), "-n", "1", "-p", "x"},
               {"was made with the model"});
}

TEST_F(ProgramConvert, AnAdapterStaysOne) {
  write_small_adapter(at("adapter"), llama);
  const Json json = converted({at("adapter"), at("half"), "--dtype", "bf16"});
  EXPECT_EQ(json["stored"], "F32");
  EXPECT_EQ(json["tensors"], 2);
  EXPECT_EQ(json["files"].size(), 2U);
  EXPECT_EQ(read_adapter(at("half")).tensors.begin()->second.type, BlockType::bf16);
  EXPECT_NE(losses(at("half"), {}), losses(llama, {}));
  expect_error({"convert", at("adapter"), at("half")}, {"is there", "--force"});
  converted({at("adapter"), at("half"), "--force"});
  EXPECT_EQ(losses(at("half"), {}), losses(at("adapter"), {}));
  expect_error({"convert", at("adapter"), at("out.gguf")}, {"is an adapter", "--adapter"});
  expect_error({"convert", at("adapter"), at("out"), "--add-infini"}, {"is an adapter"});
  expect_error({"convert", at("adapter"), at("out"), "--beta", "0.2"}, {"go with --add-infini"});
  expect_error({"convert", at("adapter"), at("out"), "--dtype", "q8_0"}, {"f32, bf16 or f16"});
  expect_error({"convert", at("adapter"), at("adapter"), "--force"}, {"is what is read"});
}

TEST_F(ProgramConvert, ReplacesOnlyWhenAsked) {
  converted({llama, at("out"), "--dtype", "bf16"});
  expect_error({"convert", llama, at("out")}, {"is not empty", "--force"});
  converted({llama, at("out"), "--force"});
  EXPECT_EQ(open_checkpoint(at("out")).config.storage, "F32");
}

TEST_F(ProgramConvert, SaysWhatIsWrong) {
  const Words convert{"convert", llama, at("out")};
  expect_error(convert + Words{"--dtype", "f61"}, {"--dtype", "f61", "known: bf16, f16, f32 and q8_0"});
  expect_error(convert + Words{"--add-infini=infini:segment=128"}, {"segment of 128", "64 tokens that the model was trained for"});
  expect_error(convert + Words{"--add-infini=infini:segmnt=8"}, {"segmnt", "did you mean 'segment'"});
  expect_error(convert + Words{"--add-infini=window"}, {"a memory", "window has none"});
  expect_error(convert + Words{"--add-infini=infini:memory=off"}, {"a memory", "has none"});
  expect_error(convert + Words{"--add-infini", "--gate", "relu"}, {"tanh or sigmoid", "relu"});
  expect_error(convert + Words{"--add-infini", "--beta", "-4"}, {"0 or more for a tanh gate", "-4"});
  expect_error(convert + Words{"--beta", "1"}, {"go with --add-infini"});
  expect_error(convert + Words{"--gate", "tanh"}, {"go with --add-infini"});
  expect_error(convert + Words{"--drop-infini"}, {"no memory gates to drop"});
  expect_error(convert + Words{"--add-infini", "--drop-infini"}, {"either --add-infini or --drop-infini"});
  expect_error(convert + Words{"--dtype", "q8_0"}, {"F32, F16 or BF16", "Q8_0"});
  expect_error({"convert", llama, at("out.gguf"), "--add-infini"}, {"no words for a memory", "--drop-infini"});
  expect_error({"convert", llama, at("out.gguf")}, {"out.gguf", "File too large"}, 10'000);
  expect_error({"convert", at("missing"), at("out")}, {"missing"});
  expect_error({"convert", llama, book}, {"book.txt", "is a file"});
  expect_error({"convert", llama, at("no/such")}, {"there is no folder"});
  expect_error({"convert", llama, llama}, {"is what is read"});
  expect_error(convert, {"model.safetensors", "File too large"}, 10'000);
  converted({llama, at("memory"), "--add-infini"});
  expect_error({"convert", at("memory"), at("out"), "--add-infini"}, {"has memory gates already", "--drop-infini"});
  expect_error({"convert", at("memory"), at("memory/out")}, {"is inside what is read"});
}

TEST_F(ProgramConvert, LearnsATokenizer) {
  const Json result = converted({"--train-bpe", book, "--vocab", "300", "--split", "llama-3", "-o", at("learned")});
  EXPECT_EQ(result["tokens"], 300);
  const auto json = [&](const char* name) { return read_text(fs::path(at("learned")) / name); };
  const auto tokenizer = make_tokenizer(tokenizer_from_json(json("tokenizer.json"), json("tokenizer_config.json"), "learned"));
  EXPECT_EQ(tokenizer->spec().split, "llama-3");
  const std::string text = read_text(book);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
  for (const Words& words : {Words{"--train-bpe", book}, Words{"--train-bpe", at("gone"), "-o", at("x")}, Words{stories}, Words{},
                             Words{"--train-bpe", book, "--vocab", "100", "-o", at("x")}}) {
    const Ended ended = run(Words{"convert"} + words);
    EXPECT_NE(ended.status, 0);
    EXPECT_NE(ended.err.find("["), std::string::npos) << ended.err;
    EXPECT_FALSE(fs::exists(at("x")));
  }
}

}  // namespace
}  // namespace longview::testing
