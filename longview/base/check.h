// The one way to fail: bad input throws Error with a message that says what was given and what is allowed.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace longview {

/// Bad input, a broken file or a setting that makes no sense. what() reads "[where] what was given, what is allowed".
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace longview

/// LV_CHECK(factor >= 1, "[yarn] factor must be at least 1; got {}", factor)
#define LV_CHECK(condition, ...)                     \
  do {                                               \
    if (!(condition)) ::longview::fail(__VA_ARGS__); \
  } while (false)
