"""
Serves one set of weights on loopback, and dies with the process that asked.

Run as ``python -m lash_model_local.serve SETTINGS``, a JSON object. It prints one
line of JSON, ``{"address": …}``, once the weights are loaded. Standard input is the
lifeline: when its other end closes, for whatever reason, this process ends.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from typing import TypedDict

# A compiled package that ships no types.
from xllamacpp import CommonParams, Server  # pyright: ignore[reportAttributeAccessIssue]

PR_SET_PDEATHSIG = 1


class Order(TypedDict):
    """What the parent writes; see `lash_model_local.server.Settings`."""

    weights: str
    context: int
    threads: int
    template: str
    prefixes: str
    tied: bool


def main(order: Order) -> None:
    """Return never: the process ends when the lifeline closes."""
    if order["tied"] and sys.platform == "linux":
        # A second line of defence, for a lifeline that a forked child holds open.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parameters = CommonParams()
    parameters.model.path = order["weights"]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = order["context"]
    parameters.n_parallel = 1  # one slot: the whole window for each caller
    for threads in (parameters.cpuparams, parameters.cpuparams_batch):
        threads.n_threads = order["threads"]
        threads.poll = 0
    parameters.n_threads_http = 4
    parameters.warmup = False
    parameters.ui = False
    parameters.verbosity = 0
    parameters.use_jinja = True
    parameters.sampling.temp = 0.0
    parameters.chat_template = order["template"]
    parameters.slot_save_path = order["prefixes"]
    server = Server(parameters)
    print(json.dumps({"address": server.listening_address}), flush=True)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # The server may be in the middle of a completion that nobody reads any more:
    # joining its threads would keep the process alive for as long as that takes.
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
