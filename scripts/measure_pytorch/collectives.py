"""The suite of collectives: NCCL, eager and in CUDA graphs."""
import torch
import torch.distributed as dist

from .bench import MIB


def exchange_matrices(world, size):
    """What each rank sends to each, in bytes: even, all sending most to rank 0, and rank 0 sending most."""
    unit = 512
    part = size // world // unit * unit
    even = [[part] * world for _ in range(world)]
    hot = int(0.75 * size) // unit * unit
    rest = (size - hot) // (world - 1) // unit * unit
    to_first = [[hot if target == 0 else rest for target in range(world)] for _ in range(world)]
    from_first = [[part if source == 0 else part // 4 // unit * unit for _ in range(world)] for source in range(world)]
    return {"even": even, "to_first": to_first, "from_first": from_first}


def collective_records(bench, size, in_graph):
    rank, world, device = bench.rank, bench.world, bench.device
    elements = size // 2
    source = torch.zeros(elements, dtype=torch.bfloat16, device=device)
    target = torch.zeros(elements * world, dtype=torch.bfloat16, device=device)  # rank 0 may be sent most by all
    share = elements // world
    copies = 10 if size <= 16 * MIB else 3

    def us(run):
        if not in_graph:
            return bench.median(run, target_ms=15.0)
        return bench.graph_each([run] * copies)

    def exchange(matrix):
        send = [matrix[rank][other] // 2 for other in range(world)]
        receive = [matrix[other][rank] // 2 for other in range(world)]
        return lambda: dist.all_to_all_single(target[:sum(receive)], source[:sum(send)], receive, send)

    def pass_on():
        if rank == 0:
            dist.send(source, 1)
        elif rank == 1:
            dist.recv(target[:elements], 0)
    tail = "_graph" if in_graph else ""
    records = []
    for name, matrix in exchange_matrices(world, size).items():
        record = {"kind": ("nccl_all_to_all" if name == "even" else "nccl_all_to_allv") + tail,
                  "bytes_per_rank": max(map(sum, matrix)), "us": us(exchange(matrix)), "send_bytes": matrix}
        records.append(record)
    records.append({"kind": "nccl_all_reduce" + tail, "bytes_per_rank": size, "us": us(
        lambda: dist.all_reduce(source))})
    records.append({"kind": "nccl_all_gather" + tail, "bytes_out": size, "us": us(
        lambda: dist.all_gather_into_tensor(target[:share * world], source[:share]))})
    records.append({"kind": "nccl_reduce_scatter" + tail, "bytes_in": size, "us": us(
        lambda: dist.reduce_scatter_tensor(target[:share], source[:share * world]))})
    if not in_graph:
        records.append({"kind": "nccl_send_recv", "bytes": size, "us": us(pass_on)})
    return records


def collective_cases(bench):
    if bench.world == 1:
        return []
    cases = []
    for power in (20, 24, 27, 16, 22, 25, 29, 18, 23, 26, 28, 17, 19, 21):
        for in_graph in (True, False) if power >= 25 or power % 4 == 0 else (True,):
            cases.append((f"{1 << power} bytes{' in a graph' if in_graph else ''}",
                          lambda power=power, in_graph=in_graph: collective_records(bench, 1 << power, in_graph)))
    return cases
