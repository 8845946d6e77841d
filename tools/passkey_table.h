// What was found of what was hidden: counts by place, as a table, JSON and a page.
#pragma once

#include "longview/base/text_format.h"
#include "longview/eval/needle.h"
#include "tools/program.h"

namespace longview::tools {

struct KeyScore {
  int64_t found = 0, exact = 0, tried = 0, right = 0, tokens = 0;
  double nll = 0;  // sum over prompts
  void add(const KeyScore& other);
  Json json() const;
};

/// A place: depth in the text, offsets in a segment (-1: as it falls).
struct KeyCell {
  double depth = 0;
  int64_t needle_offset = -1, question_offset = -1;
  KeyScore score{};
  Json answers = Json::array();
  void add(const KeyAnswer& answer, const PasskeyPrompt& prompt);
};

struct KeyRow {
  std::string label, position, attention;
  int64_t length = 0;
  std::vector<KeyCell> cells;
  double seconds = 0;
  int64_t state_bytes = 0;   // the most that one text's state took before the answer
  int64_t memory_bytes = 0;  // and of it a compressive memory's M and z
  KeyScore all() const;
  /// Of each depth, whatever the offsets, in their order.
  std::vector<std::pair<double, KeyScore>> depths() const;
  Json json() const;
};

TextTable key_table(const std::vector<KeyRow>& rows);

/// What was hidden where and what was said, a line a prompt.
std::string answers_text(const KeyRow& row);

/// Maps of found by length and depth, one a method, and by offsets where there are some.
Page key_report(const std::vector<KeyRow>& rows, const std::string& task, const std::string& model);

}  // namespace longview::tools
