// A user of the installed library: reads a short text with a model and says how surprised the model was.
#include <longview/longview.h>
#include <cstdio>

int main(int count, char** arguments) try {
  longview::prepare_process();
  const auto checkpoint = longview::open_checkpoint(count > 1 ? arguments[1] : TINY_MODEL);
  const auto tokenizer = longview::make_tokenizer(checkpoint.tokenizer);
  const longview::Transformer model(checkpoint);
  longview::Session session;
  longview::Reader reader(model, model.method("", "streaming:window=64"), {}, session);
  reader.read(tokenizer->encode("Once upon a time, there was a little girl named Lily. She loved to play outside."));
  const auto result = reader.finish();
  std::printf("%lld tokens, loss %.3f nats a token\n", static_cast<long long>(result.tokens), result.nll);
  return result.predicted == result.tokens - 1 && result.nll > 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
