"""``python -m semilla``: the same program as ``semilla``."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be started with any Python
    sys.stderr.write(
        "error[dependency] start: Semilla needs Python 3.11 or newer, this is {}.{}\n"
        "kept: nothing was started\n"
        "next: python3.11 -m semilla\n"
        "help: semilla guide dependency\n".format(*sys.version_info[:2])
    )
    sys.exit(74)

# ``python -m`` puts the working directory first on the path, where any file could be mistaken for a package. It is
# removed, as ``-P`` would do, unless Semilla itself is there.
try:
    _here = os.getcwd()  # noqa: PTH109 - importing pathlib would search that path
except OSError:  # it was deleted; the command says so
    _here = ""
if _here and sys.path and sys.path[0] == _here and not __file__.startswith(_here + "/semilla/"):
    del sys.path[0]

from semilla.cli import main
from semilla.system.ranks import read_place

if __name__ == "__main__":
    code = main()
    if read_place().size > 1:
        # The interpreter would wait for a collective operation that waits for a lost machine.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
