#!/usr/bin/env python3
"""scripts/import_measurements.py from outside: logs and tables in each tool's format, and what is wrong with bad ones.

The numbers of the fixtures are made up. Expected values are those printed, in bytes and microseconds.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "import_measurements.py"
FIXTURES = ROOT / "tests" / "validation" / "import"


def run(*arguments, text=None):
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, input=text)


class Import(unittest.TestCase):
    def imported(self, source, *arguments, text=None):
        done = run(source, *arguments, text=text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, source, *arguments, text=None):
        done = run(source, *arguments, text=text)
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertEqual(done.stdout, "")
        return done.stderr


class NcclTests(Import):
    def test_two_hosts_measure_the_fabric(self):
        file = self.imported("nccl-tests", FIXTURES / "all_reduce_2x1.log")
        self.assertEqual((file["format"], file["format_version"], file["world"]), ("moesim-bench", 1, 2))
        self.assertEqual(file["device"], "NVIDIA H100 80GB HBM3")
        self.assertEqual(file["machine"]["nccl"], "22807")
        head = {"kind": "fabric_collective", "op": "all_reduce", "ranks": 2}
        tail = {"nodes": 2, "dtype": "float"}
        self.assertEqual(file["records"], [  # a row of no bytes measures no collective
            head | {"bytes": size} | tail | {"buffers": place, "launch": "eager", "calls": 20, "samples_us": [time]}
            for size, place, time in ((1024, "out_of_place", 20.5), (1024, "in_place", 20.1),
                                      (1048576, "out_of_place", 100.0), (1048576, "in_place", 99.0))])

    def test_one_host_measures_a_collective_and_repeated_logs_are_samples(self):
        log = FIXTURES / "alltoall_1x4.log"
        file = self.imported("nccl-tests", log, log)
        self.assertEqual([r["samples_us"] for r in file["records"]], [[200.0, 200.0], [201.0, 201.0]])
        first = file["records"][0]
        self.assertEqual((first["kind"], first["op"], first["ranks"], first["bytes"], first["launch"], first["calls"]),
                         ("collective", "all_to_all", 4, 67108864, "graph", 200))

    def test_a_ring_of_sends_is_an_uneven_all_to_all(self):
        record = self.imported("nccl-tests", FIXTURES / "sendrecv_1x3.log")["records"][0]
        self.assertEqual(record["op"], "all_to_all")
        self.assertEqual(record["send_bytes"], [[0, 4096, 0], [0, 0, 4096], [4096, 0, 0]])

    def test_a_log_that_names_no_test_needs_op_and_ranks(self):
        row = "  1024  256  float  sum  -1  20.5  0.05  0.05  0  20.1  0.05  0.05  0\n"
        self.assertIn("--op", self.refused("nccl-tests", "-", text=row))
        self.assertIn("--ranks", self.refused("nccl-tests", "-", "--op", "all_reduce", text=row))
        file = self.imported("nccl-tests", "-", "--op", "all_reduce", "--ranks", "8", text=row)
        self.assertEqual(file["records"][0]["ranks"], 8)

    def test_wrong_results_other_operations_and_torn_rows_are_all_named(self):
        good = (FIXTURES / "alltoall_1x4.log").read_text()
        text = (good + "    67108864       4194304     float    none      -1   200.00  335.54  251.66      3\n"
                + "    67108864       4194304     float    none      -1   200.00  335.54\n"
                + "    67108864       4194304     float    none      -1   200.00  335.54  587.20      0\n"
                + "    67108864       4194304     float    none      -1   900.00  335.54  251.66      0\n")
        faults = self.refused("nccl-tests", "-", text=text)
        self.assertIn("4 faults", faults)
        for line, words in ((10, "3 wrong results"), (11, "columns"), (12, "is not that of alltoall"), (13, "are not 335.54")):
            self.assertRegex(faults, rf"-:{line}: .*{re.escape(words)}")


class Perftest(Import):
    def test_megabytes_are_binary_and_gigabits_decimal(self):
        file = self.imported("perftest", FIXTURES / "ib_write_bw.log")
        self.assertEqual(file["device"], "mlx5_0")
        small, large, both = file["records"]
        # 8 MB/s of 2^20 bytes: 2 bytes in 2 / 8388608 s = 0.238419 us. 40,000 of them: 2^20 bytes in 25 us.
        self.assertEqual((small["bytes_per_s"], small["samples_us"]), (8388608, [0.238419]))
        self.assertEqual((large["verb"], large["qps"], large["mtu"], large["samples_us"]), ("write", 4, 4096, [25.0]))
        # 320 Gb/s are 40 GB/s: 10^6 bytes in 25 us.
        self.assertEqual((both["verb"], both["bidirectional"], both["bytes_per_s"], both["samples_us"]),
                         ("send", True, 40000000000, [25.0]))

    def test_a_read_takes_a_round_trip(self):
        record = self.imported("perftest", FIXTURES / "ib_read_lat.log")["records"][0]
        self.assertEqual(record, {"kind": "fabric", "verb": "read", "bytes": 2, "measures": "latency", "round_trip": True,
                                  "min_us": 3.1, "max_us": 9.0, "p99_us": 3.6, "qps": 1, "mtu": 4096, "connection": "RC",
                                  "samples_us": [3.25]})

    def test_a_table_without_title_and_a_log_without_table_are_refused(self):
        self.assertIn("title", self.refused("perftest", "-", text=" #bytes #iterations t_min[usec]\n 2 1000 3.1\n"))
        self.assertIn("no table of perftest", self.refused("perftest", "-", text="Couldn't connect to 10.0.0.1\n"))


class DeepEp(Import):
    def test_times_are_taken_as_printed_and_rates_kept_where_there_are_none(self):
        records = self.imported("deepep", FIXTURES / "test_intranode.log", "--ranks", 8, "--experts", 256)["records"]
        self.assertEqual([(r["op"], r["dtype"], r.get("samples_us"), r["nvl_gb_per_s"]) for r in records],
                         [("dispatch", "fp8", [500.0], 320.0), ("dispatch", "bf16", [940.0], 330.0),
                          ("combine", "bf16", None, 300.0)])
        self.assertEqual((records[0]["tokens"], records[0]["hidden"], records[0]["topk"], records[0]["experts"]),
                         (4096, 7168, 8, 256))

    def test_between_nodes_the_notification_is_apart(self):
        records = self.imported("deepep", FIXTURES / "test_internode.log", "--ranks", 16)["records"]
        self.assertEqual((records[0]["notify_us"], records[0]["samples_us"], records[0]["rdma_gb_per_s"]), (230.0, [1390.0], 43.0))
        self.assertEqual((records[1]["rdma_chunk"], records[1]["rdma_gb_per_s"]), (32, 21.0))

    def test_low_latency_takes_as_long_as_the_slowest_rank(self):
        dispatch, combine = self.imported("deepep", FIXTURES / "test_low_latency.log")["records"]
        self.assertEqual((dispatch["ranks"], dispatch["rank_us"], dispatch["samples_us"]), (2, [82.0, 84.0], [84.0]))
        self.assertEqual((combine["samples_us"], combine["send_us"], combine["receive_us"]), ([135.0], 25.0, 15.0))

    def test_a_number_of_ranks_is_asked_for_and_a_lost_rank_is_missed(self):
        self.assertEqual(self.refused("deepep", FIXTURES / "test_intranode.log").count("--ranks"), 3)
        line = "[rank 3] Dispatch bandwidth: 90.00 GB/s, avg_t=84.00 us | Combine bandwidth: 110.00 GB/s, avg_t=132.50 us\n"
        self.assertIn("ranks 3", self.refused("deepep", "-", text=line))


class Tables(Import):
    NCCL = "op_name,nccl_dtype,num_gpus,message_size,latency\n"

    def test_elements_become_bytes_and_repeated_rows_samples(self):
        text = self.NCCL + "alltoall,half,4,1024,0.0065\nalltoall,half,4,1024,0.0070\nall_reduce,int8,2,1024,0.01\n"
        self.assertEqual(self.imported("aiconfigurator", "-", text=text)["records"], [
            {"kind": "collective", "op": "all_to_all", "ranks": 4, "bytes": 2048, "dtype": "half", "launch": "graph",
             "samples_us": [6.5, 7.0]},
            {"kind": "collective", "op": "all_reduce", "ranks": 2, "bytes": 1024, "dtype": "int8", "launch": "graph",
             "samples_us": [10.0]}])

    def test_kernels_have_their_shapes(self):
        gemm = "kernel_source,gemm_dtype,m,n,k,latency\nDeepGemmFp8BlockScaledMMKernel,fp8_block,1,2,3,0.08\n"
        self.assertEqual(self.imported("aiconfigurator", "-", text=gemm)["records"],
                         [{"kind": "gemm", "m": 1, "n": 2, "k": 3, "dtype": "fp8", "scaling": "block",
                           "kernel": "DeepGemmFp8BlockScaledMMKernel", "launch": "eager", "samples_us": [80.0]}])
        decode = ("batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,window_size,latency\n"
                  "4,1,8,2,128,bfloat16,bfloat16,63,0,0.0125\n")
        record = self.imported("aiconfigurator", "-", text=decode)["records"][0]
        self.assertEqual((record["q"], record["kv"], record["heads"], record["kv_heads"], record["samples_us"]), (1, 64, 8, 2, [12.5]))
        mla = "mla_dtype,kv_cache_dtype,num_heads,batch_size,isl,tp_size,step,latency\nbfloat16,fp8,16,2,512,8,0,0.1\n"
        record = self.imported("aiconfigurator", "-", text=mla)["records"][0]
        self.assertEqual((record["kv_heads"], record["qk_dim"], record["v_dim"], record["cache"]), (1, 576, 512, "fp8"))
        self.assertTrue(record["values_are_keys"])

    def test_where_and_every_choose(self):
        text = self.NCCL + "".join(f"all_gather,half,2,{1 << i},0.01\nall_gather,half,8,{1 << i},0.02\n" for i in range(6))
        records = self.imported("aiconfigurator", "-", "--where", "num_gpus=8", "--every", 2, text=text)["records"]
        self.assertEqual([(r["ranks"], r["bytes"]) for r in records], [(8, 2), (8, 8), (8, 32)])
        self.assertIn("no column 'gpus'", self.refused("aiconfigurator", "-", "--where", "gpus=8", text=text))

    def test_vidur_has_bytes_and_milliseconds_and_several_nodes_apart(self):
        head = ",time_stats.all_reduce.median,rank,num_workers,size,collective,devices_per_node\n"
        file = self.imported("vidur", "-", text=head + "0,0.043,0,2,2048,all_reduce,2\n1,0.9,0,16,4096,all_reduce,8\n")
        self.assertEqual([(r["kind"], r["ranks"], r.get("nodes"), r["bytes"], r["samples_us"]) for r in file["records"]],
                         [("collective", 2, None, 2048, [43.0]), ("fabric_collective", 16, 2, 4096, [900.0])])

    def test_every_bad_cell_is_named(self):
        text = self.NCCL + "alltoall,half,4,1k,0.0065\nalltoall,fp3,4,1024,-1\nalltoall,half,4\nalltoall,half,4,8,nan\n"
        faults = self.refused("aiconfigurator", "-", text=text)
        self.assertIn("5 faults", faults)
        for words in ("-:2: message_size: '1k'", "-:3: nccl_dtype: 'fp3'", "-:3: latency: '-1'", "-:4: ", "-:5: latency: 'nan'"):
            self.assertIn(words, faults)

    def test_foreign_tables_empty_files_and_binary_ones_are_refused(self):
        self.assertIn("a,b", self.refused("aiconfigurator", "-", text="a,b\n1,2\n").replace(", ", ","))
        self.assertIn("without rows", self.refused("vidur", "-", text=""))
        self.assertIn("cannot be read", self.refused("vidur", "no-such-file.csv"))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "torn.csv.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
            self.assertIn("cannot be read", self.refused("vidur", Path(folder) / "torn.csv.gz"))
            damaged = bytearray(gzip.compress(b"a,b\n" + b"1,2\n" * 1000))
            damaged[12:] = b"\xff" * (len(damaged) - 12)
            (Path(folder) / "damaged.csv.gz").write_bytes(damaged)
            self.assertIn("cannot be read", self.refused("vidur", Path(folder) / "damaged.csv.gz"))
            (Path(folder) / "binary.csv").write_bytes(b"\xff\xfe\x00")
            self.assertIn("UTF-8", self.refused("vidur", Path(folder) / "binary.csv"))


class Output(Import):
    def test_a_refused_import_leaves_the_old_file_alone_and_nothing_beside_it(self):
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "out.json"
            self.assertEqual(run("nccl-tests", FIXTURES / "alltoall_1x4.log", "-o", target).returncode, 0)
            before = target.read_bytes()
            self.assertEqual(run("nccl-tests", "-", "-o", target, text="nothing\n").returncode, 2)
            self.assertEqual(target.read_bytes(), before)
            self.assertEqual([path.name for path in Path(folder).iterdir()], ["out.json"])
            self.assertIn("alltoall_1x4.log", json.loads(before)["command"])
            self.assertNotIn(str(ROOT), json.loads(before)["command"])
            self.assertEqual(run("nccl-tests", FIXTURES / "alltoall_1x4.log", "-o", f"{folder}/none/out.json").returncode, 2)

    def test_help_has_examples(self):
        for source in ("nccl-tests", "perftest", "deepep", "aiconfigurator", "vidur"):
            self.assertIn("examples:", run(source, "--help").stdout)


if __name__ == "__main__":
    unittest.main()
