// Chat templates of the families we load, recognised by the markers in the checkpoint's own Jinja text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "longview/text/tokenizer.h"

namespace longview {

struct ChatMessage {
  std::string role;     // system, user or assistant
  std::string content;  // plain text: markers in it stay text
};

/// Families: chatml (SmolLM2, Qwen2, Qwen3), llama-2, llama-3, mistral, zephyr (TinyLlama).
class ChatTemplate {
 public:
  /// Throws where there is no template, or one of no known family, listing the known ones.
  explicit ChatTemplate(const TokenizerSpec& spec);
  const std::string& family() const { return family_; }
  /// Ids of messages [first, end) as they continue a conversation whose earlier messages were already encoded, followed by
  /// the opening of the assistant's turn. With first == 0 it starts as the family starts (BOS, default system message).
  /// An assistant's message before `first` was encoded up to the token that ends its turn, as a model makes it; what the family
  /// writes after that token (a newline, say) comes first here. Throws on an unknown role, a system message that is not the first,
  /// and, in llama-2 and mistral, on users and assistants who do not take turns.
  std::vector<Id> encode(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages, size_t first = 0) const;

 private:
  std::string family_, template_, default_system_, bos_, eos_;
};

}  // namespace longview
