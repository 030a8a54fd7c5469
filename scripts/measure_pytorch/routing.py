"""Which expert each token goes to, and what follows for the ranks."""
import torch

from .bench import Skipped


def draw_experts(tokens, experts, top_k, skew, seed, device):
    """Expert ids [tokens, top_k]: without replacement, by a Zipf popularity over experts in random order."""
    generator = torch.Generator(device=device)
    generator.manual_seed(seed)
    popularity = torch.arange(1, experts + 1, device=device, dtype=torch.float32).pow(-skew)
    popularity = popularity[torch.randperm(experts, generator=generator, device=device)]
    uniform = torch.rand(tokens, experts, generator=generator, device=device).clamp_(1e-20, 1.0 - 1e-7)
    # The k largest of log p + Gumbel noise are k draws without replacement.
    keys = popularity.log() - torch.log(-torch.log(uniform))
    return keys.topk(top_k, dim=-1).indices


class Routing:
    """Where the rows of one layer go, on this rank: indices and split sizes, all made before the clock runs."""

    def __init__(self, bench, experts, top_k, tokens, skew, seed):
        rank, world, device = bench.rank, bench.world, bench.device
        if experts % world:
            raise Skipped(f"{experts} experts on {world} ranks")
        local = experts // world
        ids = draw_experts(world * tokens, experts, top_k, skew, seed, device).view(world, tokens * top_k)
        counts = torch.stack([torch.bincount(row, minlength=experts) for row in ids])
        self.counts = counts.tolist()
        here = counts[:, rank * local:(rank + 1) * local]
        order = torch.argsort(ids[rank], stable=True)
        self.token = order // top_k
        self.send = counts[rank].view(world, local).sum(1).tolist()
        self.receive = here.sum(1).tolist()
        self.rows = sum(self.receive)
        self.rows_most = max(sum(sum(row[r * local:(r + 1) * local]) for row in self.counts) for r in range(world))
        expert_of_row = torch.arange(local, device=device).repeat(world).repeat_interleave(here.reshape(-1))
        self.by_expert = torch.argsort(expert_of_row, stable=True)
        self.by_source = torch.argsort(self.by_expert)  # the way back
        self.by_token = torch.argsort(order)
        self.offsets = here.sum(0).cumsum(0).to(torch.int32)
        generator = torch.Generator(device=device)
        generator.manual_seed(seed + 1)
        self.weights = torch.rand(tokens * top_k, 1, generator=generator, device=device).to(torch.bfloat16)
