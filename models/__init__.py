"""The model packages, one folder each, and the code that reads them."""
