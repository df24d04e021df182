"""Harnesses that kill and interrupt runs, damage their files, and check that nothing is lost.

    workload.py       a text in two languages and settings that train on it in a second
    forks.py          runs forked from a process that has imported everything, their events, and how they end
    warm.py           a run's own child processes without their start-up time
    verdict.py        what two finished runs must have in common, and faults of a directory after a kill
    sabotage.py       planted defects: with each of them a harness must fail
    kills.py          SIGKILL at random instants of all five phases
    commands.py       the same through the command line
    interruptions.py  one run interrupted many times
    views.py          a directory at an instant, and what a power cut would leave of it
    calls.py          SIGKILL and power cuts at every call of the writer, and at every call of every recovery
    system_calls.py   SIGKILL at every system call that changes files, by strace
    powercuts.py      a file system copied as its disk holds it
    damage.py         flipped bits and truncated files
    sample.py         the trials that the tests run
    ledger.py         a record of trials, so that a long run can be continued
    __main__.py       scripts/torture: the same harnesses at any length

``tests/test_torture.py`` runs a sample of them, ``scripts/torture`` any number of trials.
"""
