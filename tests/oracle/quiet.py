"""What insightface leaves as ONNX Runtime has it: threads that wait for work awake. Beside other
tests they are two fifths of what the oracle costs."""

from typing import Any

import onnxruntime


def let_threads_sleep() -> None:
    """Sessions that are made from now on wait asleep. What they compute is the same to the bit."""
    begin = onnxruntime.InferenceSession.__init__

    def quietly(self: Any, model: Any, sess_options: Any = None, **arguments: Any) -> None:
        options = sess_options or onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        begin(self, model, options, **arguments)

    onnxruntime.InferenceSession.__init__ = quietly
