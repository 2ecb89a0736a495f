"""From a pack of fp32 networks to a pack of int8 ones: calibrate, quantise, judge, publish."""
