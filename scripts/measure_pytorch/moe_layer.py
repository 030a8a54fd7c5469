"""The parts of one MoE layer, as functions of PyTorch."""
import torch
import torch.distributed as dist
import torch.nn.functional as F

from .progress import note


def grouped_mm(rows, weights, offsets):
    if rows.shape[0] == 0:
        return rows.new_empty(0, weights.shape[2])
    multiply = torch._grouped_mm if hasattr(torch, "_grouped_mm") else F.grouped_mm
    return multiply(rows, weights, offs=offsets)


def choose_layout(bench):
    """Takes the transposed layout where this PyTorch's grouped GEMM refuses the other."""
    if bench.options.weights == "nk":
        return
    rows, weights = bench.arena.cut(32, 64), bench.arena.cut(2, 64, 64)
    try:
        grouped_mm(rows, weights, torch.tensor([16, 32], dtype=torch.int32, device=bench.device))
        torch.cuda.synchronize()
    except RuntimeError as error:
        note(f"rank {bench.rank}: weights are [n, k]: {str(error).splitlines()[0]}")
        bench.options.weights = "nk"
    bench.arena.reset()


def rms_norm(bench, x, weight):
    if bench.options.norm == "fused":
        return F.rms_norm(x, (x.shape[-1],), weight, 1e-5)
    wide = x.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)).to(torch.bfloat16) * weight


class MoeLayer:
    """The expert part of one block. The phases are those of the records, in their order."""

    def __init__(self, bench, shape):
        self.bench, (self.d, self.f, self.experts, self.top_k) = bench, shape
        local = self.experts // bench.world
        cut = bench.arena.cut
        self.router = cut(self.d, self.experts)
        if bench.options.weights == "kn":
            self.up, self.down = cut(local, self.d, 2 * self.f), cut(local, self.f, self.d)
        else:  # As nn.Linear keeps them: [n, k], read as transposed.
            self.up = cut(local, 2 * self.f, self.d).transpose(1, 2)
            self.down = cut(local, self.d, self.f).transpose(1, 2)

    def gate(self, x):
        scores = torch.softmax(x @ self.router, dim=-1, dtype=torch.float32)
        weights, ids = torch.topk(scores, self.top_k, dim=-1)
        return weights / weights.sum(-1, keepdim=True), ids

    def permute(self, x, routing):
        return x.index_select(0, routing.token)

    def exchange(self, rows, receive, send):
        if self.bench.world == 1:
            return rows
        out = torch.empty(sum(receive), rows.shape[1], dtype=rows.dtype, device=rows.device)
        dist.all_to_all_single(out, rows, receive, send)
        return out

    def dispatch(self, rows, routing):
        return self.exchange(rows, routing.receive, routing.send)

    def regroup(self, rows, routing):
        return rows.index_select(0, routing.by_expert)

    def run_experts(self, rows, routing):
        wide = grouped_mm(rows, self.up, routing.offsets)
        return grouped_mm(F.silu(wide[:, :self.f]) * wide[:, self.f:], self.down, routing.offsets)

    def ungroup(self, rows, routing):
        return torch.empty_like(rows).index_copy_(0, routing.by_expert, rows)

    def combine(self, rows, routing):
        return self.exchange(rows, routing.send, routing.receive)

    def unpermute(self, rows, routing, tokens):
        out = torch.zeros(tokens, self.d, dtype=rows.dtype, device=rows.device)
        return out.index_add_(0, routing.token, rows * routing.weights)

    def whole(self, x, routing):
        self.gate(x)  # Computed as a model does; the ids that are used are the recorded ones.
        rows = self.regroup(self.dispatch(self.permute(x, routing), routing), routing)
        rows = self.combine(self.ungroup(self.run_experts(rows, routing), routing), routing)
        return self.unpermute(rows, routing, x.shape[0])

    def whole_by_gathers(self, x, routing):
        """As models compute it, where whole() is as the phases are: rows come back by gathers, and a token's results
        are summed without atomics; one rank has its rows by expert already."""
        self.gate(x)
        rows = self.dispatch(self.permute(x, routing), routing)
        if self.bench.world > 1:
            rows = self.run_experts(rows.index_select(0, routing.by_expert), routing).index_select(0, routing.by_source)
        else:
            rows = self.run_experts(rows, routing)
        rows = self.combine(rows, routing).index_select(0, routing.by_token)
        return (rows.view(-1, self.top_k, self.d) * routing.weights.view(-1, self.top_k, 1)).sum(1)


def activation_bytes(rows_sent, rows_received, d, f, tokens):
    return 2 * (rows_sent * d * 4 + rows_received * (4 * d + 5 * f) + tokens * d * 6)
