// A small strict XML reader for the tests: throws on what is not well-formed, gives the tree of what is.
#pragma once

#include <cctype>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace longview::xml {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  // of this element and all below it, in order
  std::vector<Element> children;

  double number(const std::string& key) const { return std::stod(attributes.at(key)); }
  bool is(std::string_view element, std::string_view css_class = "") const {
    const auto found = attributes.find("class");
    const std::string classes = " " + (found == attributes.end() ? "" : found->second) + " ";
    return name == element && (css_class.empty() || classes.find(" " + std::string(css_class) + " ") != std::string::npos);
  }
  /// All elements below with this name and class, in document order. They live as long as this element.
  std::vector<const Element*> all(std::string_view element, std::string_view css_class = "") const& {
    std::vector<const Element*> out;
    for (const auto& child : children) {
      if (child.is(element, css_class)) out.push_back(&child);
      for (const auto* below : child.all(element, css_class)) out.push_back(below);
    }
    return out;
  }
  std::vector<const Element*> all(std::string_view element, std::string_view css_class = "") && = delete;
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  Element document() {
    blanks();
    if (starts("<!doctype")) until('>'), blanks();
    Element root = element();
    blanks();
    if (at_ != text_.size()) wrong("text after the root");
    return root;
  }

 private:
  Element element() {
    Element out;
    expect('<');
    out.name = name();
    for (blanks(); peek() != '>' && peek() != '/'; blanks()) {
      const std::string key = name();
      expect('=');
      expect('"');
      std::string value;
      while (peek() != '"') value += character();
      ++at_;
      if (!out.attributes.emplace(key, value).second) wrong("repeated attribute " + key);
    }
    if (peek() == '/') {
      ++at_;
      expect('>');
      return out;
    }
    expect('>');
    while (!starts("</")) {
      if (peek() == '<') {
        out.children.push_back(element());
        if (out.children.back().name != "style") out.text += out.children.back().text;
      } else {
        out.text += character();
      }
    }
    at_ += 2;
    if (name() != out.name) wrong("closing tag does not match " + out.name);
    expect('>');
    return out;
  }
  std::string character() {
    const char c = peek();
    if (c == '<') wrong("'<' in text");
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') wrong("control character");
    ++at_;
    if (c != '&') return std::string(1, c);
    static const std::map<std::string, std::string> kNamed = {{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"#39", "'"}};
    const size_t end = text_.find(';', at_);
    if (end == text_.npos) wrong("'&' without ';'");
    const auto found = kNamed.find(std::string(text_.substr(at_, end - at_)));
    if (found == kNamed.end()) wrong("unknown reference");
    at_ = end + 1;
    return found->second;
  }
  std::string name() {
    const size_t from = at_;
    while (std::isalnum(static_cast<unsigned char>(peek())) || peek() == '-' || peek() == ':') ++at_;
    if (from == at_) wrong("a name is missing");
    return std::string(text_.substr(from, at_ - from));
  }
  char peek() {
    if (at_ >= text_.size()) wrong("the text ends early");
    return text_[at_];
  }
  void expect(char c) {
    if (peek() != c) wrong(std::string("expected ") + c);
    ++at_;
  }
  bool starts(std::string_view what) const { return text_.substr(at_, what.size()) == what; }
  void until(char c) {
    while (peek() != c) ++at_;
    ++at_;
  }
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  [[noreturn]] void wrong(const std::string& what) const {
    throw std::runtime_error(what + " near: " + std::string(text_.substr(at_ < 40 ? 0 : at_ - 40, 80)));
  }
  std::string_view text_;
  size_t at_ = 0;
};

inline Element parse(std::string_view text) { return Reader(text).document(); }

}  // namespace longview::xml
