"""What is done with data before training: checks, split lists, tiles of scenes, drawn datasets."""
