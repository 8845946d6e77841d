// longview train CONFIG.toml: from scratch, continued, resumed.
#include "longview/base/text_format.h"
#include "longview/segment/sources.h"
#include "longview/train/cost.h"
#include "longview/train/fresh.h"
#include "longview/train/profile.h"
#include "longview/train/run.h"
#include "longview/train/saved.h"
#include "longview/train/toml.h"
#include "tools/reading.h"
#include "tools/train_log.h"

namespace longview::tools {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kWarmUp = 10, kProfiled = 3;  // steps
constexpr uint64_t kValidationSeed = 20171206;  // the same rows whatever the seed of the training
const std::vector<std::string> kOnce = {"data", "model", "run", "schedule", "train"}, kSeveral = {"stage"};

struct DataConfig {
  std::string source, validation, cache;
  void fields(auto&& field) {
    field("source", source, "what to train on: text:path=FOLDER, passkey:path=..., several with shares: 0.5*text:... + 0.5*copy");
    field("validation", validation,
          "what to validate on, written like the source: its first batches, the same every time; nothing: none");
    field("cache", cache, "folder for tokens that were made once; nothing: they are kept in memory");
  }
};

struct TrainCommand : SharedOptions {
  std::string config, out, from, profile;
  std::vector<std::string> changes;
  double peak = 0;
  bool is_resuming = false, is_replacing = false;
};

/// All that a configuration file says.
struct TrainingPlan {
  Tables tables;
  FreshConfig model;
  std::string tokenizer = "byte";
  TrainerConfig train;
  ScheduleConfig schedule;
  RunConfig run;
  std::vector<StageConfig> stages;
  DataConfig data;
};

template <class Config>
Config one(const Tables& tables, const std::string& name, const std::vector<std::string>& left_out = {}) {
  const auto found = tables.find(name);
  if (found == tables.end()) return {};
  Setting setting = found->second.front();
  for (const auto& key : left_out) setting.values.erase(key);
  return with_values(Config{}, setting);
}

TrainingPlan training_plan(const TrainCommand& command) {
  TrainingPlan plan;
  plan.tables = read_tables(longview::read_text(command.config), command.config, kOnce, kSeveral);
  for (const auto& change : command.changes) override_value(plan.tables, change, kOnce, kSeveral);
  plan.model = one<FreshConfig>(plan.tables, "model", {"tokenizer", "from"});
  plan.train = one<TrainerConfig>(plan.tables, "train");
  plan.schedule = one<ScheduleConfig>(plan.tables, "schedule");
  plan.run = one<RunConfig>(plan.tables, "run");
  for (const auto& setting : plan.tables["stage"]) plan.stages.push_back(with_values(StageConfig{}, setting));
  if (plan.stages.empty()) plan.stages.push_back({});
  plan.data = one<DataConfig>(plan.tables, "data");
  LV_CHECK(!plan.data.source.empty(), "[train] {} does not say what to train on: [data] source = \"text:path=FOLDER\"",
           command.config);
  return plan;
}

std::string value_of(const TrainingPlan& plan, const std::string& table, const std::string& key) {
  const auto found = plan.tables.find(table);
  if (found == plan.tables.end() || found->second.empty()) return "";
  const auto value = found->second.front().values.find(key);
  return value == found->second.front().values.end() ? "" : value->second;
}

/// "byte", a folder with tokenizer.json (convert --train-bpe writes one), or a model whose tokenizer it is.
TokenizerSpec tokenizer_of(const std::string& name) {
  if (name.empty() || name == "byte") return byte_tokenizer_spec();
  const fs::path file = fs::path(name) / "tokenizer.json", beside = fs::path(name) / "tokenizer_config.json";
  if (!fs::exists(file) || fs::exists(fs::path(name) / "config.json")) return open_named(name, "").tokenizer;
  return tokenizer_from_json(longview::read_text(file), fs::exists(beside) ? longview::read_text(beside) : "", file.string());
}

/// The model to begin with: a checkpoint of a training, any checkpoint, or a new one.
Checkpoint begin(const TrainCommand& command, const TrainingPlan& plan, const fs::path& resumed) {
  const std::string from = command.from.empty() ? value_of(plan, "model", "from") : command.from;
  LV_CHECK(resumed.empty() || plan.train.lora == 0 || !from.empty(),
           "[train] adapters go on beside the model they began with: give --from, as at first");
  if (!resumed.empty() && plan.train.lora == 0) return open_checkpoint(resumed / "model");
  if (!from.empty()) return open_named(from, "");
  return fresh_checkpoint(plan.model, tokenizer_of(value_of(plan, "model", "tokenizer")), plan.run.seed);
}

std::string note_of(const Record& r) {
  std::string out = fmt::format("loss {:.4f}", r.loss);
  for (const auto& [kind, share] : r.accuracies) out += fmt::format("  {} {:.0f}%", kind, 100 * share);
  return out;
}

std::string progress_note(const Record& r) {
  std::string out = fmt::format("{}  {} tokens/s", note_of(r), with_commas(r.tokens_per_second, 0));
  if (r.utilization) out += fmt::format("  MFU {:.1f}%", 100 * *r.utilization);
  return out + "  " + bytes_text(r.memory_bytes);
}

/// The device of this rank: on a machine with several, each has its own GPU.
at::Device device_of(const TrainCommand& command, const Launch& launch) {
  const at::Device device = open_device(command.device);
  if (device.is_cpu() || launch.size == 1 || command.device.rfind(':') != std::string::npos) return device;
  return open_device(fmt::format("cuda:{}", launch.local_rank));
}

std::shared_ptr<Communicator> ranks_of(const Launch& launch, double timeout, at::Device device) {
  const auto ranks = connect(launch, timeout);
  return device.is_cpu() || launch.size == 1 ? ranks : connect_nccl(ranks, device);
}

/// Ranks that were given different things would wait for each other for ever.
void check_alike(const TrainingPlan& plan, const TrainCommand& command, Communicator& ranks) {
  const std::string all = toml_text(plan.tables, kSeveral) + command.from + command.out + (command.is_resuming ? " resumed" : "");
  const auto own = static_cast<int64_t>(std::hash<std::string>()(all));
  const Tensor first = at::full({1}, own, at::kLong);  // [1]
  ranks.broadcast(first);
  LV_CHECK(!ranks.any(first.item<int64_t>() != own),
           "[train] the ranks were not given the same configuration and options: every rank needs the same file, folder and --set");
}

/// Profiles a few steps, once the first ones have allocated what there is to allocate.
std::function<void(int64_t)> profiled_steps(const TrainCommand& command, const Trainer& trainer, Progress& progress) {
  const int64_t first = trainer.done() + kWarmUp;
  auto profile = std::make_shared<std::optional<Profile>>();
  return [=, &trainer, &progress](int64_t done) {
    if (done == first) profile->emplace(trainer.device());
    if (done != first + kProfiled) return;
    const std::string table = (*profile)->finish(command.profile);
    progress.say(fmt::format("{}: steps {} to {}\n{}", command.profile, first + 1, done, table));
    profile->reset();
  };
}

void train(TrainCommand command, const Launch& launch) {
  const c10::InferenceMode training(false);                         // other commands make no gradients
  if (launch.rank > 0) command.quiet = true, command.json.clear();  // one rank speaks for all
  interrupted();
  check_writable("--json", command.json);
  check_writable("--profile", command.profile);
  TrainingPlan plan = training_plan(command);
  const fs::path out = command.out;
  const at::Device device = device_of(command, launch);
  const auto ranks = ranks_of(launch, plan.run.timeout, device);
  const auto saved = saved_trainings(out);
  LV_CHECK(saved.empty() || command.is_resuming || command.is_replacing,
           "[train] '{}' has a training of {} steps: --resume goes on with it, --force begins anew", out.string(),
           saved.rbegin()->first);
  check_alike(plan, command, *ranks);  // and all have looked before anything changes
  if (command.is_replacing && !command.is_resuming && launch.rank == 0)
    for (const auto& [step, folder] : saved) fs::remove_all(folder);
  LV_CHECK(!command.is_resuming || !saved.empty(), "[train] there is no training in '{}' to go on with", out.string());
  const int64_t threads = command.threads > 0 ? command.threads : std::max<int64_t>(1, at::get_num_threads() / launch.local_size);
  at::set_num_threads(static_cast<int>(threads));
  const fs::path resumed = command.is_resuming ? saved.rbegin()->second : fs::path();
  const Checkpoint checkpoint = begin(command, plan, resumed);
  fs::create_directories(out);
  Trainer trainer(checkpoint, plan.train, plan.schedule, device, ranks);
  const std::shared_ptr<const Tokenizer> tokenizer = make_tokenizer(checkpoint.tokenizer);
  if (launch.rank > 0 && !plan.data.cache.empty()) ranks->barrier();  // rank 0 fills the cache, the others read it
  const TokenCache cache{plan.data.cache, [&](std::string_view text) { note(command, text); }};
  const auto source = make_prefetched(make_source(plan.data.source, {tokenizer, plan.run.seed, cache}));
  if (launch.rank == 0 && !plan.data.cache.empty()) ranks->barrier();
  Json rest;
  if (!resumed.empty()) {
    const SavedTraining loaded = load_training(resumed);
    rest = loaded.rest;
    trainer.restore(loaded.tensors, rest.at("step").get<int64_t>());
  } else if (launch.rank == 0) {
    write_file(out / "config.toml", toml_text(plan.tables, kSeveral));
  }
  const auto& c = checkpoint.config;
  const std::string what = fmt::format("{} parameters, {} layers of {}, {}", with_commas(trainer.parameters().count()), c.layers,
                                       c.width, trainer.method().attention->setting);
  RunHooks hooks;
  hooks.peak_operations = command.peak > 0 ? command.peak : peak_operations(device, trainer.type());
  if (hooks.peak_operations) *hooks.peak_operations *= static_cast<double>(launch.size);
  const std::string machine = gpu_name(device).empty() ? device_text(device) : gpu_name(device);
  const std::string peak = hooks.peak_operations ? fmt::format("{:.3g} TFLOP/s {}", *hooks.peak_operations / 1e12,
                                                               command.peak > 0  ? "as --peak-flops says"
                                                               : device.is_cpu() ? "measured with a product of matrices"
                                                                                 : "dense, as its maker states")
                                                 : "not known, so no MFU: --peak-flops says it";
  note(command, fmt::format("{}; {} on {}{} ({})", what, trainer.done() > 0 ? "going on" : "training", machine,
                            launch.size > 1 ? fmt::format(", {} ranks through {}", launch.size, ranks->transport()) : "", peak));
  Facts facts{{"model", what},
              {"data", plan.data.source},
              {"validation", plan.data.validation.empty() ? "none" : plan.data.validation},
              {"peak", peak}};
  for (const Fact& fact : run_facts(command)) facts.push_back(fact);
  if (launch.size > 1) facts.push_back({"ranks", fmt::format("{} through {}", launch.size, ranks->transport())});
  std::optional<TrainLog> log;  // of rank 0
  if (launch.rank == 0) log.emplace(out, command.is_resuming, plan.train.steps, facts);
  const auto held_out =
      plan.data.validation.empty() ? nullptr : make_source(plan.data.validation, {tokenizer, kValidationSeed, cache});
  hooks.validation = held_out.get();
  Progress progress(plan.train.steps, "steps", progress_output(command));
  Record last;
  hooks.record = [&](const Record& record) {
    last = record;
    if (log) log->add(record.json());
    progress.update(record.step, progress_note(record), record.seconds_left);
  };
  hooks.say = [&](const std::string& text) { progress.say(text); };
  hooks.stop = [] { return interrupted().load(); };
  if (!command.profile.empty() && launch.rank == 0) hooks.stepped = profiled_steps(command, trainer, progress);
  RunOutcome outcome;
  try {
    outcome = run_training(trainer, *source, Curriculum(plan.stages), plan.run, plan.train.steps, out, rest, hooks);
  } catch (const std::exception& error) {
    if (log) log->end(TrainingReport::State::failed, error.what());
    throw;
  }
  if (log) log->end(outcome.is_finished ? TrainingReport::State::finished : TrainingReport::State::stopped);
  progress.finish();
  if (launch.rank > 0) return;
  print(command,
        fmt::format("{} of {} steps, {}; {} tokens in {:.0f} s\n{}; the model: {}\n", outcome.step, plan.train.steps, note_of(last),
                    with_commas(last.tokens), last.seconds, outcome.is_finished ? "finished" : "stopped, go on with --resume",
                    (outcome.saved / "model").string()));
  write_json(command, {{"steps", outcome.step},
                       {"finished", outcome.is_finished},
                       {"saved", outcome.saved.string()},
                       {"last", last.json()},
                       {"parameters", trainer.parameters().count()}});
}

}  // namespace

void add_train(CLI::App& program) {
  auto command = std::make_shared<TrainCommand>();
  auto* app = program.add_subcommand("train", "train a model from scratch, go on with one, fine-tune");
  app->add_option("config", command->config, "TOML: [model] [train] [schedule] [run] [[data]] [[stage]]")
      ->required()
      ->type_name("CONFIG.toml");
  app->add_option("-o,--out", command->out, "folder of the training: configuration, log, checkpoints")
      ->required()
      ->type_name("FOLDER");
  app->add_option("--from", command->from, "begin with this checkpoint's weights in place of new ones")->type_name("MODEL");
  app->add_option("--set", command->changes, "change a value of the file: train.steps=100, stage.0.length=256; may be repeated")
      ->type_name("TABLE.KEY=VALUE")
      ->allow_extra_args(false);
  app->add_flag("--resume", command->is_resuming, "go on from the last checkpoint in the folder");
  app->add_flag("--force", command->is_replacing, "begin anew where a training is");
  app->add_option("--peak-flops", command->peak,
                  "operations a second that the device can do, for the MFU; nothing: from a table of GPUs, measured on a CPU")
      ->type_name("N");
  app->add_option("--profile", command->profile,
                  "write what steps 11 to 13 do and when, as a trace for ui.perfetto.dev; and say what took longest")
      ->type_name("FILE");
  app->add_option("-t,--threads", command->threads, "threads; 0: all processors");
  app->add_option("--device", command->device, "auto: a GPU where there is one; cpu, cuda, cuda:1")->type_name("DEVICE");
  add_json_option(*app, *command);
  app->add_flag("-q,--quiet", command->quiet, "no progress and no notes");
  app->footer(
      "Ctrl-C saves a checkpoint and stops.\n"
      "Several processes: mpirun -n 4 longview train ..., or torchrun --no-python --nproc-per-node 4 longview train ...; a GPU "
      "each where\n"
      "there are GPUs. They share the rows of a batch; [train] shard = optimizer (ZeRO-1) and sequence_ranks say what else.\n");
  app->callback([command] {
    const Launch launch = read_launch();
    try {
      train(*command, launch);
    } catch (const c10::Error& error) {
      if (launch.size == 1) throw;
      fail("rank {} of {}: {}", launch.rank, launch.size, error.what_without_backtrace());
    } catch (const std::exception& error) {
      if (launch.size == 1) throw;
      fail("rank {} of {}: {}", launch.rank, launch.size, error.what());
    }
  });
}

}  // namespace longview::tools
