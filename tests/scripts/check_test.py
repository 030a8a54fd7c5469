"""scripts/check.py finds what it should, and nothing in code that is as it should be."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import check  # noqa: E402


def findings(name, files):
    """The findings of one check on a tree of these files, as "path:line"."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            file = Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        tree = check.Tree(root)
        check.CHECKS[name](tree)
        return sorted(f"{path}:{line}" for path, line, _ in tree.findings)


class Layers(unittest.TestCase):
    def test_a_layer_may_include_those_before_it(self):
        self.assertEqual(findings("layers", {
            "sim/core/a.h": "#include <vector>\n", "sim/net/b.h": '#include "sim/core/a.h"\n#include "sim/net/b.h"\n'}), [])

    def test_a_layer_may_not_include_those_after_it(self):
        self.assertEqual(findings("layers", {
            "sim/core/a.h": '\n#include "sim/net/b.h"\n', "sim/net/b.h": ""}), ["sim/core/a.h:2"])

    def test_siblings_may_not_include_each_other(self):
        self.assertEqual(findings("layers", {
            "models/a.h": '#include "traces/b.h"\n', "traces/b.h": ""}), ["models/a.h:1"])

    def test_a_policy_never_sees_the_simulator(self):
        self.assertEqual(findings("layers", {
            "sim/policy/a.cpp": '#include "sim/core/simulator.h"\n', "sim/core/simulator.h": ""}), ["sim/policy/a.cpp:1"])

    def test_paths_start_at_the_root_of_the_repository(self):
        self.assertEqual(findings("layers", {"sim/core/a.cpp": '#include "a.h"\n', "sim/core/a.h": ""}), ["sim/core/a.cpp:1"])


class Words(unittest.TestCase):
    def test_banned_words_are_found_in_code(self):
        self.assertEqual(findings("words", {"sim/net/a.cpp": "int a = 1;\ndouble b = std::exp(a);\nstd::shared_ptr<int> c;\n"}),
                         ["sim/net/a.cpp:2", "sim/net/a.cpp:3"])

    def test_they_may_stand_in_comments_and_strings(self):
        self.assertEqual(findings("words", {"sim/net/a.cpp": '// never std::exp(x)\nauto a = "std::exp(x)";\nauto b = R"(\nstd::pow(2))";\n'}), [])

    def test_the_core_and_the_tests_may_call_the_standard_library(self):
        self.assertEqual(findings("words", {"sim/core/math.cpp": "std::log(x);\n", "tests/sim/a.cpp": "std::log(x);\n"}), [])

    def test_a_header_may_not_use_a_namespace_and_is_included_once(self):
        self.assertEqual(findings("words", {"sim/net/a.h": "#pragma once\nusing namespace std;\n", "sim/net/b.h": "\n"}),
                         ["sim/net/a.h:2", "sim/net/b.h:1"])

    def test_left_overs_are_found_in_every_text_file(self):
        self.assertEqual(findings("words", {"docs/a.md": "TO" + "DO: write\n"}), ["docs/a.md:1"])


def bodies(code):
    return list(check.functions(check.without_comments_and_strings(code)))


class Lengths(unittest.TestCase):
    def test_a_function_over_the_limit_is_found_and_one_at_the_limit_is_not(self):
        def function(name, lines):
            return f"void {name}() {{\n" + "  work();\n" * (lines - 2) + "}\n"
        code = function("short_enough", 60) + function("too_long", 61)
        self.assertEqual(findings("lengths", {"sim/net/a.cpp": code}), ["sim/net/a.cpp:61"])

    def test_a_file_over_the_limit_is_found(self):
        self.assertEqual(findings("lengths", {"sim/net/a.cpp": "\n" * 401, "sim/net/b.cpp": "\n" * 400}), ["sim/net/a.cpp:400"])

    def test_functions_are_told_from_other_braces(self):
        self.assertEqual(bodies("namespace a {\nstruct B {\n  int c = 0;\n  int d() const {\n    return c;\n  }\n};\n}\n"), [(4, 6)])
        self.assertEqual(bodies("const std::array<int, 2> a = {\n  f(1),\n  2};\n"), [])
        self.assertEqual(bodies("A::A(int b)\n    : b_(b), c_{b} {\n}\n"), [(2, 3)])
        self.assertEqual(bodies("enum class A { b, c };\nauto f(int x) -> std::vector<int> {\n}\n"), [(2, 3)])
        self.assertEqual(bodies("template <class T>\nstruct A {\n  A& operator=(const A&) = default;\n};\n"), [])
        self.assertEqual(bodies("TEST(Name, IsASentence) {\n  if (a) {\n  }\n}\n"), [(1, 4)])

    def test_braces_in_literals_and_macros_do_not_count(self):
        self.assertEqual(bodies("#define A \\\n  do { \\\n  } while (0)\nvoid f() {\n  g('{', \"{\", 1'000'000);\n}\n"), [(4, 6)])


class Documents(unittest.TestCase):
    def test_a_registered_name_is_documented(self):
        code = 'const bool registered = Registry<PlacementPolicy>::instance().add(\n    "greedy", "heaviest first", place);\n'
        self.assertEqual(findings("names", {"sim/policy/a.cpp": code}), ["sim/policy/a.cpp:1"])
        self.assertEqual(findings("names", {"sim/policy/a.cpp": code, "docs/policies.md": "| `greedy` |\n"}), [])

    def test_links_lead_somewhere(self):
        self.assertEqual(findings("links", {
            "a.md": "[here](docs/b.md#two-words) [gone](c.md)\n\n[no heading](docs/b.md#three)\n`[code](d.md)` [out](https://e.org)\n",
            "docs/b.md": "# Two words\n"}), ["a.md:1", "a.md:3"])

    def test_every_document_is_mentioned(self):
        self.assertEqual(findings("documents", {"README.md": "[a](docs/a.md)\n", "docs/a.md": "", "docs/b.md": ""}), ["docs/b.md:1"])

    def test_large_files_are_found(self):
        self.assertEqual(findings("sizes", {"a.bin": "x" * (8 << 20), "b.bin": "x" * ((8 << 20) + 1)}), ["b.bin:1"])


if __name__ == "__main__":
    unittest.main()
