// longview convert SOURCE OUT: any checkpoint as a Hugging Face folder, with a compressive memory added where asked for, or as GGUF;
// an adapter as one of another dtype; or, with --train-bpe, texts as a tokenizer.
#include "longview/base/text_format.h"
#include "longview/checkpoint/adapter.h"
#include "longview/checkpoint/export.h"
#include "longview/checkpoint/export_target.h"
#include "longview/checkpoint/memory_gates.h"
#include "tools/reading.h"
#include "tools/train_tokenizer.h"

namespace longview::tools {
namespace {

struct ConvertCommand : SharedOptions {
  std::string source, out, dtype = "f32";
  std::string infini;  // --add-infini: an attention setting; "": no
  std::string gate = "tanh";
  std::optional<double> beta;
  TokenizerTraining training;  // --train-bpe
  bool is_given_gate = false, is_dropping = false, is_replacing = false;
};

BlockType dtype_named(const std::string& name) {
  static const std::map<std::string, BlockType> known = {

      {"bf16", BlockType::bf16}, {"f16", BlockType::f16}, {"f32", BlockType::f32}, {"q8_0", BlockType::q8_0}};
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [one, type] : known) names.push_back(one);
  fail("[convert] {}", unknown_name("--dtype", name, names));
}

/// The setting with all its values. It must fit the model, and have a memory that gates could open.
std::string memory_attention(const std::string& setting, const ModelConfig& config) {
  const auto attention =
      make_attention(setting, Rotary{config.head_width, config.rope_base, config.trained_length, config.own_position()});
  int64_t values = 0;
  for (int64_t layer = 0; layer < config.layers; ++layer)
    values += attention->at(layer).memory_values(config.kv_heads, config.head_width);
  LV_CHECK(values > 0, "[convert] --add-infini takes an attention method with a memory; {} has none", setting);
  return attention->setting;
}

void change_memory(const ConvertCommand& command, Checkpoint& checkpoint) {
  if (command.is_dropping) drop_memory_gates(checkpoint);
  if (!command.infini.empty())
    add_memory_gates(checkpoint, memory_attention(command.infini, checkpoint.config), command.gate, command.beta.value_or(0));
}

Json json_of(const ConvertCommand& command, const std::filesystem::path& source, const ModelConfig& c, size_t tensors,
             const std::vector<ExportedFile>& files) {
  Json list = Json::array();
  int64_t bytes = 0;
  for (const auto& file : files) {
    list.push_back({{"name", file.name}, {"bytes", file.bytes}});
    bytes += file.bytes;
  }
  return {{"source", source.string()},
          {"out", command.out},
          {"model", c.name},
          {"stored", c.storage},
          {"dtype", command.dtype},
          {"tensors", tensors},
          {"bytes", bytes},
          {"files", list},
          {"attention", c.attention.empty() ? Json() : Json(c.attention)},
          {"memory_gate", c.memory_gate.empty() ? Json() : Json(c.memory_gate)}};
}

/// An adapter stays one: --adapter is what puts it into weights.
void convert_adapter(const ConvertCommand& command, const std::filesystem::path& folder, BlockType type) {
  const std::string& out = command.out;
  const bool is_dtype_alone = command.adapter.empty() && command.infini.empty() && !command.is_dropping && !out.ends_with(".gguf");
  LV_CHECK(is_dtype_alone,
           "[convert] '{}' is an adapter and can get another dtype; to put it into a model: convert MODEL OUT --adapter {}",
           folder.string(), folder.string());
  check_apart(folder, out);
  const auto files_of = [](const std::filesystem::path& at) {
    std::vector<ExportedFile> files;
    for (const auto& entry : std::filesystem::directory_iterator(at))
      files.push_back({entry.path().filename().string(), entry.is_regular_file() ? static_cast<int64_t>(entry.file_size()) : 0});
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
  };
  LV_CHECK(!std::filesystem::exists(out) || (command.is_replacing && is_adapter_folder(out) && files_of(out).size() == 2),
           "[convert] '{}' is there; --force replaces an adapter that has nothing beside it", out);
  const Adapter source = read_adapter(folder);
  write_adapter(out, stored_as(source, type));
  ModelConfig described;
  described.name = source.base, described.attention = source.attention, described.memory_gate = source.memory_gate;
  described.storage = std::string(block_name(source.tensors.begin()->second.type));
  const Json result = json_of(command, folder, described, source.tensors.size(), files_of(out));
  print(command, fmt::format("{}  an adapter of {} as {}, {} tensors, {}\n", out, source.base, command.dtype, source.tensors.size(),
                             bytes_text(result["bytes"].get<int64_t>())));
  write_json(command, result);
}

void convert(const ConvertCommand& command) {
  if (!command.training.texts.empty()) {
    LV_CHECK(command.source.empty(), "[convert] --train-bpe reads the texts that follow it; '{}' belongs to nothing",
             command.source);
    return train_tokenizer(command, command.training, command.out);
  }
  LV_CHECK(!command.source.empty() && !command.out.empty(), "[convert] give SOURCE and OUT, or --train-bpe FILE... and -o DIR");
  LV_CHECK(!command.infini.empty() || (!command.is_given_gate && !command.beta),
           "[convert] --gate and --beta go with --add-infini");
  LV_CHECK(command.infini.empty() || !command.is_dropping, "[convert] give either --add-infini or --drop-infini");
  const BlockType type = dtype_named(command.dtype);
  check_writable("--json", command.json);
  if (const auto path = find_model(command.source); is_adapter_folder(path)) return convert_adapter(command, path, type);
  Checkpoint checkpoint = open_named(command.source, command.adapter);
  change_memory(command, checkpoint);
  interrupted();
  std::optional<Progress> progress;
  const auto report = [&](int64_t done, int64_t total) {
    if (!progress) progress.emplace(total >> 20, "MiB", progress_output(command));
    progress->update(done >> 20, "");
    return !interrupted();
  };
  const ExportOptions options{type, command.is_replacing, report};
  const bool is_gguf = std::filesystem::path(command.out).extension() == ".gguf";
  const auto files =
      is_gguf ? std::vector{export_gguf(checkpoint, command.out, options)} : export_hugging_face(checkpoint, command.out, options);
  if (progress) progress->finish();
  const ModelConfig& c = checkpoint.config;
  const Json result = json_of(command, checkpoint.path, c, checkpoint.tensors.size(), files);
  print(command, fmt::format("{}  {} as {}, {} tensors, {}\n", command.out, c.name, command.dtype, checkpoint.tensors.size(),
                             bytes_text(result["bytes"].get<int64_t>())));
  if (!c.memory_gate.empty())
    print(command,
          fmt::format("  memory     {}\n  gates      {}, {} heads in {} layers\n", c.attention, c.memory_gate, c.heads, c.layers));
  write_json(command, result);
}

}  // namespace

void add_convert(CLI::App& program) {
  auto* app = program.add_subcommand("convert", "a checkpoint as a Hugging Face folder or a GGUF; gives it a memory");
  auto command = std::make_shared<ConvertCommand>();
  app->add_option("source", command->source, "what `read -m` takes: GGUF, Hugging Face folder, llama2.c, or a name")
      ->type_name("SOURCE");
  app->add_option("-o,--out,out", command->out, "folder to write, or a file that ends in .gguf")->type_name("OUT");
  app->add_option("--dtype,--type", command->dtype, "f32, bf16 or f16, for a GGUF also q8_0; quantised weights are expanded")
      ->type_name("TYPE");
  add_adapter_option(*app, *command);
  app->add_flag("--add-infini{infini}", command->infini,
                "give every layer the gates of a compressive memory; =SETTING as --attention takes it, infini if none is given");
  app->add_option("--gate", command->gate,
                  "the memory's share: tanh (of beta 0: nothing, so the model is unchanged, and it learns at once) or sigmoid, the "
                  "paper's (of beta 0: half)")
      ->type_name("NAME")
      ->each([command](const std::string&) { command->is_given_gate = true; });
  app->add_option("--beta", command->beta, "every head's beta at first, 0 if not given; sigmoid of -4 leaves the memory 1.8%")
      ->type_name("X");
  app->add_flag("--drop-infini", command->is_dropping, "take the gates away again");
  app->add_option("--train-bpe", command->training.texts, "learn a byte-level BPE tokenizer from files, folders or archives")
      ->type_name("FILE...");
  add_count(*app, "--vocab", command->training.vocabulary, "ids of that tokenizer, 32k if not given");
  app->add_option("--split", command->training.split, "how it cuts words: " + listed(split_names()))->type_name("NAME");
  app->add_flag("--force", command->is_replacing, "replace a folder that was converted before");
  add_json_option(*app, *command);
  app->add_flag("-q,--quiet", command->quiet, "no progress and no notes");
  app->callback([command] { convert(*command); });
}

}  // namespace longview::tools
