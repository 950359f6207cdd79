"""The version of Vigie, as results and the conformance statement name it."""

VERSION = "0.1.0"
