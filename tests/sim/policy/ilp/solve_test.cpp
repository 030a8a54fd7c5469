#include "sim/policy/ilp/solve.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "sim/config/reader.h"
#include "sim/config/writer.h"
#include "sim/core/interrupt.h"
#include "sim/policy/ilp/model_file.h"
#include "sim/policy/ilp/process.h"

namespace moesim {
namespace {

IlpOptions options_of(const std::string& json) {
  return read_struct<IlpOptions>(parse_json(json, "options"), "options");
}

// The command as it stands in the shell script, which the JSON text has to quote.
IlpOptions command(std::string script, const char* more = "") {
  std::string quoted;
  for (const char c : script) quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return options_of(R"({"gap": "0 %", "solver": {"command": ")" + quoted + "\"" + more + "}}");
}

// The solvers that this machine has; glpk is one of them in every build that links it.
std::vector<std::string> solvers() {
  std::vector<std::string> list;
#ifdef MOESIM_HAS_GLPK
  list.push_back(R"({"solver": "glpk", "gap": "0 %"})");
#endif
  if (has_program("cbc")) list.push_back(R"({"solver": "cbc", "gap": "0 %"})");
  if (has_program("glpsol")) {
    list.push_back(R"({"solver": {"command": "glpsol --freemps {mps} --write {solution}"}, "gap": "0 %"})");
    list.push_back(R"({"solver": {"command": "glpsol --lp {lp} --write {solution}"}, "gap": "0 %"})");
  }
  return list;
}

// Seven columns of 0, 1 or 2 and one that need not be whole, and rows of every kind of ends.
IlpProblem random_problem(Rng& rng) {
  IlpProblem problem;
  for (int i = 0; i < 7; ++i)
    problem.add(IlpColumn{fmt::format("x{}", i), 0, double(rng.between(1, 2)), double(rng.between(-9, 9)), true});
  problem.add(IlpColumn{"y", -1.5, kNoEnd, 0.25 + rng.uniform(), false});
  for (int i = 0; i < 4; ++i) {
    IlpRow row{fmt::format("row {}", i), -kNoEnd, kNoEnd, {}};
    for (int32_t column = 0; column < 7; ++column)
      if (const int64_t coefficient = rng.between(-3, 5); coefficient != 0)
        row.terms.push_back({column, double(coefficient)});
    row.terms.push_back({7, i % 2 == 0 ? -1.0 : 2.0});
    if (i != 1) row.high = double(rng.between(4, 8));
    if (i != 0) row.low = double(rng.between(-6, 2));
    problem.add(row);
  }
  return problem;
}

// All of x are tried; the rows then leave an interval for y, whose low end is cheapest.
double least_objective(const IlpProblem& problem) {
  double least = kNoEnd;
  std::vector<double> values(8, 0);
  const int combinations = int(std::lround(std::pow(3, 7)));
  for (int code = 0; code < combinations; ++code) {
    int rest = code;
    for (size_t i = 0; i < 7; ++i, rest /= 3) values[i] = rest % 3;
    double low = -1.5;
    double high = kNoEnd;
    for (const IlpRow& row : problem.rows) {
      double sum = 0;
      for (size_t t = 0; t + 1 < row.terms.size(); ++t)
        sum += row.terms[t].coefficient * values[size_t(row.terms[t].column)];
      const double c = row.terms.back().coefficient;
      low = std::max(low, ((c > 0 ? row.low : row.high) - sum) / c);
      high = std::min(high, ((c > 0 ? row.high : row.low) - sum) / c);
    }
    bool inside = low <= high;
    for (size_t i = 0; i < 7; ++i) inside = inside && values[i] <= problem.columns[i].high;
    values[7] = low;
    if (inside) least = std::min(least, objective_of(problem, values));
  }
  return least;
}

TEST(EverySolver, FindsWhatTryingAllFinds) {
  for (const std::string& json : solvers())
    for (uint64_t seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(json);
      SCOPED_TRACE(seed);
      Rng rng(seed);
      const IlpProblem problem = random_problem(rng);
      const double least = least_objective(problem);
      const IlpSolution solution = solve(problem, options_of(json));
      if (std::isinf(least)) {
        EXPECT_EQ(solution.status, IlpStatus::infeasible) << solution.text;
        EXPECT_FALSE(solution.conflict.empty());
        continue;
      }
      ASSERT_EQ(solution.status, IlpStatus::optimal) << solution.text;
      EXPECT_NEAR(solution.objective, least, 1e-5);
      EXPECT_EQ(fault_of(problem, solution.values), "");
      EXPECT_NEAR(solution.bound, least, 1e-5);
      EXPECT_NEAR(solution.gap, 0, 1e-6);
    }
  if (!has_program("cbc")) GTEST_SKIP() << "cbc is not installed, so that it was not asked";
}

TEST(EverySolver, BoundsAProgramByItsRelaxation) {
  for (const std::string& json : solvers())
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Rng rng(seed);
      const IlpProblem problem = random_problem(rng);
      const double least = least_objective(problem);
      if (std::isinf(least)) continue;
      const IlpSolution relaxed = solve(relaxation(problem), options_of(json));
      ASSERT_EQ(relaxed.status, IlpStatus::optimal) << json << relaxed.text;
      EXPECT_LE(relaxed.objective, least + 1e-6);
    }
}

// Two items of size 3 and 4 in two boxes of size 3 and 3: only the larger item has no place.
IlpProblem two_items_in_small_boxes() {
  IlpProblem problem;
  for (int item = 0; item < 2; ++item)
    for (int box = 0; box < 2; ++box) problem.add(IlpColumn{fmt::format("item {} in box {}", item, box)});
  problem.add(IlpRow{"item 0 has a box", 1, 1, {{0, 1}, {1, 1}}});
  problem.add(IlpRow{"item 1 has a box", 1, 1, {{2, 1}, {3, 1}}});
  for (int32_t box = 0; box < 2; ++box)
    problem.add(IlpRow{fmt::format("size of box {}", box), -kNoEnd, 3, {{box, 3}, {box + 2, 4}}});
  return problem;
}

TEST(EverySolver, NamesTheRowThatCannotHold) {
  for (const std::string& json : solvers()) {
    const IlpSolution solution = solve(two_items_in_small_boxes(), options_of(json));
    EXPECT_EQ(solution.status, IlpStatus::infeasible) << json << solution.text;
    // One unit too much in a box, or one item without: the least that gives way is 1, in one row.
    ASSERT_EQ(solution.conflict.size(), 1u) << json;
    EXPECT_TRUE(solution.conflict[0] == "item 1 has a box" || solution.conflict[0].starts_with("size of box"));
  }
}

TEST(EverySolver, SaysThatAnObjectiveHasNoEnd) {
  IlpProblem problem;
  problem.add(IlpColumn{"x", 0, kNoEnd, -1, true});
  problem.add(IlpRow{"at least one", 1, kNoEnd, {{0, 1}}});
  for (const std::string& json : solvers()) {
    const IlpSolution solution = solve(problem, options_of(json));
    // A program's file does not always say which of the two it is.
    EXPECT_TRUE(solution.status == IlpStatus::unbounded || solution.status == IlpStatus::failed) << json;
    EXPECT_TRUE(solution.values.empty());
  }
}

// An odd cycle: of 2n + 1 nodes, at least n + 1 must be chosen to touch every edge; the relaxation says n + 1/2, and a
// search without cuts would take long. A disjoint union makes it longer.
IlpProblem odd_cycles(int cycles, int length) {
  IlpProblem problem;
  for (int cycle = 0; cycle < cycles; ++cycle)
    for (int i = 0; i < length; ++i)
      problem.add(IlpColumn{fmt::format("node {} of cycle {}", i, cycle), 0, 1, 1, true});
  for (int32_t cycle = 0; cycle < cycles; ++cycle)
    for (int32_t i = 0; i < length; ++i)
      problem.add(IlpRow{fmt::format("edge {} of cycle {}", i, cycle),
                         1,
                         kNoEnd,
                         {{cycle * length + i, 1}, {cycle * length + (i + 1) % length, 1}}});
  problem.start.assign(problem.columns.size(), 1);
  return problem;
}

TEST(EverySolver, StopsAtItsGapWithABoundBelowAndASolutionAbove) {
  const IlpProblem problem = odd_cycles(4, 7);  // 16 at best
  for (const std::string& json : solvers()) {
    IlpOptions options = options_of(json);
    options.gap = {0.2};
    const IlpSolution solution = solve(problem, options);
    EXPECT_EQ(solution.status, IlpStatus::optimal) << json << solution.text;
    EXPECT_LE(solution.bound, 16 + 1e-6) << json;
    EXPECT_GE(solution.objective, 16 - 1e-6) << json;
    EXPECT_LE(solution.gap, 0.2) << json;
  }
}

#ifdef MOESIM_HAS_GLPK
TEST(Glpk, GivesTheStartBackWhereItMayNotSearch) {
  IlpProblem problem = odd_cycles(40, 7);
  IlpOptions options = options_of(R"({"gap": "0 %", "node_limit": 1})");
  const IlpSolution solution = solve(problem, options);
  EXPECT_LE(solution.bound, 160 + 1e-6);
  EXPECT_GE(solution.bound, 140 - 1e-6);  // the relaxation
  EXPECT_GE(solution.objective, 160 - 1e-6);
  EXPECT_LE(solution.nodes, 3);
  interrupted = true;
  const IlpSolution stopped = solve(problem, options);
  interrupted = false;
  EXPECT_TRUE(stopped.interrupted);
  EXPECT_EQ(stopped.status, IlpStatus::feasible);
  EXPECT_LE(stopped.objective, 280);
}

TEST(Glpk, GivesTheSameAnswerTwice) {
  Rng rng(5);
  const IlpProblem problem = random_problem(rng);
  EXPECT_EQ(solve(problem, IlpOptions{}).values, solve(problem, IlpOptions{}).values);
}

// An error inside GLPK, here ends of an integer column that are not whole, ends the search and not the program.
TEST(Glpk, SurvivesAProblemThatItCannotTake) {
  IlpProblem problem;
  problem.add(IlpColumn{"x", 0.5, 1.5, 1, true});
  problem.add(IlpRow{"twice", 0, 4, {{0, 1}}});
  problem.start = {1};
  const IlpSolution solution = solve(problem, IlpOptions{});
  EXPECT_EQ(solution.values, std::vector<double>{1});
}
#else
TEST(Glpk, SaysThatItIsNotBuiltIn) {
  const IlpSolution solution = solve(odd_cycles(1, 3), IlpOptions{});
  EXPECT_NE(solution.text.find("without GLPK"), std::string::npos);
  EXPECT_EQ(solution.values.size(), 3u);  // the start
}
#endif

// Whatever a program does, what is known before is the answer, and the text says what went wrong.
TEST(ExternalSolver, IsSurvivedWhereItFails) {
  const IlpProblem problem = odd_cycles(1, 3);
  const std::pair<const char*, const char*> cases[] = {
      {"kill -SEGV $$ # {mps} {solution}", "was killed by signal 11"},
      {"exit 3 # {mps} {solution}", "ended with status 3"},
      {"no-such-solver {mps} {solution}", "ended with status 127"},
      {"true # {mps} {solution}", "has written no solution"},
      {"head -c 3000 /dev/urandom > {solution} # {mps}", ""},
      {"echo hello > {solution} # {mps}", "no solution that can be read"},
      {"echo 'c0 0' > {solution} # {mps}", "wrong solution"},
      {"printf 'Optimal\\nc0 nan\\n' > {solution} # {mps}", "wrong solution"},
      {"printf 'Optimal\\nc0 1\\nc1 0.5\\nc2 1\\n' > {solution} # {lp}", "wrong solution"},
      {"echo Infeasible > {solution} # {mps}", "but there is one"},
      {"ln -s /dev/zero {solution} # {mps}", ""},
      {"mkdir {solution} # {mps}", "has written no solution"},
  };
  for (const auto& [script, text] : cases) {
    SCOPED_TRACE(script);
    const IlpSolution solution = solve(problem, command(script));
    EXPECT_EQ(solution.status, IlpStatus::feasible);
    EXPECT_EQ(solution.values, problem.start);
    EXPECT_NE(solution.text.find(text), std::string::npos) << solution.text;
    EXPECT_FALSE(solution.text.empty());
    EXPECT_EQ(solution.bound, -kNoEnd);
  }
}

// The child that the shell starts would write the file after a second; it is killed with its group.
TEST(ExternalSolver, IsKilledWithItsChildrenWhereItHangs) {
  const TemporaryFolder folder;
  const std::string late = folder.file("late").string();
  const IlpSolution solution =
      solve(odd_cycles(1, 3),
            command("(sleep 1; touch " + late + ") & sleep 100 # {mps} {solution}", R"(, "timeout": "100 ms")"));
  EXPECT_TRUE(solution.wall_limited);
  EXPECT_NE(solution.text.find("was killed after"), std::string::npos) << solution.text;
  EXPECT_EQ(solution.objective, 3);
  EXPECT_EQ(std::system("sleep 1.2"), 0);
  EXPECT_FALSE(std::filesystem::exists(late));
}

TEST(ExternalSolver, IsBelievedWhereItsSolutionHolds) {
  const IlpSolution solution =
      solve(odd_cycles(1, 3), command("printf '# Objective 2\\nc0 1\\nc2 1\\n' > {solution} # {lp}"));
  EXPECT_EQ(solution.objective, 2);
  EXPECT_EQ(solution.status, IlpStatus::feasible);  // nothing says that it is optimal
}

TEST(ExternalSolver, MustNameItsFiles) {
  try {
    command("solver {mps}");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("/solver/command"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("{solution}"), std::string::npos) << error.what();
  }
}

TEST(IlpOptions, ReadACommandWithoutNamingItsPolicy) {
  const IlpOptions options = options_of(R"({"solver": {"command": "cbc {mps} {solution}"}})");
  EXPECT_EQ(options.solver.name(), "command");
  EXPECT_EQ(json_value(options.solver)["command"], "cbc {mps} {solution}");
}

// Two columns in three rows, one of each kind, written by hand from the formats' definitions.
TEST(ModelFile, HoldsTheProgramInBothFormats) {
  IlpProblem problem;
  problem.add(IlpColumn{"a", 0, 1, 2.5, true});
  problem.add(IlpColumn{"b", -kNoEnd, kNoEnd, 0, false});
  problem.add(IlpRow{"equal", 3, 3, {{0, 1}, {1, -2}}});
  problem.add(IlpRow{"between", 1, 4, {{1, 1}}});
  problem.add(IlpRow{"at least", 0.5, kNoEnd, {{0, 1}}});
  EXPECT_EQ(mps_text(problem),
            "NAME moesim FREE\nROWS\n N cost\n E r0\n L r1\n G r2\nCOLUMNS\n M0 'MARKER' 'INTORG'\n c0 cost 2.5\n"
            " c0 r0 1\n c0 r2 1\n M1 'MARKER' 'INTEND'\n c1 cost 0\n c1 r0 -2\n c1 r1 1\nRHS\n rhs r0 3\n rhs r1 4\n"
            " rhs r2 0.5\nRANGES\n range r1 3\nBOUNDS\n LO bound c0 0\n UP bound c0 1\n FR bound c1\nENDATA\n");
  EXPECT_EQ(
      lp_text(problem),
      "Minimize\n cost: + 2.5 c0 + 0 c1\nSubject To\n r0: + 1 c0 - 2 c1 = 3\n r1low: + 1 c1 >= 1\n r1: + 1 c1 <= 4\n"
      " r2low: + 1 c0 >= 0.5\nBounds\n 0 <= c0 <= 1\n -inf <= c1 <= +inf\nGeneral\n c0\nEnd\n");
}

}  // namespace
}  // namespace moesim
