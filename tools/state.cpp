// longview state info|verify FILE: what a saved state is, and whether every byte of it is as it was written.
#include "longview/base/text_format.h"
#include "tools/memory.h"

namespace longview::tools {
namespace {

struct StateCommand : SharedOptions {
  std::string file;
};

Json json_of(const SnapshotInfo& info, const Transformer* model) {
  return {{"text", info.text},
          {"tokens", info.tokens},
          {"model", info.model},
          {"model_fingerprint", info.model_fingerprint},
          {"position", info.position},
          {"attention", info.attention},
          {"token_digest", info.token_digest},
          {"state_bytes", info.state_bytes},
          {"checksum", info.checksum},
          {"memory", memory_json(info.memory, model)}};
}

void info(const StateCommand& command) {
  const SnapshotInfo info = read_snapshot_info(command.file);  // throws when a byte is wrong
  std::optional<Opened> opened;
  if (!command.model.empty()) opened.emplace(open_model(command));
  const Transformer* model = opened ? opened->model.get() : nullptr;
  LV_CHECK(model == nullptr || fmt::format("{:016x}", opened->checkpoint.fingerprint) == info.model_fingerprint,
           "[state] {} was made with the model '{}' ({}), not with {}", command.file, info.model, info.model_fingerprint,
           command.model);
  print(command,
        fmt::format("{}  {} tokens read\n  model      {} ({})\n  method     {}, {}\n  state      {}\n  checksum   {}, matches\n",
                    info.text, with_commas(info.tokens), info.model, info.model_fingerprint, info.position, info.attention,
                    bytes_text(info.state_bytes), info.checksum));
  if (!info.memory.empty()) print(command, memory_text(info.memory, model));
  write_json(command, json_of(info, model));
}

/// Beyond info: the model it is meant for is there, fits, and can go on from it.
void verify(const StateCommand& command) {
  SharedOptions quiet = command;
  quiet.quiet = true;
  const Opened opened = open_model(quiet);
  const auto& config = opened.model->config();
  auto restored = load_session(command.file, config, opened.checkpoint.fingerprint);
  const Method method = opened.model->method(restored.info.position, restored.info.attention);
  const Id id = static_cast<Id>(next_logits(*opened.model, restored.session).argmax().item<int64_t>());
  feed(*opened.model, method, std::span(&id, 1), 1, restored.session);
  print(command, fmt::format("{} is whole, belongs to {} and goes on from token {}\n", command.file, config.name,
                             with_commas(restored.info.tokens)));
  write_json(command, json_of(restored.info, opened.model.get()));
}

}  // namespace

void add_state(CLI::App& program) {
  auto* app = program.add_subcommand("state", "saved states: what they are, whether they are whole");
  app->require_subcommand(1);
  auto command = std::make_shared<StateCommand>();
  auto* info_app =
      app->add_subcommand("info", "what a state file holds; checks every byte; with -m also the gates of a memory's model");
  auto* verify_app = app->add_subcommand("verify", "checks that a state file is whole, belongs to the model and can go on");
  info_app->add_option("file", command->file, "state file")->required()->type_name("FILE");
  add_model_options(*info_app, *command);
  verify_app->add_option("file", command->file, "state file")->required()->type_name("FILE");
  add_model_options(*verify_app, *command);
  info_app->callback([command] { info(*command); });
  verify_app->callback([command] { verify(*command); });
}

}  // namespace longview::tools
