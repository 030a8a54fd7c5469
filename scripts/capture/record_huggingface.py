#!/usr/bin/env python3
"""Records which experts any Hugging Face Mixture-of-Experts model chooses, by hooks, as a trace that moesim reads.

usage: record_huggingface.py MODEL TEXT... --out trace.h5 [--tokens 512] [--generate 128] [--batch 4]

MODEL is a name or folder that transformers loads, or with --random a config.json, whose model gets random weights. Each
TEXT is a file, one request, its folder's name its domain; --tokens is the most of each prompt. With --generate the model
goes on by as many tokens, which the trace calls decode. Needs PyTorch and transformers 4.40 or later.

In a program of your own:

    with RoutingRecorder(model) as recorder:
        model.generate(**tokenizer(prompts, return_tensors="pt", padding=True), max_new_tokens=100)
    recorder.write("trace.h5", source="my prompts")

Where routing is read from, first that fits:
  experts  the arguments of a module named `experts` that is called with chosen ids and weights (transformers 5; GPT-OSS)
  router   what a module named `gate` or `router` returns, where that holds chosen ids (DeepSeek-V3 of transformers 4)
  logits   what that module returns is one score an expert: softmax, or sigmoid where the configuration says so, and
           top-k (Mixtral, OLMoE, Qwen2-MoE, Qwen3-MoE of transformers 4)
Beam search reorders sequences and is not followed.
"""
import argparse
import collections
import pathlib
import re
import sys

try:
    import numpy as np
    import torch
    from torch import nn

    from trace_file import write_trace
except ImportError as error:
    if __name__ != "__main__":
        raise
    sys.exit(f"record_huggingface.py: numpy and PyTorch are needed: {error}")

EXPERTS_NAMES = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
TOP_K_NAMES = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k")


def first_of(config, names):
    """A count under the first of the names that the configuration, or its text part, has."""
    for part in (config, getattr(config, "text_config", None), getattr(config, "ffn_config", None)):
        for name in names:
            value = getattr(part, name, None)
            if isinstance(value, (list, tuple)):
                value = value[0] if len(set(value)) == 1 else None
            if isinstance(value, int) and value > 0:
                return value
    raise SystemExit(f"the model's configuration has none of {', '.join(names)}: is it a Mixture of Experts?")


def tensors_of(values):
    """All tensors in what a module takes or returns."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, (tuple, list)):
        return []
    return [tensor for value in values for tensor in tensors_of(value)]


class RoutingRecorder:
    """Hooks on a model's routers, from `with` to its end; rows of every pass pile up in host memory."""

    def __init__(self, model):
        self.model = model
        self.experts = first_of(model.config, EXPERTS_NAMES)
        self.top_k = first_of(model.config, TOP_K_NAMES)
        self.layers = self._routed_layers()
        self.hooks = []
        self.rows = collections.defaultdict(list)
        self.requests = 0
        self.steps = 0
        self.how = {}  # by layer: experts, router or logits
        self._pass = None

    def _routed_layers(self):
        """By the layer's number: its modules that may tell of routing, by their last name."""
        layers = collections.defaultdict(dict)
        for name, module in self.model.named_modules():
            number = re.search(r"(?:^|\.)(\d+)\.", name)
            last = name.rsplit(".", 1)[-1]
            if not number or last not in ("gate", "router", "experts", "wg"):
                continue
            layer, kind = int(number.group(1)), "experts" if last == "experts" else "router"
            # A list of experts is never called itself; and the first router of a layer is its own, others lie inside.
            if not isinstance(module, nn.ModuleList):
                layers[layer].setdefault(kind, module)
        layers = {layer: modules for layer, modules in sorted(layers.items()) if modules}
        if not layers:
            raise SystemExit("the model has no module named gate, router or experts in its layers")
        return layers

    def __enter__(self):
        self.hooks.append(self.model.register_forward_pre_hook(self._begin_pass, with_kwargs=True))
        self.hooks.append(self.model.register_forward_hook(self._end_pass))
        for layer, modules in self.layers.items():
            if "experts" in modules:
                self.hooks.append(modules["experts"].register_forward_pre_hook(
                    lambda _, given, named, layer=layer: self._take(layer, "experts", [given, named]),
                    with_kwargs=True))
            if "router" in modules:
                self.hooks.append(modules["router"].register_forward_hook(
                    lambda _, given, returned, layer=layer: self._take(layer, "router", returned)))
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()
        self.hooks = []

    def _begin_pass(self, _, given, named):
        tokens = named.get("input_ids", given[0] if given else None)
        if tokens is None:
            raise ValueError("the recorder needs input_ids, not embeddings")
        past = named.get("past_key_values")
        seen = past.get_seq_length() if hasattr(past, "get_seq_length") else len(past[0][0][0][0]) if past else 0
        if not seen:
            self.current = torch.arange(self.requests, self.requests + len(tokens))
            self.requests += len(tokens)
            self.position = torch.zeros(len(tokens), dtype=torch.long)
        mask = named.get("attention_mask")
        live = torch.ones_like(tokens, dtype=torch.bool)
        if isinstance(mask, torch.Tensor) and mask.dim() == 2:
            live = mask[:, -tokens.shape[1]:].bool()
        self._pass = {"tokens": tokens.detach().cpu(), "live": live.cpu(), "decode": seen > 0 and tokens.shape[1] == 1, "layers": {}}

    def _take(self, layer, kind, values):
        """Keeps the routing of a layer where it can be read here and nothing better is known."""
        if self._pass is None or self._pass["layers"].get(layer, ("",))[0] == "experts":
            return
        count = self._pass["tokens"].numel()
        rows = [t.detach().reshape(-1, t.shape[-1]) for t in tensors_of(values) if t.dim() >= 2]
        rows = [t for t in rows if t.shape[0] == count]
        ids = next((t for t in rows if t.shape[1] == self.top_k and not t.is_floating_point()), None)
        floats = [t for t in rows if t.is_floating_point()]
        if ids is not None:
            weights = next((t for t in floats if t.shape[1] == self.top_k), None)
            scores = next((t for t in floats if t.shape[1] == self.experts), None)
            if weights is None and scores is not None:
                weights = scores.gather(1, ids.long())
            if weights is None:
                return
        elif kind == "router":
            scores = next((t for t in floats if t.shape[1] == self.experts), None)
            if scores is None:
                return
            kind = "logits"
            sigmoid = getattr(self.model.config, "scoring_func", "softmax") == "sigmoid"
            scores = scores.float().sigmoid() if sigmoid else scores.float().softmax(-1)
            weights, ids = scores.topk(self.top_k, -1)
        else:
            return
        weights, order = weights.float().sort(dim=-1, descending=True, stable=True)
        self._pass["layers"][layer] = (kind, ids.long().gather(1, order).cpu(), weights.clamp(min=0).cpu())

    def _end_pass(self, *_):
        recorded, self._pass = self._pass, None
        if recorded is None or not recorded["layers"]:
            return
        for layer, (kind, _, _) in recorded["layers"].items():
            self.how[layer] = kind
        tokens, live = recorded["tokens"], recorded["live"]
        places = self.position[:, None] + live.long().cumsum(1) - 1
        self.position += live.sum(1)
        keep = live.reshape(-1)
        numbers = sorted(recorded["layers"])
        if self.rows and numbers != self.numbers:
            raise ValueError(f"this pass went through layers {numbers}, those before through {self.numbers}")
        self.numbers = numbers
        length = tokens.shape[1]
        self.rows["ids"].append(torch.stack([recorded["layers"][n][1] for n in numbers], 1)[keep].to(torch.int32))
        self.rows["gate"].append(torch.stack([recorded["layers"][n][2] for n in numbers], 1)[keep])
        self.rows["token"].append(tokens.reshape(-1)[keep])
        self.rows["request"].append(self.current[:, None].expand(-1, length).reshape(-1)[keep])
        self.rows["position"].append(places.reshape(-1)[keep])
        count = int(keep.sum())
        self.rows["phase"].append(torch.full((count,), int(recorded["decode"])))
        self.rows["step"].append(torch.full((count,), self.steps))
        self.steps += 1

    def arrays(self):
        return {name: torch.cat(parts).numpy() for name, parts in self.rows.items()}

    def write(self, path, source="", domain_of_request=None, domains=()):
        """Writes the trace: HDF5, or .npz where the name ends so. domain_of_request: a domain's number a request."""
        if not self.rows:
            raise SystemExit("no routing was seen: the model was not run, or its routers return nothing known")
        arrays = self.arrays()
        if domain_of_request is not None:
            arrays["domain"] = np.asarray(domain_of_request)[arrays["request"]]
        name = getattr(self.model.config, "_name_or_path", "") or self.model.config.model_type
        how = ", ".join(sorted(set(self.how.values())))
        write_trace(path, arrays, {"experts": self.experts, "model": name, "source": source, "domains": list(domains),
                                   "recorded": f"transformers, hooks on {how}", "layer_numbers": self.numbers})


def load_model(name, random, dtype, device):
    from transformers import AutoConfig, AutoModelForCausalLM

    if random:
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(name)).to(device).eval()
    return AutoModelForCausalLM.from_pretrained(name, dtype=dtype).to(device).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text", nargs="+", type=pathlib.Path)
    parser.add_argument("--out", required=True)
    parser.add_argument("--random", action="store_true", help="random weights; MODEL is a configuration")
    parser.add_argument("--tokenizer", help="of another model; else the model's own, or bytes with --random")
    parser.add_argument("--tokens", type=int, default=512, help="of each prompt, at most")
    parser.add_argument("--generate", type=int, default=0, help="tokens that the model adds to each prompt")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    if missing := [str(path) for path in arguments.text if not path.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")

    model = load_model(arguments.model, arguments.random, getattr(torch, arguments.dtype), arguments.device)
    if arguments.random and not arguments.tokenizer:
        def encode(text):
            return [byte % model.config.vocab_size for byte in text.encode()]
    else:
        from transformers import AutoTokenizer
        encode = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.model).encode
    domains = sorted({path.resolve().parent.name for path in arguments.text})
    with torch.no_grad(), RoutingRecorder(model) as recorder:
        for path in arguments.text:
            tokens = encode(path.read_text(errors="ignore"))[:arguments.tokens]
            prompt = torch.tensor(tokens, device=arguments.device)[None]
            if arguments.generate:
                model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=arguments.generate)
            else:
                model(prompt)
            print(f"{path}: {len(tokens)} tokens", file=sys.stderr, flush=True)
    recorder.write(arguments.out, source=f"{len(arguments.text)} files", domains=domains,
                   domain_of_request=[domains.index(path.resolve().parent.name) for path in arguments.text])


if __name__ == "__main__":
    main()
