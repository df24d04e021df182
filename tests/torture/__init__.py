"""Harnesses that kill and interrupt runs, damage what they leave, and look whether anything was lost.

    workload.py       a text in two languages and settings that train on it in a second
    forks.py          runs forked from a process that has imported everything, what they say, and how they end
    warm.py           a run's own child processes without their start-up
    verdict.py        what two finished runs have in common, and what is wrong with a directory after a kill
    sabotage.py       defects put in on purpose: with each of them a harness must fail
    kills.py          SIGKILL at random instants of all five phases
    commands.py       the same through the command line
    interruptions.py  one run interrupted again and again
    views.py          a directory at an instant, and what a power cut would leave of it
    calls.py          SIGKILL and power cuts at every call of the writer, and at every call of every recovery
    system_calls.py   SIGKILL at every system call that changes files, by strace
    powercuts.py      a file system copied as its disk holds it
    damage.py         bits flipped and files cut short
    sample.py         what the tests run of all these
    ledger.py         trials recorded as they end, so that a long run can be continued
    __main__.py       scripts/torture: the same harnesses at any length

``tests/test_torture.py`` runs a sample of them, ``scripts/torture`` as much as is asked.
"""
