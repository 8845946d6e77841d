// longview bench: speed of prefill and decode on this machine, as medians over repetitions.
#include <chrono>

#include "longview/base/text_format.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

struct BenchCommand : SharedOptions {
  int64_t prompt = 512, generate = 32, chunk = 512, repeat = 3;
};

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

void bench(const BenchCommand& command, double program_start) {
  LV_CHECK(command.prompt >= 1 && command.generate >= 1 && command.repeat >= 1 && command.chunk >= 1,
           "[bench] --prompt, --generate, --repeat and --chunk must be at least 1; got {}, {}, {} and {}", command.prompt,
           command.generate, command.repeat, command.chunk);
  check_writable("--json", command.json);
  const Opened opened = open_model(command);
  const Transformer& model = *opened.model;
  const Method method = model.method(asked_position(command, model.config()), asked_attention(command, model.config()));
  std::vector<Id> ids(static_cast<size_t>(command.prompt));
  for (size_t n = 0; n < ids.size(); ++n)
    ids[n] = static_cast<Id>((n * 2654435761U + 12345U) % static_cast<uint64_t>(model.config().vocabulary));
  std::vector<double> prefill, decode;
  double first_token = 0;
  int64_t state_bytes = 0;
  for (int64_t r = 0; r < command.repeat; ++r) {
    Session session;
    double start = now();
    feed(model, method, ids, command.chunk, session);
    Tensor logits = next_logits(model, session);
    prefill.push_back(static_cast<double>(command.prompt) / (now() - start));
    if (r == 0) first_token = now() - program_start;
    start = now();
    for (int64_t n = 0; n < command.generate; ++n) {
      const Id id = static_cast<Id>(logits.argmax().item<int64_t>());
      feed(model, method, std::span(&id, 1), 1, session);
      logits = next_logits(model, session);
    }
    decode.push_back(static_cast<double>(command.generate) / (now() - start));
    state_bytes = session.state.bytes();
  }
  print(command, fmt::format("{}\n  prompt of {} tokens  {:.1f} tokens/s\n  {} tokens made     {:.1f} tokens/s\n"
                             "  first token after    {:.2f} s, {} resident at most\n",
                             method_text(method), with_commas(command.prompt), median(prefill), with_commas(command.generate),
                             median(decode), first_token, bytes_text(rss_peak_bytes())));
  write_json(command, {{"model", model.config().name},
                       {"position", method.position->setting},
                       {"attention", method.attention->setting},
                       {"threads", at::get_num_threads()},
                       {"loops", instruction_set()},
                       {"commit", LONGVIEW_COMMIT},
                       {"prompt", command.prompt},
                       {"generate", command.generate},
                       {"repeat", command.repeat},
                       {"prefill_tokens_per_second", median(prefill)},
                       {"decode_tokens_per_second", median(decode)},
                       {"prefill_runs", prefill},
                       {"decode_runs", decode},
                       {"seconds_to_first_token", first_token},
                       {"state_bytes", state_bytes},
                       {"rss_peak_bytes", rss_peak_bytes()}});
}

}  // namespace

void add_bench(CLI::App& program) {
  const double start = now();
  auto command = std::make_shared<BenchCommand>();
  auto* app = program.add_subcommand("bench", "speed of reading a prompt and of making tokens after it");
  add_model_options(*app, *command);
  add_method_options(*app, *command);
  add_count(*app, "--prompt", command->prompt, "tokens of prompt (512)");
  add_count(*app, "--generate", command->generate, "tokens to make after it (32)");
  add_count(*app, "--chunk", command->chunk, "tokens read at once (512)");
  add_count(*app, "--repeat", command->repeat, "repetitions; the median counts (3)");
  app->callback([command, start] { bench(*command, start); });
}

}  // namespace longview::tools
