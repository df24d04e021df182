"""What the tests run of the harnesses, as command lines: a few trials of each, many of each, and planted defects.

The number of kills follows from the seed.
"""

FEW = {
    "a few kills": "kills --trials 2 --seed 33",
    "a few kills of the command": "commands --trials 1 --seed 14",
    "a few faults at calls": "calls --trials 4 --seed 0",
    "a few interruptions": "interruptions --trials 1 --interruptions 4 --seed 3",
    "a few power cuts": "powercuts --trials 2 --seed 4",
    "a few damages": "damage --trials 1 --seed 6",
}
"""The fast tests run these."""

MANY = {
    "many kills": "kills --trials 17 --seed 33",
    "many kills of the command": "commands --trials 4 --seed 14",
    "many faults at calls": "calls --trials 60 --seed 0",
    "many interruptions": "interruptions --trials 1 --interruptions 25 --seed 3",
    "many power cuts": "powercuts --trials 20 --seed 4",
    "many damages": "damage --trials 20 --seed 6",
}

DEFECTS = {
    "without the seed": "interruptions --trials 1 --interruptions 6 --seed 3 --sabotage seed",
    "without the hash": "damage --trials 1 --seed 6 --sabotage hash",
    "without the rename": "calls --trials 1 --seed 0 --sabotage rename",
    "without file sync": "calls --trials 1 --seed 0 --sabotage file-sync",
    "power cuts without file sync": "powercuts --trials 20 --seed 4 --sabotage file-sync",
    "without directory sync": "calls --trials 1 --seed 0 --sabotage directory-sync",
}
"""Each plants a defect that its harness must find; the search ends at the first fault."""

SAMPLE = {**FEW, **MANY, **DEFECTS}
