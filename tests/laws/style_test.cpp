// The tree's own rules: folders have ranks and includes only go down; files are short, begin with a comment and are named for what
// they hold; every method file has its line in the registry.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

namespace longview {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, int> kRanks = {{"base", 0},    {"text", 1},    {"report", 1},   {"parallel", 1},  {"checkpoint", 2},
                                           {"segment", 2}, {"kernels", 2}, {"position", 3}, {"attention", 3}, {"model", 4},
                                           {"train", 5},   {"infer", 5},   {"eval", 5},     {"serve", 6}};

struct Source {
  std::string path;  // from the root of the tree: "longview/base/file.cpp"
  std::vector<std::string> lines;
};

std::vector<Source> sources(const std::vector<std::string>& folders) {
  std::vector<Source> out;
  for (const auto& folder : folders) {
    const fs::path root = fs::path(LONGVIEW_SOURCE) / folder;
    if (!fs::exists(root)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu") continue;
      Source source{fs::relative(entry.path(), LONGVIEW_SOURCE).string(), {}};
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) source.lines.push_back(line);
      out.push_back(std::move(source));
    }
  }
  std::sort(out.begin(), out.end(), [](const Source& a, const Source& b) { return a.path < b.path; });
  return out;
}

/// "position" for "longview/position/yarn.cpp", "" for what is not in a folder of the library.
std::string folder_of(const std::string& path) {
  const size_t from = path.find('/');
  const size_t to = path.find('/', from + 1);
  return path.rfind("longview/", 0) == 0 && to != std::string::npos ? path.substr(from + 1, to - from - 1) : "";
}

/// The headers of the project that a file includes.
std::vector<std::string> included(const Source& source) {
  static const std::regex line_form(R"re(^\s*#\s*include\s*"(longview/[^"]+)")re");
  std::vector<std::string> out;
  std::smatch match;
  for (const auto& line : source.lines)
    if (std::regex_search(line, match, line_form)) out.push_back(match[1]);
  return out;
}

TEST(Style, EveryFolderHasARank) {
  for (const auto& source : sources({"longview"})) {
    const std::string folder = folder_of(source.path);
    EXPECT_TRUE(folder.empty() || kRanks.contains(folder)) << source.path << ": give the folder a rank in this file";
  }
}

TEST(Style, IncludesOnlyGoDown) {
  for (const auto& source : sources({"longview"})) {
    const std::string folder = folder_of(source.path);
    if (!kRanks.contains(folder)) continue;
    for (const auto& header : included(source)) {
      const std::string other = folder_of(header);
      EXPECT_FALSE(header == "longview/longview.h") << source.path << ": longview.h is for users of the library";
      if (!kRanks.contains(other)) continue;
      EXPECT_LE(kRanks.at(other), kRanks.at(folder)) << source.path << " includes " << header << ", which is above it";
    }
  }
}

TEST(Style, IncludedHeadersExistAndNameTheirPath) {
  for (const auto& source : sources({"longview", "tools", "tests", "bench"})) {
    for (const auto& header : included(source))
      EXPECT_TRUE(fs::exists(fs::path(LONGVIEW_SOURCE) / header)) << source.path << " includes " << header;
    for (const auto& line : source.lines) EXPECT_NE(line.rfind("#include \"../", 0), 0u) << source.path << ": " << line;
  }
}

TEST(Style, FilesAreShort) {
  std::vector<size_t> lengths;
  size_t long_ones = 0;
  for (const auto& source : sources({"longview", "tools"})) {
    const bool is_device = source.path.ends_with(".cu");
    EXPECT_LE(source.lines.size(), is_device ? 800u : 500u) << source.path;
    lengths.push_back(source.lines.size());
    long_ones += source.lines.size() > 300 && !is_device;
  }
  ASSERT_FALSE(lengths.empty());
  std::nth_element(lengths.begin(), lengths.begin() + static_cast<int64_t>(lengths.size() / 2), lengths.end());
  EXPECT_LE(lengths[lengths.size() / 2], 100u) << "the median file";
  EXPECT_LE(long_ones * 20, lengths.size()) << "more than one file in twenty has over 300 lines";
}

TEST(Style, FilesBeginWithWhatTheyAre) {
  for (const auto& source : sources({"longview", "tools"})) {
    if (source.path.ends_with(".cpp") && fs::exists(fs::path(LONGVIEW_SOURCE) / fs::path(source.path).replace_extension(".h")))
      continue;  // its header says it
    ASSERT_FALSE(source.lines.empty()) << source.path;
    EXPECT_EQ(source.lines.front().rfind("//", 0), 0u) << source.path << " begins: " << source.lines.front();
  }
}

TEST(Style, HeadersAreGuarded) {
  for (const auto& source : sources({"longview"})) {
    if (!source.path.ends_with(".h")) continue;
    EXPECT_NE(std::find(source.lines.begin(), source.lines.end(), "#pragma once"), source.lines.end()) << source.path;
  }
}

TEST(Style, NamesDescribe) {
  static const std::regex banned(R"((^|[_/])(utils?|manager|helpers?|fast|faster|new|old|v[0-9]+|misc|common|stuff)([_./]|$))");
  for (const auto& source : sources({"longview", "tools", "tests", "bench"}))
    EXPECT_FALSE(std::regex_search(source.path, banned)) << source.path;
}

TEST(Style, NothingIsLeftBehind) {
  static const std::regex left(R"(\b(TODO|FIXME|XXX|HACK)\b|^\s*#\s*if\s+0\b)");
  for (const auto& source : sources({"longview", "tools", "bench"}))
    for (const auto& line : source.lines) EXPECT_FALSE(std::regex_search(line, left)) << source.path << ": " << line;
}

TEST(Style, TheTreeHasTwoMacrosThatTakeArguments) {
  static const std::regex define(R"(^\s*#\s*define\s+(\w+)\()");
  std::vector<std::string> macros;
  std::smatch match;
  for (const auto& source : sources({"longview", "tools"}))
    for (const auto& line : source.lines)
      if (std::regex_search(line, match, define)) macros.push_back(match[1].str() + " in " + source.path);
  EXPECT_LE(macros.size(), 2u) << ::testing::PrintToString(macros);
}

/// What a folder's files make (every "make_x(const Setting" that is defined in one) has its line in the folder's registry, and a
/// file that derives from the folder's contract makes something.
void expect_registered(const std::string& folder, const std::string& contract) {
  const auto files = sources({"longview/" + folder});
  const auto registry = std::find_if(files.begin(), files.end(), [](const Source& s) { return s.path.ends_with("/registry.cpp"); });
  if (registry == files.end()) return;  // no methods so far
  std::string table;
  for (const auto& line : registry->lines) table += line + "\n";
  const std::regex maker(R"(^std::shared_ptr<const )" + contract + R"(> (make_\w+)\(const Setting)");
  const std::regex derived(R"(^\s*(struct|class)\s+\w+\s+final\s*:\s*(public\s+)?)" + contract + R"(\b)");
  for (const auto& source : files) {
    if (!source.path.ends_with(".cpp") || source.path == registry->path) continue;
    bool makes = false, derives = false;
    std::smatch match;
    for (const auto& line : source.lines) {
      derives = derives || std::regex_search(line, derived);
      if (!std::regex_search(line, match, maker)) continue;
      makes = true;
      EXPECT_NE(table.find(match[1].str() + "}"), std::string::npos)
          << match[1] << " of " << source.path << " has no line in " << registry->path;
    }
    EXPECT_TRUE(makes || !derives) << source.path << " holds a method that nothing makes";
  }
}

TEST(Style, EveryPositionMethodIsRegistered) { expect_registered("position", "Position"); }
TEST(Style, EveryAttentionMethodIsRegistered) { expect_registered("attention", "Attention"); }

}  // namespace
}  // namespace longview
