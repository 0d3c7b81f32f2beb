"""What every peer measures, and how: memory as the kernel counts it, time by the monotonic clock.

A peer is one fresh process that prints one JSON document, {"results": [report, ...]}, with the
fields of report(). `dermlens bench --json` prints the same."""

import concurrent.futures
import json
import os
import statistics
import time


def memory(pid="self"):
    """Bytes: the high-water mark, and what is resident now as anonymous and as file pages."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    kilobytes = lambda key: int(lines[key].split()[0]) * 1024
    return {"peak_bytes": kilobytes("VmHWM"), "anon_bytes": kilobytes("RssAnon"),
            "file_bytes": kilobytes("RssFile")}


def age_ms():
    """Milliseconds since this process began, to the kernel's tick (10 ms)."""
    with open("/proc/self/stat", encoding="ascii") as stat:
        start_ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
    return 1000 * (time.clock_gettime(time.CLOCK_BOOTTIME) - start_ticks / os.sysconf("SC_CLK_TCK"))


def timed(work):
    """(what work() gives, milliseconds)."""
    start = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - start)


def report(system, configuration, gradcam, first_ms, times_ms, memory_now, **more):
    """first_ms: from the start of the process to the first answer. times_ms: of the later runs."""
    return {"system": system, "configuration": configuration, "gradcam": gradcam,
            "first_ms": round(first_ms, 1), "median_ms": round(statistics.median(times_ms), 3),
            "runs": len(times_ms), **memory_now, **more}


def throughput(work, clients, seconds):
    """Requests a second of so many threads that call work() for so long, each twice at least: with
    fewer requests nobody would have to wait."""
    start = time.perf_counter()

    def client():
        done = 0
        while done < 2 or time.perf_counter() - start < seconds:
            work()
            done += 1
        return done
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        requests = sum(one.result() for one in [pool.submit(client) for _ in range(clients)])
        return requests / (time.perf_counter() - start)


def throughputs(work, clients, seconds):
    """By number of clients, which is a list such as "1,4,16"."""
    return {count: round(throughput(work, int(count), seconds), 2) for count in clients.split(",")}


def add_options(parser, runs):
    """What each peer that is no server takes."""
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--clients", default="1,4,16", help="threads that share the model")
    parser.add_argument("--seconds", type=float, default=5, help="for each number of clients")


def run_and_report(system, configuration, gradcam, work, arguments, **more):
    """Runs work() once for the first answer, twice to warm up, `runs` times for the median; then
    from several threads at once, which memory no longer counts."""
    work()
    first = age_ms()
    for _ in range(2):
        work()
    times = [timed(work)[1] for _ in range(arguments.runs)]
    memory_now = memory()
    rates = throughputs(work, arguments.clients, arguments.seconds)
    print(json.dumps({"results": [
        report(system, configuration, gradcam, first, times, memory_now,
               requests_per_second=rates, threads=arguments.threads, **more)]}))
