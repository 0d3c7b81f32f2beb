#!/usr/bin/env python3
"""ONNX Runtime, forward pass only. Several clients are threads that share the session.

  onnxruntime_peer.py MODEL.onnx INPUT.npy [--lean] [--threads 1] [--runs 30]
  onnxruntime_peer.py MODEL.onnx --optimize-to LEAN.onnx

--lean: the settings with the least memory that we found. The model was optimized beforehand, by
another process, so that the weights do not exist before and after folding at the same time; no
arena; initializers outside it.
"""

import argparse

import numpy as np
import onnxruntime

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("input", nargs="?")
    parser.add_argument("--optimize-to", metavar="LEAN.onnx")
    parser.add_argument("--lean", action="store_true")
    measure.add_options(parser, runs=30)
    arguments = parser.parse_args()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if arguments.optimize_to:
        options.optimized_model_filepath = arguments.optimize_to
    if arguments.lean:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    session = onnxruntime.InferenceSession(
        arguments.model, options, providers=["CPUExecutionProvider"])
    if arguments.optimize_to:
        return
    feed = {session.get_inputs()[0].name: np.load(arguments.input)}
    measure.run_and_report(
        "onnxruntime", "lean" if arguments.lean else "default", False,
        lambda: session.run(None, feed), arguments, version=onnxruntime.__version__)


if __name__ == "__main__":
    main()
