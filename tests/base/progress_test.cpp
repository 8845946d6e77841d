// Progress on a terminal and in a pipe, with a clock of our own.
#include "longview/base/progress.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "longview/base/text_format.h"

namespace longview {
namespace {

struct Heard {
  double now = 100;
  int width = 100;
  std::vector<std::string> writes;
};

ProgressOutput output_to(std::shared_ptr<Heard> heard, bool terminal) {
  ProgressOutput output;
  output.write = [heard](std::string_view text) { heard->writes.emplace_back(text); };
  output.clock = [heard] { return heard->now; };
  output.width = [heard] { return heard->width; };
  output.terminal = terminal;
  return output;
}

ProgressState halfway() {
  ProgressState state;
  state.done = 437912, state.total = 1152440, state.per_second = 912, state.unit = "tokens", state.note = "loss 2.91";
  return state;
}

TEST(ProgressLine, SaysShareCountSpeedAndTimeLeft) {
  EXPECT_EQ(progress_line(halfway(), 120, true, false),
            "   37% ━━━━━━━━━━─────────────────  437,912    912 tokens/s    13:03 left    loss 2.91");
  EXPECT_EQ(progress_line(halfway(), 120, false, false),
            "   37% ==========-----------------  437,912    912 tokens/s    13:03 left    loss 2.91");
}

TEST(ProgressLine, HasAHalfCellAndItsOwnColors) {
  ProgressState state = halfway();
  state.done = 451000;  // 39.1%: 10.57 of 27 cells
  EXPECT_NE(progress_line(state, 120, true, false).find("━━━━━━━━━━╸────────────────  451"), std::string::npos);
  const std::string colored = progress_line(state, 120, true, true);
  EXPECT_NE(colored.find("\x1b[36m━━━━━━━━━━╸\x1b[0m\x1b[2m─"), std::string::npos);
}

TEST(ProgressLine, FitsEveryWidth) {
  for (const bool utf8 : {true, false})
    for (const int64_t total : {int64_t{-1}, int64_t{1152440}})
      for (int width = 1; width < 140; ++width) {
        ProgressState state = halfway();
        state.total = total;
        EXPECT_LE(text_width(progress_line(state, width, utf8, false)), width) << width;
      }
  EXPECT_EQ(progress_line(halfway(), 56, true, false), "   37% 437,912  912 tokens/s  13:03 left  loss 2.91");
}

TEST(ProgressLine, EndsOfTheWork) {
  ProgressState state = halfway();
  state.done = state.total;
  EXPECT_NE(progress_line(state, 120, true, false).find(" 100% ━━━━━━━━━━━━━━━━━━━━━━━━━━━  1,152,440"), std::string::npos);
  state.done = state.total - 1;
  EXPECT_NE(progress_line(state, 120, true, false).find(" 99% "), std::string::npos);  // 100% only when it is true
  state.done = state.total * 2;
  EXPECT_NE(progress_line(state, 120, true, false).find(" 100% "), std::string::npos);
  state.done = state.total = 0;
  EXPECT_NE(progress_line(state, 120, true, false).find(" 100% "), std::string::npos);
}

TEST(ProgressLine, WithoutATotalCountsOnly) {
  ProgressState state = halfway();
  state.total = -1, state.elapsed = 481;
  EXPECT_EQ(progress_line(state, 120, true, false), "  437,912 tokens    912 tokens/s    8:01    loss 2.91");
  EXPECT_EQ(progress_plain(state), "437,912 tokens  912 tokens/s  8:01  loss 2.91");
}

TEST(ProgressLine, PlainForAPipe) {
  EXPECT_EQ(progress_plain(halfway()), "37%  437,912 of 1,152,440 tokens  912 tokens/s  13:03 left  loss 2.91");
  ProgressState state = halfway();
  state.per_second.reset(), state.note.clear();
  EXPECT_EQ(progress_plain(state), "37%  437,912 of 1,152,440 tokens");
  state.per_second = 3.25;
  EXPECT_NE(progress_plain(state).find("3.2 tokens/s"), std::string::npos);
}

TEST(SpeedWindow, ForgetsWhatIsOlderThanTheWindow) {
  SpeedWindow speed(10);
  EXPECT_FALSE(speed.per_second());
  speed.add(0, 0);
  EXPECT_FALSE(speed.per_second());
  for (int second = 1; second <= 20; ++second) speed.add(second, second * 100);
  EXPECT_NEAR(*speed.per_second(), 100, 1e-9);
  for (int second = 21; second <= 40; ++second) speed.add(second, 2000 + (second - 20) * 10);
  EXPECT_NEAR(*speed.per_second(), 10, 1e-9);
}

TEST(SpeedWindow, KeepsTwoReportsHoweverFarApart) {
  SpeedWindow speed(10);
  speed.add(0, 0);
  speed.add(60, 1024);
  speed.add(130, 2048);
  EXPECT_NEAR(*speed.per_second(), 1024.0 / 70, 1e-9);
}

TEST(SpeedWindow, ManyReportsInAMomentAndANewBeginning) {
  SpeedWindow speed(10);
  for (int i = 0; i <= 1000000; ++i) speed.add(i * 1e-5, i);
  EXPECT_NEAR(*speed.per_second(), 1e5, 1e3);
  speed.add(10.5, 3);  // fewer than before
  EXPECT_FALSE(speed.per_second());
}

TEST(Progress, TerminalIsRedrawnAtMostTenTimesASecondAndCleared) {
  auto heard = std::make_shared<Heard>();
  {
    Progress progress(1000, "tokens", output_to(heard, true));
    for (int i = 1; i <= 200; ++i) heard->now += 0.01, progress.update(i, "loss 2.91");
  }
  // 2 seconds, and the line that clears.
  EXPECT_GE(heard->writes.size(), 18u);
  EXPECT_LE(heard->writes.size(), 22u);
  EXPECT_EQ(heard->writes.front().rfind("\r\x1b[K", 0), 0u);
  EXPECT_NE(heard->writes.front().find("loss 2.91"), std::string::npos);
  EXPECT_NE(heard->writes[10].find("100 tokens/s"), std::string::npos);
  EXPECT_EQ(heard->writes.back(), "\r\x1b[K");
  for (const auto& text : heard->writes) EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST(Progress, LeavesTheLastColumnFree) {
  auto heard = std::make_shared<Heard>();
  heard->width = 40;
  Progress progress(1152440, "tokens", output_to(heard, true));
  progress.update(437912, "loss 2.91 and a long note that cannot fit");
  EXPECT_LE(text_width(heard->writes.back()) - 4, 39);  // without \r ESC [ K
}

TEST(Progress, SayStaysAboveTheLine) {
  auto heard = std::make_shared<Heard>();
  Progress progress(1000, "tokens", output_to(heard, true));
  progress.say("before anything");
  EXPECT_EQ(heard->writes, std::vector<std::string>{"before anything\n"});
  progress.update(10);
  heard->writes.clear();
  progress.say("saved");
  ASSERT_EQ(heard->writes.size(), 3u);
  EXPECT_EQ(heard->writes[0], "\r\x1b[K");
  EXPECT_EQ(heard->writes[1], "saved\n");
  EXPECT_NE(heard->writes[2].find("1%"), std::string::npos);
}

TEST(Progress, PipeHearsALineEveryTenSeconds) {
  auto heard = std::make_shared<Heard>();
  Progress progress(1000, "tokens", output_to(heard, false));
  for (int i = 1; i <= 350; ++i) heard->now += 0.1, progress.update(i);
  ASSERT_EQ(heard->writes.size(), 3u);
  EXPECT_EQ(heard->writes[0].find('\x1b'), std::string::npos);
  EXPECT_EQ(heard->writes[0].back(), '\n');
  EXPECT_NE(heard->writes[2].find(" of 1,000 tokens  10 tokens/s  1:10 left"), std::string::npos) << heard->writes[2];
  progress.finish();
  EXPECT_EQ(heard->writes.size(), 3u);  // nothing to clear
}

TEST(Progress, ResumedWorkIsNoSpeed) {
  auto heard = std::make_shared<Heard>();
  Progress progress(1000000, "tokens", output_to(heard, true));
  progress.update(500000);
  EXPECT_EQ(heard->writes.back().find("tokens/s"), std::string::npos);
  heard->now += 2;
  progress.update(500200);
  EXPECT_NE(heard->writes.back().find("    100 tokens/s"), std::string::npos) << heard->writes.back();
}

TEST(Progress, QuietSaysNothing) {
  for (const bool terminal : {true, false}) {
    auto heard = std::make_shared<Heard>();
    ProgressOutput output = output_to(heard, terminal);
    output.quiet = true;
    Progress progress(1000, "tokens", output);
    for (int i = 1; i <= 100; ++i) heard->now += 1, progress.update(i);
    progress.say("a line");
    progress.finish();
    EXPECT_TRUE(heard->writes.empty());
  }
}

TEST(Progress, DrawsNothingAfterFinish) {
  auto heard = std::make_shared<Heard>();
  Progress progress(1000, "tokens", output_to(heard, true));
  progress.update(10);
  progress.finish();
  const size_t count = heard->writes.size();
  heard->now += 5;
  progress.update(20);
  progress.finish();
  EXPECT_EQ(heard->writes.size(), count);
}

}  // namespace
}  // namespace longview
