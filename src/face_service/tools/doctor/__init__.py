"""`face-service doctor`: what this machine has, what computes here, and what is to be done.

It must work where nothing else does, so nothing here imports more than the standard library at its
top but `child.py`, which runs in processes of its own: there ONNX Runtime and the drivers below it
may crash, or never come back.
"""
