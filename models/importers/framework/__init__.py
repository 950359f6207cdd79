"""Small programs that need PyTorch, MONAI or nnU-Net; run by the interpreter of `.venv-import`.

Each is started by `node/importing/sandbox.py` as `python -m models.importers.framework.confined
... PROGRAM FOLDER`, reads `FOLDER/request.json`, and writes arrays, networks and `report.json`
into that folder. Nothing but files goes in or out.
"""
