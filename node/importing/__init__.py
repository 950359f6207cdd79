"""From a foreign model to a package: sandbox, export, parity, the folder that is written."""
