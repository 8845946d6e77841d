#include "longview/text/text_files.h"

#include <algorithm>
#include <chrono>

#include "longview/base/check.h"
#include "longview/base/file.h"
#include "longview/base/json.h"
#include "longview/text/corpus.h"

namespace longview {
namespace {

namespace fs = std::filesystem;

bool is_archive(std::string_view name) {
  for (const char* ending : {".tar", ".tar.xz", ".txz", ".tar.zst", ".tzst"})
    if (name.ends_with(ending)) return true;
  return false;
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

struct ListedFile {
  std::string path;
  size_t below = 0;  // where its name below the path that was given begins; of an archive given itself, that of its members
};

void add_folder(const fs::path& folder, std::vector<ListedFile>& out) {
  std::vector<std::string> found;
  for (auto at = fs::recursive_directory_iterator(folder, fs::directory_options::follow_directory_symlink); at != fs::end(at);
       ++at) {
    if (is_hidden(at->path())) {
      if (at->is_directory()) at.disable_recursion_pending();
    } else if (at->is_regular_file()) {
      found.push_back(at->path().generic_string());
    }
  }
  LV_CHECK(!found.empty(), "[data] the folder '{}' has no files", folder.string());
  std::sort(found.begin(), found.end());
  const size_t below = (folder / "").generic_string().size();
  for (auto& path : found) out.push_back({std::move(path), below});
}

std::vector<ListedFile> listed_files(const std::string& paths) {
  LV_CHECK(!paths.empty(), "[data] path= must name a file, a folder or an archive of texts");
  std::vector<ListedFile> out;
  for (size_t at = 0; at <= paths.size();) {
    const size_t end = std::min(paths.find(':', at), paths.size());
    const fs::path path = paths.substr(at, end - at);
    LV_CHECK(fs::exists(path), "[data] there is no '{}'; path= takes files, folders and archives, several joined by ':'",
             path.string());
    const std::string name = path.generic_string();
    if (fs::is_directory(path)) add_folder(path, out);
    else out.push_back({name, is_archive(name) ? name.size() + 1 : (path.parent_path() / "").generic_string().size()});
    at = end + 1;
  }
  return out;
}

struct Reader {
  const TextFiles& files;
  const TakeText& take;

  bool is_wanted(std::string_view name) const { return name.find(files.only) != std::string_view::npos; }

  void text(std::string_view name, std::string_view bytes) const {
    if (name.ends_with(".jsonl")) return lines(name, bytes);
    if (bytes.empty()) return;
    check_is_text(bytes, std::string(name));
    take(name, bytes);
  }
  void lines(std::string_view name, std::string_view bytes) const {
    for (int64_t number = 1; !bytes.empty(); ++number) {
      const std::string_view line = bytes.substr(0, bytes.find('\n'));
      bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      const std::string where = fmt::format("{}:{}", name, number);
      const Json json = parse_json(line, where);
      LV_CHECK(json.is_object() && json.contains(files.field) && json[files.field].is_string(),
               "[data] {} has no text in its field '{}'; field= names another", where, files.field);
      const std::string text = json[files.field];
      if (!text.empty()) take(where, text);
    }
  }
  void member(const ListedFile& archive, std::string_view name, std::string_view bytes) const {
    const std::string whole = archive.path + "/" + std::string(name);
    if (is_wanted(std::string_view(whole).substr(archive.below)) && !is_hidden(fs::path(name))) text(whole, bytes);
  }
  void file(const ListedFile& listed) const {
    const std::string& path = listed.path;
    if (is_archive(path)) return each_member(path, [&](auto name, auto bytes) { member(listed, name, bytes); });
    if (!is_wanted(std::string_view(path).substr(listed.below))) return;
    for (const char* ending : {".xz", ".zst"})
      if (path.ends_with(ending)) return text(path.substr(0, path.rfind('.')), read_unpacked(path));
    const MappedFile mapped(path);
    text(path, mapped.text());
  }
};

}  // namespace

std::vector<FileStamp> stamps(const TextFiles& files) {
  std::vector<FileStamp> out;
  for (const auto& [path, below] : listed_files(files.path)) {
    std::error_code error;
    const auto size = fs::file_size(path, error);
    const auto modified = error ? fs::file_time_type{} : fs::last_write_time(path, error);
    LV_CHECK(!error, "[data] cannot read '{}': {}", path, error.message());
    out.push_back({path, size, std::chrono::duration_cast<std::chrono::nanoseconds>(modified.time_since_epoch()).count()});
  }
  return out;
}

void each_text(const TextFiles& files, const TakeText& take) {
  const Reader reader{files, take};
  for (const auto& listed : listed_files(files.path)) reader.file(listed);
}

}  // namespace longview
