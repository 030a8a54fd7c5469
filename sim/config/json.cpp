#include "sim/config/json.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "sim/config/atomic_file.h"

namespace moesim {
namespace {

constexpr size_t kDepthMax = 100;
constexpr size_t kValuesMax = size_t{16} << 20;  // a node takes about 100 bytes, so this bounds memory
constexpr size_t kFaultsMax = 1000;

struct Position {
  const char* next = nullptr;  // the first byte that has not been read
  int newlines = 0;            // among those read
};

// Walks the text for nlohmann's lexer, and counts lines in a place where the tree builder sees them.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Position* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    if (*at_ == '\n') ++position_->newlines;
    position_->next = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  Position* position_;
};

void append_token(std::string& pointer, std::string_view key) {
  pointer += '/';
  for (const char c : key) {
    if (c == '~')
      pointer += "~0";
    else if (c == '/')
      pointer += "~1";
    else
      pointer += c;
  }
}

// "NaN" where the text around that byte reads so, else "".
std::string non_finite_word(std::string_view text, size_t offset) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  size_t begin = std::min(offset, text.size());
  while (begin > 0 && offset - begin < 9 && is_letter(text[begin - 1])) --begin;
  size_t end = begin;
  while (end < text.size() && end - begin < 9 && is_letter(text[end])) ++end;
  std::string word(text.substr(begin, end - begin));
  for (const char* known : {"NaN", "nan", "NAN", "Infinity", "infinity", "Inf", "inf", "INF"})
    if (word == known) return word;
  return "";
}

// What nlohmann says, without its prefix and without the last token, which may be as long as the file.
std::string syntax_message(std::string what) {
  const size_t column = what.find("column ");
  const size_t colon = what.find(": ", column == std::string::npos ? 0 : column);
  if (colon != std::string::npos) what = what.substr(colon + 2);
  const size_t last_read = what.find("; last read: '");
  const size_t end = what.rfind('\'');
  const size_t expected = what.rfind("; expected ");  // after the token, where it is there
  if (last_read != std::string::npos)
    what = what.substr(0, last_read) + (expected != std::string::npos && expected > end ? what.substr(expected) : "");
  return printable(what);
}

class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(std::string_view text, const Position& position) : text_(text), position_(position) {}

  bool null() override { return append(JsonKind::null, "", line()) != nullptr; }
  bool boolean(bool value) override { return append(JsonKind::boolean, value ? "true" : "false", line()) != nullptr; }
  bool number_integer(int64_t value) override { return number(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return number(std::to_string(value)); }
  bool number_float(double, const std::string& as_written) override { return number(as_written); }
  bool string(std::string& value) override { return append(JsonKind::string, std::move(value), line()) != nullptr; }
  bool binary(binary_t&) override { return false; }  // JSON text has none
  bool start_object(size_t) override { return open(JsonKind::object); }
  bool start_array(size_t) override { return open(JsonKind::array); }
  bool end_array() override { return open_.pop_back(), true; }

  bool key(std::string& name) override {
    key_ = std::move(name);
    key_line_ = line();
    return true;
  }

  bool end_object() override {
    report_duplicates();
    open_.pop_back();
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    const size_t read = size_t(position_.next - text_.data());
    const std::string word = non_finite_word(text_, read == 0 ? 0 : read - 1);
    if (!word.empty()) return fail("not JSON: " + word + " is not a number that JSON has");
    if (error.id == 406) return fail("number is too large for a double");
    return fail("not JSON: " + syntax_message(error.what()));
  }

  JsonNode root;
  std::vector<Fault> faults;

 private:
  int line() const { return position_.newlines + 1; }

  // The lexer has to read one byte past a number to see that it ends, and that byte may be a line's end.
  int line_before_last_byte() const {
    const bool at_line_end = position_.next > text_.data() && position_.next[-1] == '\n';
    return line() - (at_line_end ? 1 : 0);
  }

  bool number(std::string as_written) {
    return append(JsonKind::number, std::move(as_written), line_before_last_byte()) != nullptr;
  }

  bool fail(std::string message) {
    faults.push_back({line_before_last_byte(), pointer(), std::move(message)});
    return false;
  }

  bool open(JsonKind kind) {
    if (open_.size() == kDepthMax) return fail(fmt::format("nested deeper than {} levels", kDepthMax));
    JsonNode* const node = append(kind, "", line());
    if (node == nullptr) return false;
    open_.push_back(node);
    return true;
  }

  // Only the innermost open node grows, so the pointers in open_ stay valid.
  JsonNode* append(JsonKind kind, std::string text, int line) {
    if (++values_ > kValuesMax) {
      fail(fmt::format("more than {} values", kValuesMax));
      return nullptr;
    }
    JsonNode* node = &root;
    if (!open_.empty()) {
      JsonNode& parent = *open_.back();
      node = &parent.children.emplace_back();
      if (parent.kind == JsonKind::object) {
        node->key = std::move(key_);
        line = key_line_;
      }
    }
    node->kind = kind;
    node->line = line;
    node->text = std::move(text);
    return node;
  }

  // Sorts rather than compares each with each, so that an object of a million keys is no trouble.
  void report_duplicates() {
    const JsonNode& object = *open_.back();
    std::vector<const JsonNode*> members;
    for (const JsonNode& member : object.children) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
    for (size_t i = 1; i < members.size() && faults.size() < kFaultsMax; ++i) {
      if (members[i]->key != members[i - 1]->key) continue;
      std::string path = pointer();
      append_token(path, members[i]->key);
      faults.push_back({members[i]->line, path, fmt::format("duplicate key, first on line {}", members[i - 1]->line)});
    }
  }

  std::string pointer() const {
    std::string result;
    for (size_t i = 1; i < open_.size(); ++i) {
      const JsonNode& parent = *open_[i - 1];
      append_token(result, parent.kind == JsonKind::array ? std::to_string(parent.children.size() - 1) : open_[i]->key);
    }
    return result;
  }

  std::string_view text_;
  const Position& position_;
  std::vector<JsonNode*> open_;  // from the root to the innermost that is not closed yet
  std::string key_;
  int key_line_ = 0;
  size_t values_ = 0;
};

void forget_lines(JsonNode& node) {
  node.line = kFlagLine;
  for (JsonNode& child : node.children) forget_lines(child);
}

// Splits "/a~1b/0" into "a/b" and "0".
std::vector<std::string> pointer_tokens(std::string_view pointer, const std::string& source) {
  if (pointer.empty() || pointer[0] != '/') throw ConfigError(source, "a setting starts with /, as in /cluster/gpus=8");
  std::vector<std::string> tokens;
  for (size_t i = 0; i < pointer.size(); ++i) {
    if (pointer[i] == '/') {
      tokens.emplace_back();
    } else if (pointer[i] != '~') {
      tokens.back() += pointer[i];
    } else {
      ++i;
      if (i == pointer.size() || (pointer[i] != '0' && pointer[i] != '1'))
        throw ConfigError(source, "~ is written ~0, and / inside a name ~1");
      tokens.back() += pointer[i] == '0' ? '~' : '/';
    }
  }
  if (tokens.size() > kDepthMax) throw ConfigError(source, fmt::format("nested deeper than {} levels", kDepthMax));
  return tokens;
}

JsonNode& element_to_set(JsonNode& array, const std::string& token, const std::string& source) {
  const bool is_index =
      !token.empty() && token.size() <= 9 && token.find_first_not_of("0123456789") == std::string::npos;
  const size_t index = token == "-" ? array.children.size() : is_index ? size_t(std::stoul(token)) : SIZE_MAX;
  if (index > array.children.size())
    throw ConfigError(source,
                      fmt::format("{} is not an index of a list of {}", in_quotes(token), array.children.size()));
  if (index == array.children.size()) array.children.emplace_back();
  return array.children[index];
}

JsonNode& child_to_set(JsonNode& node, const std::string& token, const std::string& source) {
  if (node.kind == JsonKind::null) node.kind = JsonKind::object;
  if (node.kind == JsonKind::string && token == "policy") {  // by its bare name; what is set may differ in it alone
    JsonNode name = node;
    name.key = token;
    node.kind = JsonKind::object;
    node.text.clear();
    node.children = {std::move(name)};
  }
  if (node.kind == JsonKind::array) return element_to_set(node, token, source);
  if (node.kind != JsonKind::object)
    throw ConfigError(source,
                      fmt::format("{} has no {}, for it is a {}", node.key.empty() ? "the value" : in_quotes(node.key),
                                  in_quotes(token), kind_name(node.kind)));
  for (JsonNode& child : node.children)
    if (child.key == token) return child;
  JsonNode& child = node.children.emplace_back();
  child.key = token;
  return child;
}

JsonNode flag_value(std::string_view text, const std::string& source) {
  JsonNode value;
  try {
    value = parse_json(text, source);
  } catch (const ConfigError&) {
    const bool meant_as_json = !text.empty() && (text[0] == '{' || text[0] == '[' || text[0] == '"');
    if (meant_as_json) throw;
    value.kind = JsonKind::string;
    value.text = text;
  }
  forget_lines(value);
  return value;
}

}  // namespace

const char* kind_name(JsonKind kind) {
  constexpr const char* kNames[] = {"null", "boolean", "number", "string", "array", "object"};
  return kNames[size_t(kind)];
}

const JsonNode* JsonNode::find(std::string_view name) const {
  if (kind != JsonKind::object) return nullptr;
  for (const JsonNode& child : children)
    if (child.key == name) return &child;
  return nullptr;
}

std::string Place::pointer() const {
  if (parent == nullptr) return "";
  std::string result = parent->pointer();
  append_token(result, index >= 0 ? std::to_string(index) : std::string(key));
  return result;
}

JsonNode parse_json(std::string_view text, const std::string& source) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) throw ConfigError(source, "the file is empty");
  Position position{text.data(), 0};
  TreeBuilder builder(text, position);
  const CountingIterator begin(text.data(), &position);
  const CountingIterator end(text.data() + text.size(), &position);
  const bool parsed = nlohmann::json::sax_parse(begin, end, &builder);
  if (!parsed && builder.faults.empty()) throw ConfigError(source, "not JSON");
  throw_if_any(source, std::move(builder.faults));
  return std::move(builder.root);
}

JsonNode read_json_file(const std::filesystem::path& path, int64_t bytes_max) {
  return parse_json(read_text_file(path, bytes_max), path.string());
}

const JsonNode& nearest_node(const JsonNode& root, std::string_view pointer) {
  const JsonNode* node = &root;
  while (!pointer.empty()) {
    pointer.remove_prefix(1);  // the slash
    const std::string_view token = pointer.substr(0, pointer.find('/'));
    pointer.remove_prefix(token.size());
    const JsonNode* next = nullptr;
    for (size_t i = 0; i < node->children.size() && next == nullptr; ++i) {
      std::string name;
      append_token(name, node->kind == JsonKind::array ? std::to_string(i) : node->children[i].key);
      if (std::string_view(name).substr(1) == token) next = &node->children[i];
    }
    if (next == nullptr) return *node;
    node = next;
  }
  return *node;
}

Fault fault_at(const JsonNode& root, const std::string& pointer, std::string message) {
  return {nearest_node(root, pointer).line, pointer, std::move(message)};
}

void set_pointer(JsonNode& root, std::string_view assignment) {
  const std::string source = "--set " + printable(assignment.substr(0, 200));
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) throw ConfigError(source, "no value is given, as in /cluster/gpus=8");
  for (std::string_view rest = assignment; !rest.empty(); rest.remove_prefix(utf8_character(rest)))
    if (utf8_character(rest) == 0) throw ConfigError(source, "not valid UTF-8");

  JsonNode value = flag_value(assignment.substr(equals + 1), source);
  JsonNode changed = root;  // a fault half-way leaves no half-made objects behind
  JsonNode* node = &changed;
  for (const std::string& token : pointer_tokens(assignment.substr(0, equals), source))
    node = &child_to_set(*node, token, source);
  value.key = node->key;
  *node = std::move(value);
  root = std::move(changed);
}

}  // namespace moesim
