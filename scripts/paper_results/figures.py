"""Computes a row's figure: arithmetic over what its runs answered, as the paper's file writes it.

  100 * (step("contiguous") / step("moetuner") - 1)

Names are the paper's constants. Times are seconds.
"""

import ast
import operator

from paper_results.paper_file import PaperError

OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg,
}


def at(result, pointer):
    for key in pointer.strip("/").split("/"):
        result = result[int(key)] if isinstance(result, list) else result[key]
    return result


def of_operations(result, names, field):
    return sum(entry[field] for entry in result["breakdown"] if entry["operation"] in names)


def place_of_expert(slots, experts, places):
    """On which of so many GPUs, or nodes, each expert of a layer is; the first copy counts."""
    place = [None] * experts
    for slot, expert in reversed(list(enumerate(slots))):
        if expert >= 0:
            place[expert] = slot * places // len(slots)
    return place


def crossings(case, places):
    """How often a token changes its place, a GPU or a node, on its way through the layers: mean over the tokens."""
    experts = len(case["weights"][0])
    homes = [place_of_expert(slots, experts, places) for slots in case["physical_to_logical"]]
    total = 0.0
    for layer, counts in enumerate(case["transitions"]):
        away = sum(count for pair, count in enumerate(counts)
                   if homes[layer][pair // experts] != homes[layer + 1][pair % experts])
        total += away / sum(counts)
    return total


def functions(answer):
    """What an expression may call. answer(name) is what the run of that name printed."""
    return {
        "step": lambda run: answer(run)["step_time_s"],
        "rate": lambda run: answer(run)["tokens_per_s"],
        "load": lambda run: answer(run)["gpu_load_max_over_mean"],
        "exposed": lambda run, *names: of_operations(answer(run), names, "exposed_s"),
        "busiest": lambda run, *names: of_operations(answer(run), names, "busiest_gpu_s"),
        "slots": lambda run: answer(run)["physical_to_logical"],
        "crossings": lambda run: crossings(answer(run), answer(run)["gpus"]),
        "node_crossings": lambda run: crossings(answer(run), answer(run)["nodes"]),
        "at": lambda run, pointer: at(answer(run), pointer),
        "min": min, "max": max, "mean": lambda *values: sum(values) / len(values),
    }


def evaluate(text, names, calls):
    def value(node):
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
            return node.value
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls and not node.keywords:
            return calls[node.func.id](*[value(argument) for argument in node.args])
        raise PaperError(f"figure: {ast.unparse(node)} is not understood")

    try:
        return value(ast.parse(text, mode="eval"))
    except (SyntaxError, KeyError, IndexError, TypeError, ZeroDivisionError) as error:
        raise PaperError(f"figure: {text}: {error!r}") from error
