// Progress of long work: one line redrawn on a terminal, plain lines in a pipe.
#include "longview/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "longview/base/text_format.h"

namespace longview {
namespace {

constexpr double kRedrawSeconds = 0.1, kLineSeconds = 10, kAtOnce = 0.02;
constexpr int kBarCells = 27, kShortestBar = 8;

void write_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(STDERR_FILENO, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // nobody reads: progress is not worth an error
    text.remove_prefix(static_cast<size_t>(wrote));
  }
}

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const int given = columns != nullptr ? std::atoi(columns) : 0;
  return given > 0 ? given : 80;
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

double share_done(const ProgressState& state) {
  if (state.total <= 0) return state.total == 0 ? 1 : 0;
  return std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
}

// 100% only when it is true.
std::string percent(const ProgressState& state) {
  return fmt::format("{}%", static_cast<int>(std::floor(share_done(state) * 100)));
}

std::string speed(const ProgressState& state) {
  if (!state.per_second) return "";
  return fmt::format("{} {}/s", with_commas(*state.per_second, *state.per_second < 10 ? 1 : 0), state.unit);
}

std::string time_words(const ProgressState& state) {
  if (state.total < 0) return duration_text(state.elapsed);
  if (state.left) return duration_text(*state.left) + " left";
  const auto rest = static_cast<double>(std::max<int64_t>(state.total - state.done, 0));
  if (!state.per_second || *state.per_second <= 0) return "";
  return duration_text(rest / *state.per_second) + " left";
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string out;
  for (const auto& part : parts) {
    if (part.empty()) continue;
    if (!out.empty()) out += between;
    out += part;
  }
  return out;
}

std::string drawn_bar(double share, int cells, bool utf8, bool color) {
  const auto halves = static_cast<int>(std::floor(share * cells * 2));
  const int full = halves / 2, half = halves % 2;
  std::string done, rest;
  for (int i = 0; i < full; ++i) done += utf8 ? "━" : "=";
  if (half > 0) done += utf8 ? "╸" : ">";
  for (int i = full + half; i < cells; ++i) rest += utf8 ? "─" : "-";
  return color ? fmt::format("\x1b[36m{}\x1b[0m\x1b[2m{}\x1b[0m", done, rest) : done + rest;
}

}  // namespace

ProgressOutput progress_on_stderr(bool quiet) {
  ProgressOutput output;
  output.write = write_stderr;
  output.clock = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  output.width = terminal_columns;
  const char* kind = std::getenv("TERM");
  const bool dumb = kind != nullptr && std::string_view(kind) == "dumb";
  output.terminal = ::isatty(STDERR_FILENO) == 1 && !dumb;
  output.utf8 = locale_is_utf8();
  output.color = output.terminal && !is_set("NO_COLOR");
  output.quiet = quiet;
  return output;
}

void SpeedWindow::add(double seconds, int64_t done) {
  if (!reports_.empty() && done < reports_.back().done) reports_.clear();  // the work began again
  // Reports closer than a fiftieth of the window add nothing but memory; the newest is always kept.
  const bool close = reports_.size() >= 2 && seconds - reports_[reports_.size() - 2].seconds < window_ / 50;
  if (close) reports_.pop_back();
  reports_.push_back({seconds, done});
  while (reports_.size() > 2 && seconds - reports_[1].seconds >= window_) reports_.pop_front();
}

std::optional<double> SpeedWindow::per_second() const {
  if (reports_.size() < 2) return std::nullopt;
  const double seconds = reports_.back().seconds - reports_.front().seconds;
  if (seconds <= 0) return std::nullopt;
  return static_cast<double>(reports_.back().done - reports_.front().done) / seconds;
}

std::string progress_line(const ProgressState& state, int width, bool utf8, bool color) {
  const bool known = state.total >= 0;
  const std::string count = with_commas(state.done) + (known ? "" : " " + state.unit);
  const std::vector<std::string> parts = {count, speed(state), time_words(state), state.note};
  const std::string tail = joined(parts, "    ");
  const std::string head = known ? fmt::format("  {:>4} ", percent(state)) : "  ";
  const int64_t room = width - text_width(head) - text_width(tail);
  const int cells = static_cast<int>(std::min<int64_t>(room - 2, kBarCells));
  if (known && cells >= kShortestBar) return head + drawn_bar(share_done(state), cells, utf8, color) + "  " + tail;
  if (room >= 0) return head + tail;
  return cut_to_width(head + joined(parts, "  "), width, utf8 ? "…" : "");
}

std::string progress_plain(const ProgressState& state) {
  if (state.total < 0)
    return joined({with_commas(state.done) + " " + state.unit, speed(state), time_words(state), state.note}, "  ");
  const std::string count = fmt::format("{} of {} {}", with_commas(state.done), with_commas(state.total), state.unit);
  return joined({percent(state), count, speed(state), time_words(state), state.note}, "  ");
}

Progress::Progress(int64_t total, std::string unit, ProgressOutput output) : output_(std::move(output)) {
  state_.total = total;
  state_.unit = std::move(unit);
  if (output_.quiet) return;
  start_ = output_.clock();
  // A pipe hears nothing of work that is over before the first line is due.
  next_draw_ = output_.terminal ? start_ : start_ + kLineSeconds;
  speed_.add(start_, 0);
}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, std::string_view note, std::optional<double> left) {
  if (output_.quiet || finished_) return;
  const double now = output_.clock();
  state_.done = done;
  state_.note = note;
  state_.left = left;
  // Resumed work reports at once what was done before: that is where it starts, not a speed.
  if (now - start_ < kAtOnce) speed_ = SpeedWindow();
  speed_.add(now, done);
  if (now >= next_draw_) draw(now);
}

void Progress::draw(double now) {
  state_.elapsed = now - start_;
  state_.per_second = speed_.per_second();
  if (output_.terminal) {
    // One column stays free: a character in the last one makes some terminals wrap.
    output_.write("\r\x1b[K" + progress_line(state_, std::max(output_.width() - 1, 1), output_.utf8, output_.color));
    next_draw_ = now + kRedrawSeconds;
    drawn_ = true;
  } else {
    output_.write(progress_plain(state_) + "\n");
    next_draw_ = now + kLineSeconds;
  }
}

void Progress::clear() {
  if (drawn_) output_.write("\r\x1b[K");
  drawn_ = false;
}

void Progress::say(std::string_view text) {
  if (output_.quiet) return;
  const bool redraw = drawn_;
  clear();
  output_.write(std::string(text) + "\n");
  if (redraw && !finished_) draw(output_.clock());
}

void Progress::finish() {
  if (output_.quiet || finished_) return;
  clear();
  finished_ = true;
}

}  // namespace longview
