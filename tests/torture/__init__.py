"""Harnesses that kill and interrupt runs, damage what they leave, and look whether anything was lost.

    workload.py       a text in two languages and settings that train on it in a second
    forks.py          runs forked from a process that has imported everything, what they say, and how they end
    warm.py           a run's own child processes without their start-up
    verdict.py        what two finished runs have in common, and what is wrong with a directory after a kill
    sabotage.py       defects put in on purpose: with each of them a harness must fail
    kills.py          SIGKILL at random instants of all five phases
    interruptions.py  one run interrupted again and again
    calls.py          SIGKILL at every call of the writer, and at every call of every recovery from one
    damage.py         bits flipped and files cut short
    ledger.py         trials recorded as they end, so that a long run can be continued
    __main__.py       scripts/torture: the same harnesses at any length

``tests/test_torture.py`` runs a sample of them, ``scripts/torture`` as much as is asked.
"""
