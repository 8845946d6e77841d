// The models in models/: they find what their cards say, and their memories are as large as the formula.
#include "tests/tools/child.h"

namespace longview::testing {
namespace {

struct ShippedModel : Program {
  Json row(const Words& options, size_t which = 0) const {
    const Ended ended =
        run(Words{"eval", "passkey", "-m", LONGVIEW_SOURCE "/models/passkey", "-q", "--chunk", "2048", "--json", "-"} + options);
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.json().at("rows").at(which);
  }
};

TEST_F(ShippedModel, FindsAKeyAtEveryDepthAndOnlyThroughItsMemory) {
  const Json on = row({"--length", "16k", "--depths", "0,25,50,75,98", "--trials", "2"});
  EXPECT_EQ(on.at("exact"), 10) << on.dump();
  EXPECT_EQ(on.at("memory_bytes"), 6 * 6 * 64 * (64 + 1) * 4);  // layers, heads, M and z
  const Json off = row({"--length", "16k", "--depths", "0,50", "--trials", "4", "--memory", "off"});
  EXPECT_EQ(off.at("exact"), 0) << off.dump();
  EXPECT_LT(off.at("token_accuracy").get<double>(), 0.35) << "chance is 0.1";
}

TEST_F(ShippedModel, FindsItWhereverItsSegmentsBegin) {
  const Json row = this->row(
      {"--length", "2k", "--depths", "30", "--trials", "1", "--needle-offsets", "0,100,230", "--question-offsets", "0,1,100"});
  EXPECT_EQ(row.at("tried"), 9);
  EXPECT_EQ(row.at("exact"), 9) << row.dump();
}

TEST_F(ShippedModel, AnAdapterGivesSmolLM2AMemory) {
  const Ended ended = run({"eval", "passkey", "-m", LONGVIEW_SOURCE "/models/smollm2-passkey", "-q", "--length", "1k", "--depths",
                           "0", "--trials", "2", "--memory", "both", "--json", "-"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const Json rows = ended.json().at("rows");
  EXPECT_EQ(rows.at(0).at("exact"), 2) << rows.dump();
  EXPECT_EQ(rows.at(0).at("memory_bytes"), 30 * 3 * 64 * (64 + 1) * 4);  // layers, key-value heads, M and z
  EXPECT_EQ(rows.at(1).at("exact"), 0) << rows.dump();
}

TEST_F(ShippedModel, ReadsABookAndWordingsAndNamesItWasNotTrainedOn) {
  EXPECT_EQ(row({"--length", "32k", "--depths", "10,50,90", "--haystack", LONGVIEW_BOOKS "/bible.txt"}).at("exact"), 3);
  const Words few{"--length", "4k", "--depths", "10,50,90", "--trials", "4"};  // 12 of 12 when it was shipped
  EXPECT_GE(row(few + Words{"--wordings", "heldout", "--keys", "mixed"}).at("exact"), 11);
  EXPECT_GE(row(few + Words{"--needles", "4"}).at("exact"), 11);
}

}  // namespace
}  // namespace longview::testing
