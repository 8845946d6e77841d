// Numbers, bytes, durations, bars and tables as text.
#include "longview/base/text_format.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "longview/base/check.h"

namespace longview {
namespace {

TEST(TextFormat, CommasInWholeNumbers) {
  EXPECT_EQ(with_commas(int64_t{0}), "0");
  EXPECT_EQ(with_commas(int64_t{999}), "999");
  EXPECT_EQ(with_commas(int64_t{1000}), "1,000");
  EXPECT_EQ(with_commas(int64_t{1152440}), "1,152,440");
  EXPECT_EQ(with_commas(int64_t{-123456}), "-123,456");
  EXPECT_EQ(with_commas(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(TextFormat, CommasInRealNumbers) {
  EXPECT_EQ(with_commas(1152440.25, 1), "1,152,440.2");
  EXPECT_EQ(with_commas(999.96, 1), "1,000.0");
  EXPECT_EQ(with_commas(-0.001, 2), "0.00");
  EXPECT_EQ(with_commas(-1234.5, 2), "-1,234.50");
  EXPECT_EQ(with_commas(std::numeric_limits<double>::quiet_NaN(), 2), "nan");
  EXPECT_EQ(with_commas(-std::numeric_limits<double>::infinity(), 2), "-inf");
  EXPECT_EQ(with_commas(1e20, 0), "1e+20");
}

TEST(TextFormat, BytesInTheLargestUnit) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1024), "1.0 KiB");
  EXPECT_EQ(bytes_text(int64_t{45} << 20), "45 MiB");
  EXPECT_EQ(bytes_text(1503238554), "1.4 GiB");
  EXPECT_EQ(bytes_text((int64_t{1} << 20) - 100), "1.0 MiB");  // not "1024 KiB"
  EXPECT_EQ(bytes_text(10 * 1024 - 1), "10 KiB");              // not "10.0 KiB"
  EXPECT_EQ(bytes_text(std::numeric_limits<int64_t>::max()), "8.0 EiB");
}

TEST(TextFormat, Durations) {
  EXPECT_EQ(duration_text(0), "0:00");
  EXPECT_EQ(duration_text(6.6), "0:07");
  EXPECT_EQ(duration_text(59.7), "1:00");
  EXPECT_EQ(duration_text(784), "13:04");
  EXPECT_EQ(duration_text(3723), "1:02:03");
  EXPECT_EQ(duration_text(3 * 86400 + 4 * 3600 + 5 * 60 + 6), "3 d 04:05:06");
  EXPECT_EQ(duration_text(-1), "?");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(duration_text(std::numeric_limits<double>::quiet_NaN()), "?");
}

TEST(TextFormat, BarsAreProportional) {
  EXPECT_EQ(bar_text(1, 2, 4), "██");
  EXPECT_EQ(bar_text(5, 16, 2), "▋");
  EXPECT_EQ(bar_text(9, 3, 2), "██");  // held to the width
  EXPECT_EQ(bar_text(1, 2, 4, false), "##");
  EXPECT_EQ(bar_text(0, 2, 4), "");
  EXPECT_EQ(bar_text(1, 0, 4), "");
  EXPECT_EQ(bar_text(std::numeric_limits<double>::quiet_NaN(), 2, 4), "");
  EXPECT_EQ(bar_text(std::numeric_limits<double>::infinity(), 2, 3), "███");
}

TEST(TextFormat, WidthCountsCodePoints) {
  EXPECT_EQ(text_width(""), 0);
  EXPECT_EQ(text_width("abc"), 3);
  EXPECT_EQ(text_width("━╸─"), 3);
  EXPECT_EQ(text_width("\xFF\xE2\x94"), 3);  // each byte that is not UTF-8 counts
  EXPECT_EQ(cut_to_width("abcdef", 4), "abcd");
  EXPECT_EQ(cut_to_width("äöüß", 3, "…"), "äö…");
  EXPECT_EQ(cut_to_width("abc", 3, "…"), "abc");
  EXPECT_EQ(cut_to_width("abc", 0, "…"), "");
}

TEST(TextFormat, LocaleGoesByTheFirstThatIsSet) {
  const auto with = [](const char* all, const char* ctype, const char* lang) {
    setenv("LC_ALL", all, 1), setenv("LC_CTYPE", ctype, 1), setenv("LANG", lang, 1);
    return locale_is_utf8();
  };
  EXPECT_TRUE(with("", "", "en_US.UTF-8"));
  EXPECT_TRUE(with("C.utf8", "C", "C"));
  EXPECT_FALSE(with("C", "en_US.UTF-8", "en_US.UTF-8"));
  EXPECT_FALSE(with("", "", ""));
}

TEST(TextFormat, TableAlignsByCodePoints) {
  TextTable table;
  table.columns = {{"method", TextTable::Align::left}, {"loss"}, {"", TextTable::Align::left}};
  table.rows = {{"plain", "6.55", "▇▇▇"}, {"é", "12.00"}};
  EXPECT_EQ(table.text(),
            "  method   loss\n"
            "  plain    6.55  ▇▇▇\n"
            "  é       12.00\n");
  table.columns[0].name = table.columns[1].name = "";
  EXPECT_EQ(table.text(0),
            "plain   6.55  ▇▇▇\n"
            "é      12.00\n");
  table.rows.push_back({"1", "2", "3", "4"});
  EXPECT_THROW(table.text(), Error);
}

}  // namespace
}  // namespace longview
