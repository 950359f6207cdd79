"""The centre: domain words, the pipeline, the composition root and the command line."""
