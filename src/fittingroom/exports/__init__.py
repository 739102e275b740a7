"""Models that leave: each format is written from one description of the network, and checked before it is there."""
