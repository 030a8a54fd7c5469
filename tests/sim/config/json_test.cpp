#include "sim/config/json.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sim/config/atomic_file.h"

namespace moesim {
namespace {

// The whole message of the ConfigError that the function throws.
template <class Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string parse_error(std::string_view text) {
  return error_of([&] { parse_json(text, "a.json"); });
}

std::string one_fault(const std::string& fault) { return "a.json: 1 fault\n  " + fault; }

TEST(Json, KeepsKindsTextOrderAndLines) {
  const JsonNode root =
      parse_json("{\n\"b\": [1,\n 2.50\n, true],\n\n\"a\": {\"c\": null}, \"d\":\n\"x\\u00e9\"}", "a.json");
  ASSERT_EQ(root.children.size(), 3u);
  EXPECT_EQ(root.line, 1);
  const JsonNode& list = *root.find("b");
  EXPECT_EQ(list.kind, JsonKind::array);
  EXPECT_EQ(list.line, 2);
  EXPECT_EQ(list.children[0].line, 2);
  EXPECT_EQ(list.children[1].line, 3);  // the line's end after it belongs to no number
  EXPECT_EQ(list.children[1].text, "2.50");
  EXPECT_EQ(list.children[2].line, 4);
  EXPECT_EQ(list.children[2].text, "true");
  EXPECT_EQ(root.find("a")->line, 6);
  EXPECT_EQ(root.find("a")->find("c")->kind, JsonKind::null);
  EXPECT_EQ(root.find("d")->line, 6);  // a member stands where its key does
  EXPECT_EQ(root.find("d")->text, "x\u00e9");
  EXPECT_EQ(root.find("e"), nullptr);
}

TEST(Json, KeepsWholeNumbersOf64BitsExactly) {
  const JsonNode root = parse_json("[18446744073709551615, -9223372036854775808]", "a.json");
  EXPECT_EQ(root.children[0].text, "18446744073709551615");
  EXPECT_EQ(root.children[1].text, "-9223372036854775808");
}

TEST(Json, ReportsEveryDuplicateKeyWithBothLines) {
  EXPECT_EQ(parse_error("{\"a\": 1,\n\"b\": [{\"x/y\": 1,\n\"x/y\": 2}],\n\"a\": 3}"),
            "a.json: 2 faults\n"
            "  line 3 /b/0/x~1y: duplicate key, first on line 2\n"
            "  line 4 /a: duplicate key, first on line 1");
}

TEST(Json, RefusesWhatIsNotANumberInJson) {
  EXPECT_EQ(parse_error("{\"a\":\n NaN}"), one_fault("line 2: not JSON: NaN is not a number that JSON has"));
  EXPECT_EQ(parse_error("[nan]"), one_fault("line 1: not JSON: nan is not a number that JSON has"));
  EXPECT_EQ(parse_error("[-Infinity]"), one_fault("line 1: not JSON: Infinity is not a number that JSON has"));
  EXPECT_EQ(parse_error("[1,\n1e999]"), one_fault("line 2: number is too large for a double"));
}

TEST(Json, RefusesDeepNestingAtItsLine) {
  const std::string deep = std::string(100, '[') + "\n[" + std::string(101, ']');
  EXPECT_NE(parse_error(deep).find("line 2"), std::string::npos);
  EXPECT_NE(parse_error(deep).find("nested deeper than 100 levels"), std::string::npos);
  EXPECT_EQ(parse_error(std::string(100, '[') + std::string(100, ']')), "no error");
  EXPECT_NE(parse_error(std::string(1'000'000, '[')).find("nested deeper"), std::string::npos);
}

TEST(Json, RefusesWhatIsNotJson) {
  EXPECT_EQ(parse_error(""), "a.json: the file is empty");
  EXPECT_EQ(parse_error(" \n\t"), "a.json: the file is empty");
  EXPECT_EQ(
      parse_error("{\"a\": 1,\n}"),
      one_fault("line 2: not JSON: syntax error while parsing object key - unexpected '}'; expected string literal"));
  EXPECT_EQ(parse_error("{}\n\nx"),
            one_fault("line 3: not JSON: syntax error while parsing value - invalid literal; expected end of input"));
  EXPECT_EQ(parse_error("\"\xff\""),
            one_fault("line 1: not JSON: syntax error while parsing value - invalid string: ill-formed UTF-8 byte"));
  EXPECT_NE(parse_error("{\"a\": 1\n").find("unexpected end of input"), std::string::npos);
  EXPECT_NE(parse_error("// no\n{}").find("line 1: not JSON"), std::string::npos);
  EXPECT_NE(parse_error(std::string_view("\0\0\0", 3)).find("line 1: not JSON"), std::string::npos);
}

TEST(Json, KeepsAnErrorShortWhenTheBadTokenIsLong) {
  EXPECT_LT(parse_error("\"" + std::string(1'000'000, 'x') + "\n").size(), 300u);
}

TEST(JsonFile, IsRefusedWhenItIsTooLargeMissingOrADirectory) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "moesim_json_file";
  std::filesystem::create_directories(folder);
  const std::filesystem::path huge = folder / "huge.json";
  std::ofstream(huge) << "{}";
  std::filesystem::resize_file(huge, uintmax_t{2} << 30);  // sparse: takes no space
  const auto reading = [](const std::filesystem::path& path) {
    return error_of([&] { read_json_file(path, 1 << 20); });
  };
  EXPECT_EQ(reading(huge), huge.string() + ": the file is larger than 1048576 bytes, the most that is read");
  EXPECT_EQ(reading("/dev/zero"), "/dev/zero: the file is larger than 1048576 bytes, the most that is read");
  EXPECT_EQ(reading(folder), folder.string() + ": is a directory, not a file");
  EXPECT_EQ(reading(folder / "none"), (folder / "none").string() + ": cannot be read: No such file or directory");
  EXPECT_EQ(reading("/dev/null"), "/dev/null: the file is empty");
  std::filesystem::remove_all(folder);
}

TEST(AtomicFile, ReplacesTheFileAndLeavesNothingElse) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "moesim_atomic_file";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "a", "old");
  write_file_atomically(folder / "a", std::string("new\0text", 8));
  std::filesystem::create_symlink("a", folder / "link");
  write_file_atomically(folder / "link", "through the link");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_EQ(read_text_file(folder / "a", 100), "through the link");
  write_file_atomically("/dev/null", "is not replaced");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));

  EXPECT_EQ(error_of([&] { write_file_atomically(folder / "none" / "a", "x"); }),
            (folder / "none" / "a").string() + ": cannot be written: No such file or directory");
  EXPECT_EQ(error_of([&] { write_file_atomically(folder, "x"); }),
            folder.string() + ": cannot be written: it is a directory");
  size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) files += file.exists() ? 1 : 0;
  EXPECT_EQ(files, 2u);  // a and link
  std::filesystem::remove_all(folder);
}

JsonNode after_set(const char* json, const char* assignment) {
  JsonNode root = parse_json(json, "a.json");
  set_pointer(root, assignment);
  return root;
}

TEST(SetPointer, ReplacesCreatesAndAppends) {
  EXPECT_EQ(after_set(R"({"a": {"b": 1}})", "/a/b=2").find("a")->find("b")->text, "2");
  EXPECT_EQ(after_set(R"({"a": {"b": 1}})", "/a/b=2").find("a")->find("b")->line, kFlagLine);
  EXPECT_EQ(after_set("{}", "/a/b/c=400 Gb/s").find("a")->find("b")->find("c")->text, "400 Gb/s");
  EXPECT_EQ(after_set("{}", "/a=x=y").find("a")->text, "x=y");
  EXPECT_EQ(after_set("{}", "/a=").find("a")->text, "");
  EXPECT_EQ(after_set("{}", "/a=\"5\"").find("a")->kind, JsonKind::string);
  EXPECT_EQ(after_set("{}", "/a=5").find("a")->kind, JsonKind::number);
  EXPECT_EQ(after_set("{}", "/a=[1,2]").find("a")->children.size(), 2u);
  EXPECT_EQ(after_set("{}", "/a~1b~0=1").children[0].key, "a/b~");
  EXPECT_EQ(after_set("[1, 2]", "/1=7").children[1].text, "7");
  EXPECT_EQ(after_set("[1, 2]", "/-/x=7").children[2].find("x")->text, "7");
  EXPECT_EQ(after_set("[1, 2]", "/2=7").children.size(), 3u);
  EXPECT_EQ(after_set(R"({"placement": "greedy"})", "/placement/policy=random").find("placement")->find("policy")->text,
            "random");  // a policy by its bare name
}

TEST(SetPointer, RefusesWhatCannotBeSetAndNamesTheFlag) {
  const auto setting = [](const char* assignment) {
    return error_of([&] { after_set(R"({"a": [1], "b": "x"})", assignment); });
  };
  EXPECT_EQ(setting("/a"), "--set /a: no value is given, as in /cluster/gpus=8");
  EXPECT_EQ(setting("a=1"), "--set a=1: a setting starts with /, as in /cluster/gpus=8");
  EXPECT_EQ(setting("=1"), "--set =1: a setting starts with /, as in /cluster/gpus=8");
  EXPECT_EQ(setting("/a~2=1"), "--set /a~2=1: ~ is written ~0, and / inside a name ~1");
  EXPECT_EQ(setting("/a/5=1"), "--set /a/5=1: \"5\" is not an index of a list of 1");
  EXPECT_EQ(setting("/a/x=1"), "--set /a/x=1: \"x\" is not an index of a list of 1");
  EXPECT_EQ(setting("/a/99999999999999999999=1"),
            "--set /a/99999999999999999999=1: \"99999999999999999999\" is not an index of a list of 1");
  EXPECT_EQ(setting("/b/c=1"), "--set /b/c=1: \"b\" has no \"c\", for it is a string");
  EXPECT_NE(setting("/a={\"x\": 1, \"x\": 2}").find("duplicate key"), std::string::npos);
  EXPECT_EQ(setting("/a=\xff"), "--set /a=\\xff: not valid UTF-8");
}

TEST(NearestNode, IsTheLastOneOnTheWay) {
  const JsonNode root = parse_json("{\n\"a/b\": [\n{\"c\":\n1}]}", "a.json");
  EXPECT_EQ(nearest_node(root, "").line, 1);
  EXPECT_EQ(nearest_node(root, "/a~1b").line, 2);
  EXPECT_EQ(nearest_node(root, "/a~1b/0/c").text, "1");
  EXPECT_EQ(nearest_node(root, "/a~1b/0/d/e").line, 3);
  EXPECT_EQ(fault_at(root, "/x/y", "no").line, 1);
}

TEST(ConfigError, ShowsControlCharactersEscapedAndLongTextCut) {
  EXPECT_EQ(in_quotes("a\x1b[31m\n\xc2\x9b\xff\u00e9"), "\"a\\x1b[31m\\n\\xc2\\x9b\\xff\u00e9\"");
  EXPECT_EQ(in_quotes(std::string(59, 'a') + "\u00e9"), "\"" + std::string(59, 'a') + "...\"");
}

TEST(ConfigError, ShowsAHundredFaultsAndCountsTheRest) {
  const std::string text = ConfigError("a.json", std::vector<Fault>(130, Fault{3, "/x", "bad"})).what();
  EXPECT_NE(text.find("130 faults"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\n  and 30 more"));
}

TEST(ConfigError, GathersTheFaultsOfSeveralFiles) {
  std::vector<Fault> faults = {{7, "/gpu", "unknown"}, {kFlagLine, "/seed", "negative"}};
  add_faults_of(ConfigError("gpu.json", {{2, "/hbm", "not a rate"}}), faults);
  add_faults_of(ConfigError("nic.json", "cannot be read"), faults);
  EXPECT_EQ(error_of([&] { throw_if_any("a.json", faults); }),
            "a.json: 4 faults\n"
            "  --set /seed: negative\n"
            "  line 7 /gpu: unknown\n"
            "  gpu.json line 2 /hbm: not a rate\n"
            "  nic.json: cannot be read");
  EXPECT_NO_THROW(throw_if_any("a.json", {}));
}

}  // namespace
}  // namespace moesim
