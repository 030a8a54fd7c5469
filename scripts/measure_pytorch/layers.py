"""The suite of layers: one MoE layer, phase by phase and whole."""
import statistics

import torch

from .bench import Skipped, spread
from .cases import chosen_models, in_one_model
from .models import LAYER_MODELS, MODELS, REFERENCE_MODELS
from .moe_layer import MoeLayer, activation_bytes
from .routing import Routing


def layer_record(bench, model, layer, tokens, skew):
    d, f, experts, top_k = MODELS[model][:4]
    seed = bench.options.seed
    routing = Routing(bench, experts, top_k, tokens, skew, seed)
    bench.need(activation_bytes(tokens * top_k, routing.rows_most, d, f, tokens))
    x = torch.randn(tokens, d, dtype=torch.bfloat16, device=bench.device)
    permuted = layer.permute(x, routing)
    arrived = layer.dispatch(permuted, routing)
    grouped = layer.regroup(arrived, routing)
    results = layer.run_experts(grouped, routing)
    ungrouped = layer.ungroup(results, routing)
    returned = layer.combine(ungrouped, routing)
    phases = {
        "gate": lambda: layer.gate(x), "permute": lambda: layer.permute(x, routing),
        "dispatch": lambda: layer.dispatch(permuted, routing), "regr": lambda: layer.regroup(arrived, routing),
        "experts": lambda: layer.run_experts(grouped, routing), "unregr": lambda: layer.ungroup(results, routing),
        "combine": lambda: layer.combine(ungrouped, routing),
        "unpermute": lambda: layer.unpermute(returned, routing, tokens), "layer": lambda: layer.whole(x, routing),
    }
    us, spreads, per_rank = {}, {}, []
    for name, run in phases.items():
        values, ranks = bench.times(run, target_ms=40.0 if name in ("experts", "layer") else 10.0)
        us[name], spreads[name] = statistics.median(values), spread(values)
        if name == "experts":
            per_rank = ranks
    record = {"kind": "moe_layer", "model": model, "d": d, "f": f, "E": experts, "k": top_k,
              "tokens_per_rank": tokens, "skew": skew, "seed": seed, "counts_src_expert": routing.counts, "us": us,
              "experts_us_per_rank": per_rank, "spread": spreads}
    for name in ("experts", "layer") if bench.options.graphs else ():
        try:
            record[f"{name}_graph_us"] = statistics.median(bench.graph_times(phases[name]))
        except RuntimeError as error:  # What was measured without a graph is worth keeping.
            bench.fail("layers", f"{model}, {tokens} tokens, {name} as a graph", error)
    return record


def layer_cases(bench):
    options, cases = bench.options, []
    for model in chosen_models(options, LAYER_MODELS):
        sizes = [(tokens, skew) for tokens in (8192, 1024, 128, 4096, 16) for skew in (0.0, 1.0)]
        sizes += [(2048, 0.5), (512, 0.5), (16384, 0.0)]
        if model in REFERENCE_MODELS:
            sizes = sizes[:4] + sizes[-3:]
        if options.tokens or options.skew:
            sizes = [(tokens, skew) for tokens in options.tokens or (16, 128, 1024, 4096, 8192)
                     for skew in options.skew or (0.0, 1.0)]
        cases += in_one_model(bench, model, sizes, build_layer, layer_record,
                              lambda size: f"{size[0]} tokens, skew {size[1]:g}")
    return cases


def build_layer(bench, model):
    if MODELS[model][2] % bench.world:
        raise Skipped(f"{MODELS[model][2]} experts on {bench.world} ranks")
    return MoeLayer(bench, MODELS[model][:4])
