"""`face-service tune`: the settings that serve most on this machine, by measuring them."""
