"""From weights to maps: scenes of any size, in batches, with what is uncertain about them."""
