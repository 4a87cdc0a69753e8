"""Three networks that fail: checked, mended and trained."""
