"""Logs of perftest: ib_write_bw, ib_read_bw, ib_send_bw and their latencies."""

import json
import re

from measurement_sources.common import Result, number, read_text


PERFTEST_TITLE = re.compile(r"\b(RDMA_Write|RDMA_Read|Send|Atomic\S*)\s+(?:Post List\s+)?(Bidirectional\s+)?(BW|Latency)\s+Test")
PERFTEST_SETTINGS = {"qps": r"Number of qps\s*:\s*(\d+)", "mtu": r"Mtu\s*:\s*(\d+)",
                     "connection": r"Connection type\s*:\s*(\w+)", "nic": r"Device\s*:\s*(\S+)",
                     "link": r"Link type\s*:\s*(\S+)"}
# perftest's MB are of 2^20 bytes, its Gb of 10^9 bits.
PERFTEST_UNITS = {"MB": 1 << 20, "MiB": 1 << 20, "Gb": 125e6, "GB": 1e9}


def import_perftest(options, faults):
    result = Result()
    samples = {}
    for path in options.files:
        text = read_text(path, faults)
        if text is not None:
            import_perftest_log(path, text, result, samples, faults)
    result.records = list(samples.values())
    return result


def import_perftest_log(path, text, result, samples, faults):
    title, columns, settings, rows = None, None, {}, 0
    for number_of_line, line in enumerate(text.splitlines(), 1):
        found = PERFTEST_TITLE.search(line)
        if found:
            title, columns, settings = found, None, {}
        for name, pattern in PERFTEST_SETTINGS.items():
            setting = re.search(pattern, line)
            if setting:
                settings[name] = int(setting[1]) if setting[1].isdigit() else setting[1]
        if line.lstrip().startswith("#bytes"):
            columns = re.findall(r"#?[\w.]+%?(?: \w+)?\[[^\]]*\]|#\w+|99(?:\.9)?% percentile\[usec\]", line)
            if title is None:
                faults.add(path, number_of_line, "a table without the title of a test before it")
            continue
        if columns is None or title is None or not re.match(r"\s*\d+\s+\d+\s+[\d.]", line):
            continue
        rows += 1
        record = perftest_record(path, number_of_line, title, columns, line.split(), faults)
        if record is not None:
            if "nic" in settings:
                result.device = result.device or str(settings["nic"])
            record.update({name: value for name, value in settings.items() if name != "nic"})
            samples_us = record.pop("samples_us")
            key = json.dumps({name: value for name, value in record.items() if not name.endswith("_us")})
            samples.setdefault(key, record | {"samples_us": []})["samples_us"] += samples_us
    if rows == 0:
        faults.add(path, 0, "no table of perftest in it")


def perftest_record(path, line, title, columns, fields, faults):
    values = [number(field) for field in fields]
    if len(values) < len(columns) or None in values:
        return faults.add(path, line, f"{len(fields)} columns, where the heading has {len(columns)}")
    row = dict(zip(columns, values))
    verb = {"RDMA_Write": "write", "RDMA_Read": "read", "Send": "send"}.get(title[1])
    if verb is None:
        return faults.add(path, line, f"moesim has no use for {title[1]}")
    record = {"kind": "fabric", "verb": verb, "bytes": int(values[0])}
    if title[3] == "Latency":
        record["measures"] = "latency"
        record["round_trip"] = verb == "read"  # write and send: half of it
        typical = row.get("t_typical[usec]", row.get("t_avg[usec]"))
        for name, column in (("min_us", "t_min[usec]"), ("max_us", "t_max[usec]"), ("p99_us", "99% percentile[usec]")):
            if column in row:
                record[name] = row[column]
        time = typical
    else:
        record["measures"] = "bandwidth"
        record["bidirectional"] = title[2] is not None
        column = next((name for name in columns if name.startswith("BW average[")), None)
        unit = column and PERFTEST_UNITS.get(re.search(r"\[(\w+)/", column)[1])
        if not unit:
            return faults.add(path, line, "no column `BW average` in MB/sec or Gb/sec")
        rate = row[column] * unit
        record["bytes_per_s"] = round(rate)
        time = record["bytes"] / rate * 1e6 if rate > 0 else 0
    if time is None or time <= 0 or record["bytes"] <= 0:
        return faults.add(path, line, "a size, a time or a rate is not above 0")
    return record | {"samples_us": [round(time, 6)]}
