"""Measures what one Mixture-of-Experts layer costs in PyTorch, part by part and whole, on 1 to N GPUs of one host.

Writes one JSON file that `moesim calibrate` and `moesim validate` read. Needs PyTorch 2.8 or later with CUDA, and
NCCL for more than one GPU. Suites: steps (blocks of a model, eager and as a CUDA graph), layers (one MoE layer, phase
by phase), kernels (GEMMs, attention, small operations, copies), collectives (NCCL; 2 GPUs and more), offload (experts
in host memory or on the CPU; 1 GPU). docs/measuring-pytorch.md says what each record holds.

examples:
  python3 measure_pytorch --out mine.json                                   all GPUs, all suites, four minutes at most
  python3 measure_pytorch --gpus 1 --budget 60 --out quick.json             one minute, one GPU
  python3 measure_pytorch --suite steps --models olmoe-1b-7b --layers 16 --out steps.json
  python3 measure_pytorch --suite layers --tokens 16,1024,8192 --skew 0,1 --out layers.json
  python3 measure_pytorch --out again.json --compare mine.json              prints how much the two files differ

Ctrl-C ends after the record in hand and keeps what was measured. Progress goes to stderr.
"""
