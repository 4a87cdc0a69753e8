"""What can be wrong with a start, one check a file."""
