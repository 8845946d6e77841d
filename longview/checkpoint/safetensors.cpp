// safetensors (github.com/huggingface/safetensors): u64 length, a JSON header of that many bytes, then the tensors without holes.
#include "longview/checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "longview/base/check.h"
#include "longview/base/names.h"

namespace longview {
namespace {

using Json = nlohmann::json;  // sorted: base/json.h keeps the order, in time quadratic in the number of tensors

constexpr uint64_t kLongestHeader = 100'000'000;  // the library's own limit

struct Width {
  const char* dtype;
  int64_t bytes;
};
constexpr Width kWidths[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1},
                             {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},     {"U32", 4},
                             {"F32", 4},  {"I64", 8}, {"U64", 8}, {"F64", 8},     {"C64", 8}};

// Parsing that refuses a key given twice, which readers would understand differently.
Json parse_header(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> open;
  LV_CHECK(text.find('\0') == std::string_view::npos, "[safetensors] {}: its header has a NUL byte", where);
  try {
    return Json::parse(text.begin(), text.end(), [&](int depth, Json::parse_event_t event, Json& parsed) {
      LV_CHECK(depth <= 4, "[safetensors] {}: its header nests deeper than a header can", where);
      if (event == Json::parse_event_t::object_start) open.emplace_back();
      if (event == Json::parse_event_t::object_end) open.pop_back();
      if (event == Json::parse_event_t::key) {
        const auto& key = parsed.get_ref<const std::string&>();
        LV_CHECK(open.back().insert(key).second, "[safetensors] {}: '{}' is in the header twice", where, key);
      }
      return true;
    });
  } catch (const Json::exception& error) {
    fail("[safetensors] {}: its header is not JSON: {}", where, error.what());
  }
}

std::vector<int64_t> whole_numbers(const Json& tensor, const char* key, const std::string& name, const std::string& where) {
  const auto found = tensor.find(key);
  LV_CHECK(found != tensor.end() && found->is_array(), "[safetensors] {}: tensor '{}' has no list '{}'", where, name, key);
  std::vector<int64_t> out;
  for (const auto& number : *found) {
    LV_CHECK(number.is_number_unsigned() && number.get<uint64_t>() <= INT64_MAX,
             "[safetensors] {}: '{}' of tensor '{}' must be whole numbers from 0 up", where, key, name);
    out.push_back(number.get<int64_t>());
  }
  return out;
}

int64_t bytes_of(const SafetensorsEntry& entry, const std::string& name, const std::string& where) {
  int64_t bytes = safetensors_width(entry.dtype, where);
  for (const int64_t dim : entry.shape)
    LV_CHECK(dim >= 0 && !__builtin_mul_overflow(bytes, dim, &bytes),
             "[safetensors] {}: the dimensions of tensor '{}' multiply to more than 2^63", where, name);
  return bytes;
}

struct Placed {
  int64_t begin, end;
  std::string name;
};

Placed read_tensor(Safetensors& out, const std::string& name, const Json& tensor, std::span<const uint8_t> data,
                   const std::string& where) {
  LV_CHECK(tensor.is_object() && tensor.contains("dtype") && tensor["dtype"].is_string(),
           "[safetensors] {}: tensor '{}' has no dtype", where, name);
  SafetensorsEntry entry;
  entry.dtype = tensor["dtype"].get<std::string>();
  entry.shape = whole_numbers(tensor, "shape", name, where);
  const auto offsets = whole_numbers(tensor, "data_offsets", name, where);
  LV_CHECK(offsets.size() == 2 && offsets[0] <= offsets[1],
           "[safetensors] {}: 'data_offsets' of tensor '{}' must be a begin and an end", where, name);
  const auto size = static_cast<int64_t>(data.size());
  LV_CHECK(offsets[1] <= size, "[safetensors] {}: tensor '{}' ends at byte {} of the data, which has {}; is the download complete?",
           where, name, offsets[1], size);
  const int64_t needed = bytes_of(entry, name, where);
  LV_CHECK(offsets[1] - offsets[0] == needed, "[safetensors] {}: tensor '{}' has {} bytes; its shape needs {}", where, name,
           offsets[1] - offsets[0], needed);
  entry.bytes = data.subspan(static_cast<size_t>(offsets[0]), static_cast<size_t>(needed));
  out.tensors[name] = std::move(entry);
  return {offsets[0], offsets[1], name};
}

void check_without_holes(std::vector<Placed> placed, size_t size, const std::string& where) {
  std::sort(placed.begin(), placed.end(),
            [](const auto& a, const auto& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  int64_t end = 0;
  for (const auto& one : placed) {
    LV_CHECK(one.begin >= end, "[safetensors] {}: tensor '{}' overlaps the one before it", where, one.name);
    LV_CHECK(one.begin == end, "[safetensors] {}: {} bytes before tensor '{}' belong to none", where, one.begin - end, one.name);
    end = one.end;
  }
  LV_CHECK(end == static_cast<int64_t>(size), "[safetensors] {}: its last {} bytes belong to no tensor", where,
           static_cast<int64_t>(size) - end);
}

std::string header_text(const Safetensors& content, const std::string& where) {
  Json header = Json::object();
  if (!content.metadata.empty()) header["__metadata__"] = content.metadata;
  int64_t at = 0;
  for (const auto& [name, entry] : content.tensors) {
    LV_CHECK(name != "__metadata__", "[safetensors] {}: no tensor may be called '__metadata__'", where);
    const int64_t size = bytes_of(entry, name, where);
    header[name] = {{"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {at, at + size}}};
    at += size;
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data starts aligned
    return text;
  } catch (const Json::exception& error) {
    fail("[safetensors] {}: a name or a text is not UTF-8: {}", where, error.what());
  }
}

}  // namespace

int64_t safetensors_width(const std::string& dtype, const std::string& where) {
  for (const auto& [name, bytes] : kWidths)
    if (name == dtype) return bytes;
  std::vector<std::string> known;
  for (const auto& [name, bytes] : kWidths) known.emplace_back(name);
  fail("[safetensors] {}: {}", where, unknown_name("dtype", dtype, known));
}

Safetensors read_safetensors(std::span<const uint8_t> bytes, const std::string& where) {
  uint64_t length = 0;
  LV_CHECK(bytes.size() >= sizeof length, "[safetensors] {}: has {} bytes; a header begins with 8", where, bytes.size());
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto rest = bytes.subspan(sizeof length);
  LV_CHECK(length <= kLongestHeader && length <= rest.size(),
           "[safetensors] {}: says its header has {} bytes; {} follow, {} are allowed (is it a .safetensors file, and complete?)",
           where, length, rest.size(), kLongestHeader);
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), length);
  const Json header = parse_header(text, where);
  LV_CHECK(header.is_object(), "[safetensors] {}: its header must be an object of tensors", where);
  const auto data = rest.subspan(length);
  Safetensors out;
  std::vector<Placed> placed;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      placed.push_back(read_tensor(out, name, value, data, where));
      continue;
    }
    LV_CHECK(value.is_object(), "[safetensors] {}: '__metadata__' must be an object of texts", where);
    for (const auto& [key, said] : value.items()) {
      LV_CHECK(said.is_string(), "[safetensors] {}: '{}' in '__metadata__' must be a text", where, key);
      out.metadata[key] = said.get<std::string>();
    }
  }
  check_without_holes(std::move(placed), data.size(), where);
  return out;
}

void write_safetensors(const std::filesystem::path& path, const Safetensors& plan,
                       const std::function<void(const std::string& name, const PutBytes& put)>& make) {
  const std::string where = path.string(), header = header_text(plan, where);
  const uint64_t length = header.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(header);
  for (const auto& [name, entry] : plan.tensors) {
    int64_t size = 0;
    make(name, [&](std::span<const uint8_t> piece) {
      file.write(piece.data(), piece.size());
      size += static_cast<int64_t>(piece.size());
    });
    LV_CHECK(size == bytes_of(entry, name, where), "[safetensors] {}: tensor '{}' has {} bytes; its shape needs {}", where, name,
             size, bytes_of(entry, name, where));
  }
  file.commit();
}

void write_safetensors(const std::filesystem::path& path, const Safetensors& content) {
  write_safetensors(path, content, [&](const std::string& name, const PutBytes& put) { put(content.tensors.at(name).bytes); });
}

}  // namespace longview
