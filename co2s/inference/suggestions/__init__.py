"""What to label next: windows of maps, ranked, and their files for QGIS."""
