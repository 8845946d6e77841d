// State files: what is read back is what was written, and nothing else is accepted.
#include "longview/infer/snapshot.h"

#include <fcntl.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "longview/base/file.h"
#include "longview/checkpoint/safetensors.h"
#include "tests/infer/tiny.h"
#include "tests/kernels/error.h"

namespace longview {
namespace {

namespace fs = std::filesystem;
using testing::same_bits;
using testing::some_ids;
using testing::tiny_checkpoint;

const Transformer& tiny_model() { return testing::gated_model(); }  // some of the methods need gates

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "longview-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

Session session_after(const Method& method, size_t count) {
  Session session;
  feed(tiny_model(), method, some_ids(count), 64, session);
  return session;
}

void save(const fs::path& path, const Session& session, const Method& method) {
  save_session(path, session, method, tiny_model().config(), tiny_checkpoint().fingerprint, "a text");
}

Restored load(const fs::path& path) { return load_session(path, tiny_model().config(), tiny_checkpoint().fingerprint); }

class SnapshotOf : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(SnapshotOf, ContinuesToTheBit) {
  const Folder folder;
  const auto& [position, attention] = GetParam();
  const Method method = tiny_model().method(position, attention);
  for (const size_t count : {1, 5, 150}) {
    Session live = session_after(method, count);
    save(folder / "state", live, method);
    Restored restored = load(folder / "state");
    EXPECT_EQ(restored.info.position, method.position->setting);
    EXPECT_EQ(restored.info.attention, method.attention->setting);
    EXPECT_EQ(restored.info.tokens, static_cast<int64_t>(count));
    EXPECT_EQ(restored.info.state_bytes, live.state.bytes());
    EXPECT_EQ(restored.info.text, "a text");
    EXPECT_EQ(restored.session.digest, live.digest);
    EXPECT_EQ(restored.session.recent, live.recent);
    const Method again = tiny_model().method(restored.info.position, restored.info.attention);
    EXPECT_TRUE(same_bits(next_logits(tiny_model(), restored.session), next_logits(tiny_model(), live)));
    for (const int64_t chunk : {1, 30}) {
      feed(tiny_model(), method, some_ids(60, 2), chunk, live);
      feed(tiny_model(), again, some_ids(60, 2), chunk, restored.session);
      EXPECT_TRUE(same_bits(next_logits(tiny_model(), restored.session), next_logits(tiny_model(), live)));
    }
  }
}

std::vector<std::string> names_of(auto table) {
  std::vector<std::string> out;
  for (const auto& entry : table) out.emplace_back(entry.name);
  return out;
}

std::vector<std::string> attention_settings() {
  auto out = names_of(attentions());
  out.emplace_back("streaming:window=40");
  out.emplace_back("window:window=40");
  return out;
}

std::vector<SnapshotOf::ParamType> every_pair() {
  std::vector<SnapshotOf::ParamType> out;
  for (const auto& position : names_of(positions()))
    for (const auto& attention : attention_settings())
      if (refusal(*make_attention(attention), *make_position(position, {})).empty()) out.emplace_back(position, attention);
  return out;
}

INSTANTIATE_TEST_SUITE_P(Every, SnapshotOf, ::testing::ValuesIn(every_pair()),
                         [](const ::testing::TestParamInfo<SnapshotOf::ParamType>& info) {
                           std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param);
                           std::replace_if(
                               name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
                           return name;
                         });

/// A small state file, and a way to spoil its bytes in place.
class Snapshot : public ::testing::Test {
 protected:
  void SetUp() override { save(path, session_after(method, 5), method); }
  std::string bytes() const { return read_text(path); }
  void put(const std::string& content) const { write_file(path, content); }
  void flip(size_t bit) const {
    const int file = ::open(path.c_str(), O_RDWR);
    char byte = 0;
    ASSERT_EQ(::pread(file, &byte, 1, static_cast<off_t>(bit / 8)), 1);
    byte = static_cast<char>(byte ^ 1 << bit % 8);
    ASSERT_EQ(::pwrite(file, &byte, 1, static_cast<off_t>(bit / 8)), 1);
    ::close(file);
  }
  static std::string error_of(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  const Folder folder;
  const fs::path path = folder / "state";
  const Method method = tiny_model().method("rope", "streaming:window=8,sinks=2");
};

TEST_F(Snapshot, AStateThatIsNotFiniteIsRefused) {
  Session session = session_after(method, 5);
  Tensor& k = session.state.layers[1].tensors.at("k");
  k = k.clone(), k.flatten()[3].fill_(NAN);
  save(path, session, method);
  EXPECT_NE(error_of([&] { load(path); }).find("tensor 'layer.0001.k' has values that are not finite"), std::string::npos);
}

TEST_F(Snapshot, AFlippedBitIsSeenWhereverItIs) {
  const size_t bits = bytes().size() * 8;
  for (size_t bit = 0; bit < bits; ++bit) {
    flip(bit);
    ASSERT_NE(error_of([&] { read_snapshot_info(path); }), "") << "bit " << bit << " of " << bits;
    flip(bit);
  }
  EXPECT_EQ(error_of([&] { load(path); }), "") << "whole again";
}

TEST_F(Snapshot, ATruncatedFileIsRefusedAtEveryLength) {
  for (size_t size = bytes().size(); size-- > 0;) {
    fs::resize_file(path, size);
    ASSERT_NE(error_of([&] { load(path); }), "") << size << " bytes";
  }
}

TEST_F(Snapshot, BytesAfterTheEndAreRefused) {
  put(bytes() + std::string(8, '\0'));
  EXPECT_NE(error_of([&] { load(path); }), "");
}

TEST_F(Snapshot, AnotherModelIsRefusedByName) {
  const std::string error = error_of([&] { load_session(path, tiny_model().config(), tiny_checkpoint().fingerprint + 1); });
  EXPECT_NE(error.find("was made with the model"), std::string::npos) << error;
  EXPECT_EQ(read_snapshot_info(path).tokens, 5) << "what it says of itself can be read without the model";
}

TEST_F(Snapshot, AnotherFormatIsRefused) {
  const std::string whole = bytes();
  std::string other = whole;
  const size_t at = other.find("longview state 1");
  ASSERT_NE(at, std::string::npos);
  put(other.replace(at, 16, "longview state 2"));
  EXPECT_NE(error_of([&] { load(path); }).find("longview state 2"), std::string::npos);
  put("not a state file at all");
  EXPECT_NE(error_of([&] { load(path); }), "");
  EXPECT_NE(error_of([&] { load_session(LONGVIEW_GOLDEN "/models/llama/model.safetensors", tiny_model().config(), 0); }), "")
      << "safetensors, but no state";
  EXPECT_NE(error_of([&] { load(folder / "missing"); }), "");
}

TEST_F(Snapshot, SavingTwiceGivesTheSameBytes) {
  const std::string first = bytes();
  save(path, load(path).session, method);
  EXPECT_EQ(bytes(), first);
}

TEST_F(Snapshot, AnUnreadTextCannotBeSaved) {
  const std::string before = bytes();
  EXPECT_NE(error_of([&] { save(path, Session{}, method); }), "");
  EXPECT_EQ(bytes(), before) << "and the old file stays";
}

RC_GTEST_FIXTURE_PROP(Snapshot, AnyFewFlippedBitsAreSeen, ()) {
  const auto size = static_cast<uint64_t>(fs::file_size(path));
  const auto bits = *rc::gen::unique<std::vector<uint64_t>>(rc::gen::inRange<uint64_t>(0, size * 8));
  RC_PRE(!bits.empty());
  for (const uint64_t bit : bits) flip(bit);
  const std::string error = error_of([&] { load(path); });
  for (const uint64_t bit : bits) flip(bit);
  RC_ASSERT(!error.empty());
}

}  // namespace
}  // namespace longview
