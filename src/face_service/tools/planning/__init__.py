"""How many replicas a load needs, by simulation: no server is asked."""
