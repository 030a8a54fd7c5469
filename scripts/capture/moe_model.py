"""The models that train_moe.py trains: decoders whose feed-forward layers are mixtures of experts."""
import dataclasses
import math

import torch
import torch.nn.functional as F
from torch import nn


@dataclasses.dataclass
class Preset:
    layers: int
    experts: int
    top_k: int
    hidden: int = 512
    expert_hidden: int = 256
    gate: str = "softmax"  # or "sigmoid": affinities, picked with a bias that evens out the load (DeepSeek-V3's way)
    shared_hidden: int = 0  # of an expert that every token goes through
    dense_layers: int = 0  # the first layers, without experts
    balance_loss: float = 0.01
    bias_rate: float = 0.001
    sequence: int = 512
    batch: int = 64
    learning_rate: float = 1e-3
    vocabulary: int = 16384


def rms_norm(x, weight):
    return (x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * weight


def attention(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(-1) @ v


def grouped_product(rows, weights, ends):
    """Rows of group g, up to ends[g], times weights[g]."""
    if rows.is_cuda:
        return torch._grouped_mm(rows.bfloat16(), weights.bfloat16(), offs=ends)
    starts = [0] + ends.tolist()
    return torch.cat([rows[a:b] @ weights[g] for g, (a, b) in enumerate(zip(starts, starts[1:]))])


class Experts(nn.Module):
    """A gate and the experts it picks; `recorded` keeps the last pass's routing where `record` is set."""

    def __init__(self, preset):
        super().__init__()
        self.preset = preset
        hidden, wide, experts = preset.hidden, preset.expert_hidden, preset.experts
        self.gate = nn.Parameter(torch.randn(experts, hidden) * hidden ** -0.5 * 0.5)
        self.register_buffer("bias", torch.zeros(experts))
        self.up = nn.Parameter(torch.randn(experts, hidden, 2 * wide) * hidden ** -0.5)
        self.down = nn.Parameter(torch.randn(experts, wide, hidden) * wide ** -0.5 / math.sqrt(2 * preset.layers))
        self.record = False
        self.recorded = None

    def choose(self, x):
        """The chosen experts by falling weight, their weights, and all scores that the choice compared."""
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(x.float(), self.gate.float())
        if self.preset.gate == "softmax":
            scores = logits.softmax(-1)
            weights, ids = scores.topk(self.preset.top_k, -1)
            return ids, weights, scores, scores
        affinity = logits.sigmoid()
        compared = affinity + self.bias
        ids = compared.detach().topk(self.preset.top_k, -1)[1]
        weights, order = affinity.gather(1, ids).sort(-1, descending=True)
        return ids.gather(1, order), weights / weights.sum(-1, keepdim=True), affinity, compared

    def forward(self, x):
        preset = self.preset
        ids, weights, scores, compared = self.choose(x)
        if self.record:
            self.recorded = (ids, weights, compared.detach().clamp(min=0))
        chosen = ids.reshape(-1)
        order = chosen.argsort(stable=True)
        count = torch.bincount(chosen, minlength=preset.experts)
        share = count.float() / chosen.numel()
        self.balance = preset.experts * (share * scores.mean(0)).sum()
        if self.training and preset.gate == "sigmoid":
            self.bias += preset.bias_rate * torch.sign(1 / preset.experts - share)
        source = torch.div(order, preset.top_k, rounding_mode="floor")
        ends = count.cumsum(0).to(torch.int32)
        wide = grouped_product(x[source], self.up, ends)
        wide = F.silu(wide[:, :preset.expert_hidden]) * wide[:, preset.expert_hidden:]
        out = grouped_product(wide, self.down, ends).float() * weights.reshape(-1)[order, None]
        return torch.zeros(x.shape, dtype=torch.float32, device=x.device).index_add(0, source, out).to(x.dtype)


class FeedForward(nn.Module):
    def __init__(self, hidden, wide):
        super().__init__()
        self.up = nn.Linear(hidden, 2 * wide, bias=False)
        self.down = nn.Linear(wide, hidden, bias=False)

    def forward(self, x):
        a, b = self.up(x).chunk(2, -1)
        return self.down(F.silu(a) * b)


class Block(nn.Module):
    def __init__(self, preset, layer):
        super().__init__()
        hidden = preset.hidden
        self.heads = max(1, hidden // 64)
        self.attention_norm = nn.Parameter(torch.ones(hidden))
        self.expert_norm = nn.Parameter(torch.ones(hidden))
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)
        self.experts = Experts(preset) if layer >= preset.dense_layers else None
        wide = preset.shared_hidden if self.experts is not None else 4 * hidden
        self.dense = FeedForward(hidden, wide) if wide else None

    def forward(self, x):
        batch, length, hidden = x.shape
        qkv = self.qkv(rms_norm(x, self.attention_norm)).view(batch, length, 3, self.heads, hidden // self.heads)
        mixed = attention(*qkv.permute(2, 0, 3, 1, 4)).transpose(1, 2).reshape(batch, length, hidden)
        x = x + self.out(mixed)
        normed = rms_norm(x, self.expert_norm)
        if self.dense is not None:
            x = x + self.dense(normed)
        if self.experts is not None:
            x = x + self.experts(normed.reshape(batch * length, hidden)).view(batch, length, hidden)
        return x


class Model(nn.Module):
    def __init__(self, preset, vocabulary):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, preset.hidden)
        self.place = nn.Embedding(preset.sequence, preset.hidden)
        self.blocks = nn.ModuleList(Block(preset, layer) for layer in range(preset.layers))
        self.norm = nn.Parameter(torch.ones(preset.hidden))
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.place.weight[:tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(rms_norm(x, self.norm), self.embedding.weight)

    def experts(self):
        return [block.experts for block in self.blocks if block.experts is not None]
