"""Benchmark, doctor, quantisation, evaluation: commands beside the service, which imports none."""
