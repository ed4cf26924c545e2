"""Serve the sample application: ``python main.py``, configured by environment variables only."""

import logging
import signal
import sys

import waitress
from rows.config import Config, ConfigError
from rows.database import Database
from rows.mount import MountWatch
from rows.web import create_app

THREADS = 16


def main() -> int:
    """Serve until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        config = Config.from_environment()
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # Waitress ends on SystemExit, after the requests it has begun.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with MountWatch(config.mount_path) as mount:
        app = create_app(Database(config), mount, region=config.region)
        waitress.serve(app, host=config.host, port=config.port, threads=THREADS, ident=None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
