"""The suite of steps: blocks of a model, attention and experts, eager and as one CUDA graph."""
import statistics

import torch
import torch.nn.functional as F

from .bench import Skipped, spread
from .cases import chosen_models, in_one_model
from .models import MODELS, REFERENCE_MODELS, STEP_MODELS
from .moe_layer import MoeLayer, activation_bytes, rms_norm
from .routing import Routing


class Block:
    """Attention and experts of one layer."""

    def __init__(self, bench, model):
        d, f, experts, top_k, self.heads, self.kv_heads, self.size, _ = MODELS[model]
        self.bench = bench
        cut = bench.arena.cut
        self.qkv = cut(d, (self.heads + 2 * self.kv_heads) * self.size)
        self.out = cut(self.heads * self.size, d)
        self.norms = [torch.ones(d, dtype=torch.bfloat16, device=bench.device) for _ in range(2)]
        self.moe = MoeLayer(bench, (d, f, experts, top_k))

    def attention(self, x, cache):
        tokens, heads, kv_heads, size = x.shape[0], self.heads, self.kv_heads, self.size
        q, k, v = (x @ self.qkv).split([heads * size, kv_heads * size, kv_heads * size], dim=-1)
        if cache is None:  # One causal sequence.
            q, k, v = (part.unflatten(-1, (-1, size)).transpose(0, 1).unsqueeze(0) for part in (q, k, v))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=tokens > 1, enable_gqa=heads != kv_heads)
            return mixed.squeeze(0).transpose(0, 1).reshape(tokens, heads * size) @ self.out
        q = q.unflatten(-1, (heads, size)).unsqueeze(2)
        mixed = F.scaled_dot_product_attention(q, cache[0], cache[1], enable_gqa=heads != kv_heads)
        return mixed.reshape(tokens, heads * size) @ self.out

    def run(self, x, cache, routing):
        x = x + self.attention(rms_norm(self.bench, x, self.norms[0]), cache)
        return x + self.moe.whole_by_gathers(rms_norm(self.bench, x, self.norms[1]), routing)


def build_blocks(bench, model):
    d, f, experts, _, heads, kv_heads, size, usual = MODELS[model]
    if experts % bench.world:
        raise Skipped(f"{experts} experts on {bench.world} ranks")
    layer_elements = experts // bench.world * 3 * d * f + d * ((2 * heads + 2 * kv_heads) * size + experts) + 8192
    cache_elements = 2 * 128 * 4096 * kv_heads * size + 8192  # the largest of the usual sizes
    fit = (bench.arena.block.numel() - cache_elements) // layer_elements
    layers = min(bench.options.layers or usual, fit)
    if layers < 1:
        raise Skipped("not one layer fits beside the cache")
    return [Block(bench, model) for _ in range(layers)]


def step_record(bench, model, blocks, phase, tokens, kv, skew):
    d, f, experts, top_k, heads, kv_heads, size, _ = MODELS[model]
    routings = [Routing(bench, experts, top_k, tokens, skew, bench.options.seed + 100 * number)
                for number in range(len(blocks))]
    bench.need(2 * activation_bytes(tokens * top_k, max(r.rows_most for r in routings), d, f, tokens))
    cache, used = None, bench.arena.used
    try:
        if phase == "decode":  # One cache for all layers: one for each would not fit. Each layer reads it whole.
            cache = [bench.arena.cut(tokens, kv_heads, kv, size) for _ in range(2)]
    finally:
        bench.arena.used = used
    x = torch.randn(tokens, d, dtype=torch.bfloat16, device=bench.device)

    def step():
        y = x
        for block, routing in zip(blocks, routings):
            y = block.run(y, cache, routing)
        return y
    eager, _ = bench.times(step, target_ms=100.0, most=12)
    graph = bench.graph_times(step, target_ms=100.0, most=12)
    return {"kind": "model_step", "model": model, "phase": phase, "layers": len(blocks), "d": d, "heads": heads,
            "kv_heads": kv_heads, "head_dim": size, "E": experts, "k": top_k, "f": f, "tokens_per_rank": tokens,
            "kv": kv, "skew": skew, "eager_us": statistics.median(eager), "eager_min_us": min(eager),
            "graph_us": statistics.median(graph), "graph_min_us": min(graph), "eager_spread": spread(eager),
            "graph_spread": spread(graph), "seed": bench.options.seed, "way_back": "gather",
            "counts_layer_src_expert": [routing.counts for routing in routings]}


def step_cases(bench):
    options, cases = bench.options, []
    usual = [("prefill", 2048, 2048), ("decode", 32, 1024), ("decode", 4, 1024), ("prefill", 8192, 8192),
             ("decode", 128, 1024), ("decode", 256, 2048), ("prefill", 512, 512)]
    more = [("prefill", 1024, 1024), ("decode", 64, 4096), ("prefill", 4096, 4096), ("decode", 16, 2048),
            ("decode", 128, 4096)]
    for model in chosen_models(options, STEP_MODELS):
        sizes = [(*size, skew) for size in usual for skew in (0.0, 0.8)] + [(*size, 0.8) for size in more]
        if model in REFERENCE_MODELS and not options.models:
            sizes = [("decode", 4, 1024, 0.0), ("prefill", 2048, 2048, 0.0), ("prefill", 1024, 1024, 0.8)]
        if options.tokens or options.skew:
            wanted = options.tokens or (512, 2048, 8192, 4, 32, 128)
            sizes = [("prefill", tokens, tokens, skew) for tokens in wanted if tokens >= 512
                     for skew in options.skew or (0.0, 0.8)]
            sizes += [("decode", tokens, 1024, skew) for tokens in wanted if tokens < 512
                      for skew in options.skew or (0.0, 0.8)]
        cases += in_one_model(bench, model, sizes, build_blocks, step_record,
                              lambda size: f"{size[0]} {size[1]} tokens, KV {size[2]}, skew {size[3]:g}")
    return cases
