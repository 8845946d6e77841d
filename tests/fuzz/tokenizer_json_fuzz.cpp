// tokenizer.json from hostile bytes (after a NUL: tokenizer_config.json), then a text through it. Anything but an Error is a finding.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "longview/base/check.h"
#include "longview/text/chat.h"
#include "longview/text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longview;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t cut = text.find('\0');
  const std::string_view config = cut == std::string_view::npos ? "" : text.substr(cut + 1);
  try {
    const auto tokenizer = make_tokenizer(tokenizer_from_json(text.substr(0, cut), config, "fuzz.json"));
    for (const Specials specials : {Specials::plain, Specials::parse}) {
      tokenizer->decode(tokenizer->encode("a b\xff<s> the  12\n\nd'S e\xCC\x81 <|im_end|>\xE2\x96\x81 a", specials), true);
      tokenizer->decode(tokenizer->encode(text.substr(0, 512), specials));
    }
    ChatTemplate(tokenizer->spec())
        .encode(*tokenizer, {{"system", " a "}, {"user", "b</think>"}, {"assistant", "c"}, {"user", ""}});
  } catch (const Error&) {
  }
  return 0;
}
