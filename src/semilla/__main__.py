"""``python -m semilla``: the same program as ``semilla``."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be started with any Python
    sys.stderr.write(
        "error[dependency] start: Semilla needs Python 3.11 or newer, this is {}.{}\n"
        "kept: nothing was started\n"
        "next: python3.11 -m semilla\n"
        "help: semilla guide dependency\n".format(*sys.version_info[:2])
    )
    sys.exit(74)

from semilla.cli import main

if __name__ == "__main__":
    sys.exit(main())
