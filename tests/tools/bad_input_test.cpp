// Bad input: one line on standard error that says what was given and what is allowed, status 1, no file written.
#include "tests/tools/child.h"

namespace longview::testing {
namespace {

using ProgramErrors = Program;

TEST_F(ProgramErrors, Books) {
  const Words read{"read", "-m", stories, "--json", at("j"), "--report", at("r"), "--save", at("s")};
  expect_error(read + Words{write("empty.txt", "")}, {"empty.txt", "is empty"});
  expect_error(read + Words{at("missing.txt")}, {"missing.txt", "No such file"});
  expect_error(read + Words{folder.string()}, {"is a folder"});
  expect_error(read + Words{LONGVIEW_PROGRAM}, {"is not a text file"});
  expect_error({"generate", "-m", stories, "-f", at("missing.txt")}, {"missing.txt", "No such file"});
  expect_error({"generate", "-m", stories, "-f", stories}, {"is not a text file"});
}

TEST_F(ProgramErrors, Models) {
  expect_error({"read", book, "-m", folder.string()}, {"config.json"});
  expect_error({"read", book, "-m", at("missing.gguf")}, {"missing.gguf"});
  expect_error({"read", book, "-m", "smolml"}, {"smolml", "did you mean", "known: "});
  expect_error({"read", book, "-m", book}, {"book.txt"});
}

TEST_F(ProgramErrors, DamagedModels) {
  std::string bytes = read_text(llama + "/model.gguf");
  expect_error({"read", book, "-m", write("cut.gguf", bytes.substr(0, bytes.size() / 2))}, {"cut.gguf"});
  expect_error({"read", book, "-m", write("short.gguf", bytes.substr(0, 40))}, {"short.gguf"});
  for (size_t n = bytes.size() - 256; n < bytes.size(); ++n) bytes[n] = '\xff';  // NaN in F32, F16 and BF16
  expect_error({"read", book, "-m", write("nan.gguf", bytes)}, {"not finite"});
}

TEST_F(ProgramErrors, Methods) {
  const Words read{"read", book, "-m", stories, "--save", at("s")};
  expect_error(read + Words{"--rope-scaling", "yern:factor=4"}, {"yern", "did you mean 'yarn'", "linear"});
  expect_error(read + Words{"--attention", "streeming"}, {"streeming", "did you mean 'streaming'", "window"});
  expect_error(read + Words{"--rope-scaling", "yarn:factr=4"}, {"factr", "did you mean 'factor'", "original"});
  expect_error(read + Words{"--rope-scaling", "linear:factor=0"}, {"factor must be at least 1", "0"});
  expect_error(read + Words{"--rope-scaling", "linear:factor=x"}, {"factor must be a finite number", "'x'"});
  expect_error(read + Words{"--attention", "window:window=0"}, {"window must be at least 1", "0"});
  expect_error(read + Words{"--attention", "streaming:window=4,sinks=4"}, {"window must be larger than its 4 sinks"});
  expect_error(read + Words{"--method", "yarn+linear"}, {"two methods of one kind"});
  expect_error(read + Words{"--method", "full", "--attention", "full"}, {"either --method"});
  expect_error(read + Words{"--method", "full", "--method", "dynamic"}, {"--save and --state keep one state"});
}

TEST_F(ProgramErrors, Numbers) {
  const Words read{"read", book, "-m", stories};
  expect_error(read + Words{"--max-tokens", "-1"}, {"--max-tokens must not be negative", "-1"});
  expect_error(read + Words{"--max-tokens", "many"}, {"--max-tokens must be a whole number", "'many'"});
  expect_error(read + Words{"--chunk", "0"}, {"--chunk must be at least 1", "0"});
  expect_error(read + Words{"--buckets", "nonsense"}, {"--buckets must be a whole number", "'nonsense'"});
  expect_error(read + Words{"--rope-scaling", "dual_chunk", "--attention", "window"},
               {"dual_chunk goes with full attention only", "window"});
  expect_error(read + Words{"--device", "tpu"}, {"auto, cpu, cuda or cuda:N", "'tpu'"});
  expect_error(read + Words{"--precision", "f16"}, {"f32 or bf16", "'f16'"});
  expect_error(read + Words{"--precision", "bf16", "--device", "cpu"}, {"for a GPU"});
  expect_error({"compare", book, "-m", llama, "--methods", "yran"}, {"yran", "yarn"});
  expect_error({"eval", "passkeys", "-m", llama}, {"passkeys", "passkey"});
  expect_error({"eval", "passkey", "-m", llama, "--lengths", "20"}, {"takes at least", "20"});
  expect_error({"eval", "needle", book, "-m", llama, "--depths", "200"}, {"--depths must be from 0 to 100"});
  expect_error({"eval", "repeat", book, "-m", llama, "--lengths", "100", "--period", "100"}, {"--period must be less"});
  expect_error({"explain", "-m", llama, "--length", "-1"}, {"--length"});
  expect_error(read + Words{"--period", "-8"}, {"--period"});
  expect_error(read + Words{"--buckets", "0,512,100"}, {"--buckets must begin at 0 or more and grow", "0,512,100"});
  expect_error(read + Words{"-t", "-2"}, {"--threads must be between", "-2"});
  const Words generate{"generate", "-m", stories, "-p", "a"};
  expect_error(generate + Words{"-n", "-2"}, {"-n must be -1 or more"});
  expect_error(generate + Words{"--temp", "-1"}, {"temperature must not be negative"});
  expect_error(generate + Words{"--temp", "warm"}, {"--temp", "warm"});
  expect_error(generate + Words{"--top-p", "2"}, {"top-p must be above 0 and at most 1"});
  expect_error(generate + Words{"--repeat-last-n", "1k"}, {"repeat-last-n must be between 0 and 256"});
  expect_error(generate + Words{"--stop", ""}, {"--stop must not be empty"});
  expect_error(generate + Words{"--chunk", "0"}, {"--chunk must be at least 1"});
  expect_error(generate + Words{"-f", book}, {"either -p or -f"});
  expect_error(generate + Words{"--chat"}, {"no chat template"});
  expect_error(generate + Words{"--context", book}, {"--context goes with --nbce"});
  expect_error(generate + Words{"--nbce"}, {"no context is given", "--context FILE"});
  expect_error({"generate", "-m", stories, "--nbce", "--context", book}, {"no question is given"});
  const Words nbce = generate + Words{"--nbce", "--context", book};
  expect_error(nbce + Words{"--save", at("s")}, {"do not go together"});
  expect_error(nbce + Words{"--context", at("missing.txt")}, {"missing.txt", "No such file"});
  expect_error(nbce + Words{"--context", write("blank.txt", " \n ")}, {"blank.txt is blank"});
  expect_error(nbce + Words{"--context-tokens", "-1"}, {"--context-tokens must not be negative"});
  expect_error(nbce + Words{"-n", "600"}, {"no room for a context", "512"});
  expect_error(generate + Words{"--nbce", "entropi", "--context", book}, {"did you mean 'entropy'"});
  expect_error(generate + Words{"--nbce", "mean:beta=-2", "--context", book}, {"beta must be at least -1"});
  const Words questions{"eval", "questions", "-m", stories};
  expect_error(questions, {"give the file"});
  expect_error(questions + Words{write("q.json", R"({"documents": []})")}, {"q.json", "no set of questions"});
  expect_error(questions + Words{at("q.json"), "--form", "{question}"}, {"--form needs {context} and {question}"});
  expect_error({"bench", "-m", stories, "--repeat", "0"}, {"must be at least 1"});
}

TEST_F(ProgramErrors, CommandLines) {
  const auto fails = [](const Words& words, const Words& parts) { check_error(run(words), words, parts); };
  fails({}, {"give a command", "read", "--help"});
  fails({"raed"}, {"raed", "did you mean 'read'", "generate"});
  fails({"read", "--max-token", "5"}, {"unknown option '--max-token'", "did you mean '--max-tokens'"});
  fails({"generate", "hello"}, {"'hello' was not expected", "generate --help"});
  fails({"state"}, {"give a command: info and verify"});
  fails({"state", "inf", "x"}, {"did you mean 'info'"});
  fails({"state", "info"}, {"file", "required"});
  fails({"read", "--json"}, {"--json"});
  fails({"list", "modles"}, {"did you mean 'models'"});
}

TEST_F(ProgramErrors, FilesThatCannotBeWritten) {
  for (const char* option : {"--save", "--json", "--report"}) {
    expect_error({"read", book, "-m", stories, option, at("no/such")}, {option, "there is no folder"});
    expect_error({"read", book, "-m", stories, option, folder.string()}, {option, "is a folder"});
  }
  expect_error({"read", book, "-m", stories, "--save", at("s")}, {"s", "File too large"}, 10'000);
  expect_error({"read", book, "-m", stories, "--json", at("j")}, {"j", "File too large"}, 100);
  expect_error({"generate", "-m", stories, "-p", "a", "-n", "4", "--save", at("s")}, {"s", "File too large"}, 1'000);
}

TEST_F(ProgramErrors, ATextIsNotWrittenOver) {
  const std::string before = read_text(book);
  for (const char* option : {"--save", "--json", "--report"})
    expect_error({"read", book, "-m", stories, option, at("./book.txt")}, {"book.txt", "written over"});
  expect_error({"generate", "-f", book, "-m", stories, "--save", book}, {"book.txt", "written over"});
  EXPECT_EQ(read_text(book), before);
}

TEST_F(ProgramErrors, States) {
  ASSERT_EQ(run({"read", book, "-m", llama, "--save", at("s"), "-q"}).status, 0);
  const std::string bytes = read_text(at("s"));
  std::string flipped = bytes;
  flipped[bytes.size() - 100] = static_cast<char>(flipped[bytes.size() - 100] ^ 4);
  const std::map<std::string, std::string> why{{write("flipped", flipped), "damaged"},
                                               {write("cut", bytes.substr(0, bytes.size() - 10)), "damaged"},
                                               {write("nothing", ""), "no state file"},
                                               {write("words", tale(9)), "no state file"},
                                               {llama + "/model.safetensors", "not a state file"},
                                               {at("missing"), "No such file"}};
  for (const auto& [path, word] : why) {
    check_error(run({"state", "info", path}), {path}, {word, fs::path(path).filename().string()});
    expect_error({"state", "verify", path, "-m", llama}, {word});
    expect_error({"generate", "-m", llama, "--state", path, "-n", "1"}, {word});
  }
  const Words other{"generate", "-m", stories, "--state", at("s")};
  expect_error(other, {"was made with the model 'llama'", "-m"});
  expect_error({"state", "verify", at("s"), "-m", stories}, {"was made with the model 'llama'"});
  expect_error({"generate", "-m", llama, "--state", at("s"), "--attention", "full"}, {"was read with", "asked for is", "full"});
  expect_error({"generate", "-m", llama, "--state", at("s"), "--rope-scaling", "linear"}, {"was read with", "linear"});
}

TEST_F(ProgramErrors, LlamaCppSpellingsThatContradict) {
  const Words read{"read", book, "-m", stories};
  expect_error(read + Words{"--keep", "4", "--attention", "full"}, {"--keep", "streaming", "full"});
  expect_error(read + Words{"--keep", "4", "--attention", "streaming:sinks=2"}, {"--keep", "sinks already"});
  expect_error(read + Words{"--keep", "-1"}, {"--keep", "must not be negative"});
  expect_error(read + Words{"-c", "64", "--attention", "full"}, {"--ctx-size", "full"});
  expect_error(read + Words{"-c", "0"}, {"--ctx-size", "at least 1"});
  expect_error(read + Words{"-c", "64", "--attention", "window:window=32"}, {"--ctx-size", "window already"});
  expect_error(read + Words{"--rope-freq-scale", "0"}, {"--rope-freq-scale", "above 0"});
  expect_error(read + Words{"--rope-freq-scale", "0.5", "--rope-scaling", "dynamic"}, {"--rope-freq-scale", "dynamic"});
  expect_error(read + Words{"--rope-freq-scale", "0.5", "--rope-scaling", "yarn:factor=4"}, {"factor already"});
  expect_error(read + Words{"--rope-freq-base", "10000", "--rope-scaling", "yarn"}, {"--rope-freq-base", "yarn"});
  expect_error(read + Words{"--rope-freq-base", "0.5"}, {"--rope-freq-base", "above 1"});
  expect_error(read + Words{"--yarn-orig-ctx", "256"}, {"--yarn-orig-ctx", "needs --rope-scaling yarn"});
  expect_error(read + Words{"--method", "full", "--keep", "4"}, {"either --method"});
}

}  // namespace
}  // namespace longview::testing
