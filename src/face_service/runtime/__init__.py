"""ONNX Runtime: providers, sessions, input shapes, precision; also threads, memory and child
processes. Entry point: network.load_networks."""
