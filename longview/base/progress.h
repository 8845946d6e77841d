// Progress of long work: one line redrawn on a terminal, plain lines in a pipe, nothing when quiet.
//
//   Progress progress(tokens.size(), "tokens");
//   for (...) progress.update(done, fmt::format("loss {:.2f}", loss));
//   progress.finish();  // or leave the scope: the line is cleared
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace longview {

/// Where progress goes and how; tests give their own clock and width.
struct ProgressOutput {
  std::function<void(std::string_view)> write;
  std::function<double()> clock;  // seconds, never going back
  std::function<int()> width;     // columns of the terminal
  bool terminal = false;          // redraw one line; else plain lines
  bool utf8 = true, color = false;
  bool quiet = false;  // nothing at all
};

/// Standard error as it is: isatty, TIOCGWINSZ, the locale, NO_COLOR and TERM=dumb.
ProgressOutput progress_on_stderr(bool quiet);

/// Units a second over the last `window` seconds (at least the last two reports, however far apart).
class SpeedWindow {
 public:
  explicit SpeedWindow(double window = 10) : window_(window) {}
  void add(double seconds, int64_t done);
  /// Nothing before two reports at different times.
  std::optional<double> per_second() const;

 private:
  struct Report {
    double seconds;
    int64_t done;
  };
  double window_;
  std::deque<Report> reports_;
};

/// What one line of progress says. total < 0: not known, so no share, no bar, and elapsed instead of left.
struct ProgressState {
  int64_t done = 0, total = -1;
  std::optional<double> per_second;
  double elapsed = 0;  // seconds
  std::string unit, note;
  std::optional<double> left = {};  // seconds, where it is known better than by the speed
};

/// The line, at most `width` columns (escape codes not counted): the bar gives way first, then the note's tail.
std::string progress_line(const ProgressState& state, int width, bool utf8, bool color);

/// The line for a pipe: no bar, no escape codes, any width.
std::string progress_plain(const ProgressState& state);

/// Not for use by several threads at once.
class Progress {
 public:
  /// total: how many units there will be, or -1 when that is not known. unit: "tokens", "steps".
  Progress(int64_t total, std::string unit, ProgressOutput output = progress_on_stderr(false));
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` units so far; draws at most 10 times a second on a terminal, every 10 seconds in a pipe.
  /// left: seconds, where units are not alike and the speed so far would say nothing of the rest.
  void update(int64_t done, std::string_view note = "", std::optional<double> left = std::nullopt);
  /// A line of text that stays, above the progress line (a log message, say). Nothing when quiet.
  void say(std::string_view text);
  /// Clears the line. Further updates draw nothing.
  void finish();
  /// Units a second over the sliding window.
  std::optional<double> per_second() const { return speed_.per_second(); }

 private:
  void draw(double now);
  void clear();
  ProgressOutput output_;
  ProgressState state_;
  SpeedWindow speed_;
  double start_ = 0, next_draw_ = 0;
  bool drawn_ = false, finished_ = false;
};

}  // namespace longview
