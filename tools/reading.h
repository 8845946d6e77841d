// Reading a text with a method and measuring it: what `read` and `compare` share.
#pragma once

#include "longview/base/progress.h"
#include "tools/program.h"

namespace longview::tools {

struct Text {
  std::string name;
  std::vector<Id> ids;
};

/// Ids of documents read as one text, at most `most` (0: all).
Text tokenize(const std::vector<Document>& documents, const Tokenizer& tokenizer, int64_t most);

/// "yarn:factor=4+streaming:window=1024": names of either registry, joined by '+'.
Method parse_method(const Transformer& model, const std::string& text, const std::string& attention_otherwise);

/// "a,b:x=1,y=2,c" -> a | b:x=1,y=2 | c: a part like y=2 belongs to the one before.
std::vector<std::string> split_methods(const std::string& text);

/// Methods of --method and --methods with their labels, or `usual` where none is asked for; "none" is full attention.
std::vector<std::pair<std::string, Method>> labelled_methods(const Transformer& model, std::vector<std::string> asked,
                                                             const std::string& list, const std::vector<std::string>& usual);

/// "0,4k,8k": where buckets begin. Throws unless they grow from 0 or more.
std::vector<int64_t> parse_edges(std::string_view command, const std::string& text);

struct Reading {
  ReadRun run;
  Json json;
  Session session;
};

/// Reads the text from an empty state, with a progress bar; Ctrl-C ends it with what was read so far.
Reading read_text(const SharedOptions& options, const Opened& opened, const Method& method, const Text& text, int64_t chunk,
                  const std::vector<int64_t>& edges);

/// On a terminal one line that is redrawn; in a pipe plain lines, set in like the rest of what belongs to a text.
ProgressOutput progress_output(const SharedOptions& options);

}  // namespace longview::tools
