// A report as one self-contained HTML page: no scripts, no outside files; light, dark, phone and paper.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "longview/report/heat_map.h"

namespace longview {

enum class Best { none, lowest, highest };

/// A cell: its text, and its value where the table looks for the best one; a judgement may be coloured.
struct Cell {
  enum class Tone { plain, good, bad };
  std::string text;
  double value = std::numeric_limits<double>::quiet_NaN();
  Tone tone = Tone::plain;
  Cell(std::string words) : text(std::move(words)) {}  // NOLINT: a cell is mostly a text
  Cell(const char* words) : text(words) {}             // NOLINT
  Cell(std::string words, double number) : text(std::move(words)), value(number) {}
  Cell(std::string words, Tone judged) : text(std::move(words)), tone(judged) {}
};

/// Number columns stand to the right, in figures of one width. The best value of a column, or of each row, is bold,
/// unless more than half of the values are as good.
struct Table {
  struct Column {
    std::string name;
    bool number = false;
    Best best = Best::none;  // within the column
  };
  std::string caption;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;  // a short row is filled with empty cells; a long one throws
  Best best_in_row = Best::none;
};

struct Fact {
  std::string key, value;
};

using Paragraph = std::string;
using Facts = std::vector<Fact>;
/// Items of a list: a name in bold and what is said about it.
struct NamedList {
  std::vector<Fact> items;
};
using Block = std::variant<Paragraph, Plot, HeatMap, Table, Facts, NamedList>;

struct Section {
  std::string title;  // may be empty
  std::vector<Block> blocks;
};

struct Page {
  std::string title;
  std::vector<std::string> lead;  // one paragraph each; the first is set larger
  std::vector<Section> sections;
  std::string footer;
  int refresh_seconds = 0;  // a page that is still being written is loaded anew after so long; 0: it stays
};

/// The whole document. Everything in it is escaped.
std::string html(const Page& page);

}  // namespace longview
