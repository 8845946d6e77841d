// Methods as they are asked for on the command line, and as they are shown.
#include "longview/base/text_format.h"
#include "tools/program.h"

namespace longview::tools {
namespace {

/// The setting with one more value; an option that says what the setting says already is a contradiction.
std::string with_value(const std::string& setting, const std::string& key, const std::string& value, const char* option) {
  const Setting parsed = parse_setting(setting);
  LV_CHECK(!parsed.values.contains(key), "[{}] '{}' has {} already; give one of the two", option, setting, key);
  return fmt::format("{}{}{}={}", setting, parsed.values.empty() ? ":" : ",", key, value);
}

int64_t usual_window(const ModelConfig& config) {
  return std::max<int64_t>(config.sliding_window > 0 ? config.sliding_window : config.trained_length, 5);
}

/// Without the values that are the method's defaults on this model, except those that a person looks for.
std::string shown(const std::string& setting, const std::string& defaults) {
  static const std::vector<std::string> kAlways{"factor", "window", "sinks", "segment"};
  const Setting parsed = parse_setting(setting), usual = parse_setting(defaults);
  std::vector<std::pair<size_t, FieldText>> kept;  // in the order of the setting
  for (const auto& [key, value] : parsed.values) {
    const auto found = usual.values.find(key);
    const bool is_usual = found != usual.values.end() && found->second == value, is_none = key == "sinks" && value == "0";
    if (!is_usual || (!is_none && std::find(kAlways.begin(), kAlways.end(), key) != kAlways.end()))
      kept.push_back({setting.find(key + "="), {key, value, ""}});
  }
  std::sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<FieldText> fields;
  for (const auto& [at, field] : kept) fields.push_back(field);
  return setting_text(parsed.name, fields);
}

}  // namespace

void add_method_options(CLI::App& app, SharedOptions& options) {
  app.add_option("--rope-scaling", options.position,
                 "position method, none: unscaled; see `longview list positions` and docs/methods.md")
      ->type_name("NAME[:key=value,...]");
  app.add_option("--attention", options.attention, "attention method; see `longview list attention`")
      ->type_name("NAME[:key=value,...]");
  const std::string group = "As llama.cpp spells them";
  const auto count = [&](const std::string& names, std::optional<int64_t>& value, const char* help) {
    const std::string name = names.substr(names.rfind(',') + 1);
    const auto set = [&value, name, &app](const std::string& text) { value = to_int(app.get_name(), name, text); };
    app.add_option_function<std::string>(names, set, help)->type_name("N")->group(group);
  };
  count("-c,--ctx-size", options.context, "tokens that are kept: --attention streaming:window=N");
  count("--keep", options.keep, "first tokens that are never dropped: --attention streaming:sinks=N");
  count("--yarn-orig-ctx", options.yarn_original, "with --rope-scaling yarn: its original=N");
  app.add_option("--rope-freq-base", options.rope_base, "--rope-scaling rope:base=X")->type_name("X")->group(group);
  app.add_option("--rope-freq-scale", options.rope_scale, "--rope-scaling linear:factor=1/X, or the factor of yarn")
      ->type_name("X")
      ->group(group);
}

std::string asked_position(const SharedOptions& options, const ModelConfig& config) {
  std::string out = options.position;
  if (options.rope_base) {
    const bool is_plain = out.empty() ? config.own_position().empty() : out == "none" || parse_setting(out).name == "rope";
    LV_CHECK(is_plain && !options.rope_scale, "[--rope-freq-base] goes with unscaled positions only; got {}",
             options.rope_scale ? "--rope-freq-scale too"
             : out.empty()      ? "the checkpoint's own " + config.own_position()
                                : out);
    LV_CHECK(*options.rope_base > 1, "[--rope-freq-base] must be above 1; got {}", *options.rope_base);
    out =
        with_value(out.empty() || out == "none" ? "rope" : out, "base", fmt::format("{}", *options.rope_base), "--rope-freq-base");
  }
  if (options.rope_scale) {
    LV_CHECK(*options.rope_scale > 0 && *options.rope_scale <= 1, "[--rope-freq-scale] must be above 0 and at most 1; got {}",
             *options.rope_scale);
    const std::string name = out.empty() ? "linear" : parse_setting(out).name;
    LV_CHECK(name == "linear" || name == "yarn", "[--rope-freq-scale] goes with linear and yarn; got --rope-scaling {}", out);
    out = with_value(out.empty() ? name : out, "factor", fmt::format("{}", 1 / *options.rope_scale), "--rope-freq-scale");
  }
  if (options.yarn_original) {
    LV_CHECK(!out.empty() && parse_setting(out).name == "yarn", "[--yarn-orig-ctx] needs --rope-scaling yarn; got {}",
             out.empty() ? "none" : out);
    out = with_value(out, "original", fmt::format("{}", *options.yarn_original), "--yarn-orig-ctx");
  }
  return out;
}

std::string asked_attention(const SharedOptions& options, const ModelConfig& config) {
  std::string out = options.attention;
  if (options.context) {
    LV_CHECK(*options.context >= 1, "[--ctx-size] must be at least 1; got {}", *options.context);
    if (out.empty()) out = "streaming";
    const std::string name = parse_setting(out).name;
    LV_CHECK(name == "streaming" || name == "window", "[--ctx-size] goes with streaming and window attention; got --attention {}",
             out);
    out = with_value(out, "window", fmt::format("{}", *options.context), "--ctx-size");
  }
  if (options.keep) {
    LV_CHECK(*options.keep >= 0, "[--keep] must not be negative; got {}", *options.keep);
    if (out.empty()) out = fmt::format("streaming:window={}", usual_window(config));
    LV_CHECK(parse_setting(out).name == "streaming", "[--keep] goes with streaming attention; got --attention {}", out);
    out = with_value(out, "sinks", fmt::format("{}", *options.keep), "--keep");
  }
  return out;
}

std::string bounded_attention(const Transformer& model) {
  const auto& c = model.config();
  const bool has_own = c.sliding_window > 0 || !c.attention.empty();
  return has_own ? model.default_attention() : fmt::format("streaming:window={},sinks=4", usual_window(c));
}

std::string usual_attention(const Transformer& model, const std::string& position) {
  const std::string named =
      position.empty() ? model.config().position : position;  // a model trained with another than RoPE has its own reach
  const bool is_plain = named.empty() || named == "none" || parse_setting(named).name == "rope";
  return is_plain ? bounded_attention(model) : model.default_attention();
}

std::vector<std::string> method_warnings(const Method& method, const ModelConfig& config, int64_t tokens) {
  std::vector<std::string> out;
  const auto bound = method.attention->bound();
  if (bound && *bound > config.trained_length)
    out.push_back(
        fmt::format("the window of {} tokens is wider than the {} this model was trained for: distances past it are new to it",
                    with_commas(*bound), with_commas(config.trained_length)));
  if (!bound && tokens > config.trained_length && method.position->setting.rfind("rope", 0) == 0)
    out.push_back(
        fmt::format("full attention with unscaled positions past the {} tokens this model was trained for: expect nonsense; "
                    "--attention streaming keeps the text readable",
                    with_commas(config.trained_length)));
  return out;
}

std::string method_label(const Method& method) {
  const auto shortened = [](const std::string& setting) {
    const Setting parsed = parse_setting(setting);
    std::string out = parsed.name;
    const auto is = [&](const char* key, const char* value) {
      const auto found = parsed.values.find(key);
      return found != parsed.values.end() && found->second == value;
    };
    for (const char* key : {"factor", "window", "segment"})
      if (const auto found = parsed.values.find(key); found != parsed.values.end() && parsed.name != "dynamic")
        out += " " + found->second;
    for (const char* rule : {"delta", "corrected_delta"}) out += is("rule", rule) ? fmt::format(" {}", rule) : "";
    return out + (is("memory", "off") ? ", memory off" : "");
  };
  const std::string position = shortened(method.position->setting), attention = shortened(method.attention->setting);
  if (attention == "full") return position == "rope" ? "full attention" : position;
  return position == "rope" ? attention : position + " + " + attention;
}

std::string method_text(const Method& method) {
  const std::string position = method.position->setting, attention = method.attention->setting;
  Rotary usual = method.position->rotary();
  usual.values.clear();  // what was learned may not fit what is usual
  return shown(position, make_position(parse_setting(position).name, usual)->setting) + ", " +
         shown(attention, make_attention(parse_setting(attention).name, usual)->setting);
}

}  // namespace longview::tools
