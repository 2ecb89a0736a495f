"""Pure functions on bytes and arrays: headers, pixels, the inputs and results of each network."""
