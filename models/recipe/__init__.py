"""What the training recipes of all packages share. Needs torch; never imported to serve."""
