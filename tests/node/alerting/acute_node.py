"""`serve` with the packages of another folder: CONFIG PACKAGES."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from config.load import load_appliance
from node.app import Node
from node.logs import configure_logging
from node.packages import installed_models

if __name__ == "__main__":
    config, packages = map(Path, sys.argv[1:])
    appliance = load_appliance(config, installed_models(packages))
    configure_logging(appliance.logging)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    node = Node(appliance, models_folder=packages)
    node.start()
    node.wait(stop)
    node.stop()
