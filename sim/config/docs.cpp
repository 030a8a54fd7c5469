#include "sim/config/docs.h"

#include <initializer_list>
#include <string_view>

#include "sim/config/json_text.h"
#include "sim/config/registry.h"
#include "sim/config/units_text.h"

namespace moesim {
namespace {

struct DocRow {
  std::string setting;
  std::string type;
  std::string range;
  std::string default_value;
  std::string meaning;
};

// A heading and, below it, a sentence and a table; either may be empty.
struct DocSection {
  std::string title;
  std::string text;
  std::vector<DocRow> rows;
};

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

// `a`, `b`
std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += joined({text.empty() ? "`" : ", `", name, "`"});
  return text;
}

std::string type_text(const ValueType& type) {
  switch (type.shape) {
    case Shape::boolean:
      return "true or false";
    case Shape::int32:
    case Shape::int64:
    case Shape::uint64:
      return "whole number";
    case Shape::real:
      return "number";
    case Shape::text:
      return "string";
    case Shape::duration:
      return quantity_kind(Duration{}).noun;
    case Shape::bytes:
      return quantity_kind(Bytes{}).noun;
    case Shape::rate:
      return quantity_kind(Rate{}).noun;
    case Shape::flop_rate:
      return quantity_kind(FlopRate{}).noun;
    case Shape::percentage:
      return quantity_kind(Percentage{}).noun;
    case Shape::enumeration:
      return names_text(names_of_enum(*type.enumeration));
    case Shape::policy:
      return type.policy->kind;
    case Shape::object:
      return "object";
    case Shape::optional:
      return type_text(type.container->element) + " or null";
    case Shape::list:
      return "list of " + type_text(type.container->element);
    case Shape::map:
      return "object of " + type_text(type.container->element) + " by name";
  }
  return "";
}

std::string default_text(const Setting& setting) {
  if (setting.is_required) return "required";
  if (setting.type->shape == Shape::object) return "as below";
  return joined({"`", compact_json_text(*setting.type, setting.value), "`"});
}

// The pointer at which the leaves of a container stand: /gpus/0 is shown as /gpus/*.
std::string leaf_path(const ValueType& type, const std::string& path) {
  if (type.container == nullptr) return path;
  return leaf_path(type.container->element, type.shape == Shape::optional ? path : path + "/*");
}

void collect_policies(const PolicyType& type, const std::string& path, std::vector<DocSection>& sections);

// Appends the table of a struct, and after it those of the structs inside it.
void collect_sections(const ObjectType& type, const std::string& title, const std::string& path,
                      std::vector<DocSection>& sections) {
  std::vector<DocRow> rows;
  std::vector<DocSection> inner;
  AnyStruct defaults(type);
  for (const Setting& setting : list_settings(type, defaults.object())) {
    const ValueType& leaf = leaf_of(*setting.type);
    const std::string limit =
        leaf.shape == Shape::text ? names_text(setting.limit.names) : range_text(leaf.shape, setting.limit.range);
    rows.push_back({setting.key, type_text(*setting.type), limit, default_text(setting), setting.doc});
    const std::string inner_path = leaf_path(*setting.type, path + "/" + setting.key);
    if (leaf.shape == Shape::object) collect_sections(*leaf.object, joined({"`", inner_path, "`"}), inner_path, inner);
    if (leaf.shape == Shape::policy) collect_policies(*leaf.policy, inner_path, inner);
  }
  sections.push_back({title, rows.empty() ? "No settings." : "", std::move(rows)});
  sections.insert(sections.end(), inner.begin(), inner.end());
}

void collect_policies(const PolicyType& type, const std::string& path, std::vector<DocSection>& sections) {
  for (const PolicyEntry* const entry : type.entries()) {
    const size_t first = sections.size();
    collect_sections(*entry->options, joined({"`", path, "`: ", type.kind, " `", entry->name, "`"}), path, sections);
    sections[first].text = entry->doc + (sections[first].rows.empty() ? ". It has no options." : ".");
  }
}

std::string cell(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

std::string markdown(const ObjectType& type, const std::string& title) {
  std::vector<DocSection> sections;
  collect_sections(type, "Settings", "", sections);
  std::string text = "# " + title + "\n";
  for (const DocSection& section : sections) {
    text += "\n## " + section.title + "\n";
    if (!section.text.empty()) text += "\n" + section.text + "\n";
    if (section.rows.empty()) continue;
    text += "\n| setting | type | range | default | meaning |\n|---|---|---|---|---|\n";
    for (const DocRow& row : section.rows)
      text += joined({"| `", row.setting, "` | ", cell(row.type), " | ", cell(row.range), " | ",
                      cell(row.default_value), " | ", cell(row.meaning), " |\n"});
  }
  return text;
}

}  // namespace moesim
