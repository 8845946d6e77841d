// Reading a text with a method and measuring it: what `read` and `compare` share.
#pragma once

#include "longview/base/progress.h"
#include "tools/memory.h"

namespace longview::tools {

struct Text {
  std::string name;
  std::vector<Id> ids;
};

/// Ids of documents read as one text, at most `most` (0: all).
Text tokenize(const std::vector<Document>& documents, const Tokenizer& tokenizer, int64_t most);

/// "yarn:factor=4+streaming:window=1024": names of either registry, joined by '+'.
/// POSITION+ATTENTION, either of them, "none" (the checkpoint's rotation unscaled) or "own" (what the model was made for).
Method parse_method(const Transformer& model, const std::string& text, const std::string& attention_otherwise);

/// "a,b:x=1,y=2,c" -> a | b:x=1,y=2 | c: a part like y=2 belongs to the one before.
std::vector<std::string> split_methods(const std::string& text);

/// Methods of --method and --methods with their labels, or `usual` where none is asked for; "none" is full attention.
std::vector<std::pair<std::string, Method>> labelled_methods(const Transformer& model, std::vector<std::string> asked,
                                                             const std::string& list, const std::vector<std::string>& usual);
/// What is asked for where nothing is: full attention, or what the model was made for where it was made for something else.
std::string usual_method(const ModelConfig& config);

/// "0,4k,8k": where buckets begin, or lengths. Throws unless they grow from 0 or more.
std::vector<int64_t> parse_edges(std::string_view command, const std::string& text, std::string_view option = "--buckets");

/// A saved state, to go on from with the method it was read with.
struct Resumed {
  Session session;
  SnapshotInfo info;
  Method method;
};
/// Throws when the file is damaged, belongs to another model, or the options ask for another method.
Resumed resume(const SharedOptions& options, const std::string& file, const Opened& opened);

struct Reading {
  ReadRun run;
  Json json;
  Session session;
  std::vector<MemorySample> memory;
};

struct ReadSettings {
  int64_t chunk = 512;
  std::vector<int64_t> edges = {};
  int64_t period = 0;  // of offsets; 0: none
  /// What was read of the text already: its beginning, or nothing. Throws where it is another text.
  Session session = {};
  /// After every segment; throws to end it.
  std::function<void(const Session&)> watch = {};
};

/// Reads the text, with a progress bar; Ctrl-C ends it with what was read so far.
Reading read_text(const SharedOptions& options, const Opened& opened, const Method& method, const Text& text,
                  ReadSettings settings);

/// Most bytes that the state takes while so many tokens are read, and what a reader takes beside state and weights.
int64_t state_bytes(const Method& method, const ModelConfig& config, int64_t tokens);
int64_t working_bytes(const ModelConfig& config, int64_t chunk);

/// On a terminal one line that is redrawn; in a pipe plain lines, set in like the rest of what belongs to a text.
ProgressOutput progress_output(const SharedOptions& options);

}  // namespace longview::tools
