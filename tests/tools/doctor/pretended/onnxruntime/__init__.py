"""The real ONNX Runtime with a provider more, PRETENDED, that does what FAULT says.

First on PYTHONPATH it takes the place of the installed one. Without a FAULT it computes, on the CPU
under its own name. The doctor's child times one run of each network here: no figure is looked at.
"""

import importlib.machinery
import importlib.util
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

NAME = os.environ["PRETENDED"]
FAULT = os.environ.get("FAULT", "")
CPU = "CPUExecutionProvider"

HERE = Path(__file__).parent.parent.resolve()
elsewhere = [path for path in sys.path if Path(path).resolve() != HERE]
spec = importlib.machinery.PathFinder.find_spec("onnxruntime", elsewhere)
real = sys.modules["onnxruntime"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
RealSession = real.InferenceSession


class Session:
    """A session on the CPU that says it is another."""

    def __init__(self, session):
        self._session = session

    def get_providers(self):
        return [NAME, CPU]

    def run(self, names, feed, *options):
        outputs = self._session.run(names, feed, *options)
        return [output * 0.7 + 0.01 for output in outputs] if FAULT == "lies" else outputs

    def get_provider_graph_assignment_info(self):
        name = CPU if FAULT == "idle" else NAME
        parts = self._session.get_provider_graph_assignment_info()
        return [SimpleNamespace(ep_name=name) for _ in parts]


def open_session(path, options, providers, **rest):
    if providers[0][0] != NAME:
        return RealSession(path, options, providers=providers, **rest)
    if FAULT == "crashes":
        sys.stderr.write("\x1b[0;93mMIOpen Error: no kernel for this card\x1b[m\n")
        sys.stderr.flush()
        os.abort()
    if FAULT == "hangs":
        time.sleep(3600)
    if FAULT == "raises":
        raise RuntimeError("hipErrorNoBinaryForGpu")
    session = RealSession(path, options, providers=[CPU], **rest)
    return session if FAULT == "missing library" else Session(session)


real.InferenceSession = open_session
sys.modules["__main__"].MOST_RUNS = 1
real.get_available_providers = lambda: [NAME, CPU]
