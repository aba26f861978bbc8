"""Making split lists: where samples are found, what may be parted, who is labelled."""
