"""Voice activity: is this window speech? The `segmenter` turns the answers into facts."""
