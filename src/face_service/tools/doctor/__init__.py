"""`face-service doctor`: what this machine has, what computes here, and what is to be done.

It must work where packages are missing or broken, so these modules import at their top only the
standard library and modules of `face_service` that do the same. What may crash or hang, ONNX
Runtime and the drivers below it, is used in child processes only (`child.py`).
"""
