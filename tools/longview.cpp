// The program: one subcommand a file. Errors end here: one line on standard error and exit status 1.
#include <unistd.h>

#include <array>
#include <iostream>

#include "longview/base/allocator.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

// Threads of libgomp that wait spin for 300,000 turns before they sleep. On a machine with other work to do they then take the time
// that the thread they wait for needs (8 times slower, measured). libgomp reads the number from the environment when it is loaded,
// which is before main: so the program starts itself once more, before any library is initialised (about 5 ms).
void wait_briefly(int, char** arguments, char** environment) {
  static std::array<char*, 4096> longer{};
  static std::array<char, 4096> path{};
  static std::array<char, 32> setting{"GOMP_SPINCOUNT=10000"};
  size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    const std::string_view entry = environment[count];
    if (entry.starts_with("GOMP_SPINCOUNT=") || entry.starts_with("OMP_WAIT_POLICY=") || count + 2 >= longer.size()) return;
    longer[count] = environment[count];
  }
  longer[count] = setting.data();
  if (::readlink("/proc/self/exe", path.data(), path.size() - 1) > 0) ::execve(path.data(), arguments, longer.data());
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const kBeforeLibraries)(int, char**, char**) = wait_briefly;

/// The subcommand that was chosen, the innermost one; the program itself if there is none.
const CLI::App& chosen(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return below.empty() ? app : chosen(*below.front());
}

std::string path_of(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : path_of(*app.get_parent()) + " " + app.get_name();
}

std::vector<std::string> subcommand_names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const auto* below : app.get_subcommands([](const CLI::App*) { return true; })) out.push_back(below->get_name());
  return out;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) out.push_back("--" + name);
  return out;
}

/// What was wrong with the command line, in one line.
std::string complaint(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App& app = chosen(program);
  const auto extra = app.remaining(true);
  const std::string where = path_of(app), see = fmt::format("; `{} --help` tells more", where);
  const auto below = subcommand_names(app);
  if (!extra.empty() && extra.front().rfind('-', 0) == 0) {
    const std::string near = nearest(extra.front().substr(0, extra.front().find('=')), option_names(app));
    return fmt::format("{}: unknown option '{}'{}{}", where, extra.front(),
                       near.empty() ? "" : fmt::format("; did you mean '{}'?", near), see);
  }
  if (!extra.empty() && !below.empty()) return fmt::format("{}: {}{}", where, unknown_name("command", extra.front(), below), see);
  if (!extra.empty()) return fmt::format("{}: '{}' was not expected{}", where, extra.front(), see);
  if (!below.empty()) return fmt::format("{}: give a command: {}{}", where, listed(below), see);
  return fmt::format("{}: {}{}", where, error.what(), see);
}

int run(CLI::App& program, int count, char** arguments) {
  try {
    const c10::InferenceMode inference;
    program.parse(count, arguments);
    if (!std::cout.flush()) fail("[output] standard output cannot be written to; is the disk full?");
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    std::cerr << complaint(program, error) << "\n";
  } catch (const c10::Error& error) {
    std::cerr << "longview: " << error.what_without_backtrace() << "\n";
  } catch (const std::exception& error) {
    std::cerr << "longview: " << error.what() << "\n";
  }
  return 1;
}

}  // namespace
}  // namespace longview::tools

int main(int count, char** arguments) {
  longview::prepare_process();
  longview::recycle_large_tensors();
  using namespace longview::tools;
  CLI::App program{"Longview reads, continues and measures texts far longer than a model was trained for, in bounded memory.",
                   "longview"};
  program.set_version_flag("--version", std::string(LONGVIEW_VERSION) + " (" + LONGVIEW_COMMIT + ")");
  program.require_subcommand(1);
  program.get_formatter()->column_width(34);
  remember_command_line(count, arguments);
  add_read(program);
  add_generate(program);
  add_state(program);
  add_convert(program);
  add_list(program);
  add_compare(program);
  add_eval(program);
  add_explain(program);
  add_train(program);
  add_bench(program);
  return run(program, count, arguments);
}
