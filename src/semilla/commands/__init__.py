"""One module per command: ``HELP``, ``add_arguments(parser)`` and ``run(arguments) -> exit code``."""

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("semilla.commands.run", "train a model: all five phases, from text to a validated model"),
    "check": ("semilla.commands.check", "look at this machine and the settings before a run"),
    "status": ("semilla.commands.status", "show where a run stands"),
    "generate": ("semilla.commands.generate", "write text with a finished model"),
    "validate": ("semilla.commands.validate", "validate a trained model again"),
    "report": ("semilla.commands.report", "write a page about a run, or compare several"),
    "sweep": ("semilla.commands.sweep", "a few runs over lists of values, compared"),
    "export": ("semilla.commands.export", "write a trained model in a format that other programs read"),
    "guide": ("semilla.commands.guide", "read the training guide, or look up a symptom or an error"),
    "config": ("semilla.commands.config", "show the resolved settings, or their schema"),
    "completion": ("semilla.commands.completion", "print a script that completes commands in a shell"),
    "clean": ("semilla.commands.clean", "remove exactly what runs created in a directory"),
}
"""Command -> its module, and its line in ``semilla --help``."""
