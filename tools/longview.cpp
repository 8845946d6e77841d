// The program: one subcommand a file. Errors end here: one line on standard error and exit status 1.
#include <iostream>

#include "tools/program.h"

int main(int count, char** arguments) {
  longview::prepare_process();
  using namespace longview::tools;
  CLI::App program{"Longview reads, continues and measures texts far longer than a model was trained for, in bounded memory."};
  program.set_version_flag("--version", std::string(LONGVIEW_VERSION) + " (" + LONGVIEW_COMMIT + ")");
  program.require_subcommand(1);
  program.failure_message(CLI::FailureMessage::simple);
  remember_command_line(count, arguments);
  add_read(program);
  add_generate(program);
  add_state(program);
  add_list(program);
  add_bench(program);
  try {
    const c10::InferenceMode inference;
    program.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return program.exit(error);
  } catch (const c10::Error& error) {
    std::cerr << "longview: " << error.what_without_backtrace() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "longview: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
