"""What the tests run of the harnesses: each by the words of its command line, the defects that must be found last.

The number of kills follows from the seed: 100 and 10 with these.
"""

SAMPLE = {
    "kills": "kills --trials 17 --seed 33",
    "kills of commands": "commands --trials 4 --seed 14",
    "faults at every call": "calls --trials 60 --seed 0",
    "interruptions": "interruptions --trials 1 --interruptions 25 --seed 3",
    "power cuts": "powercuts --trials 20 --seed 4",
    "damage": "damage --trials 20 --seed 6",
    "without the seed": "interruptions --trials 1 --interruptions 6 --seed 3 --sabotage seed",
    "without the hash": "damage --trials 1 --seed 6 --sabotage hash",
    "without the rename": "calls --trials 1 --seed 0 --sabotage rename",
    "power cuts without file sync": "powercuts --trials 20 --seed 4 --sabotage file-sync",
    "without file sync": "calls --trials 1 --seed 0 --sabotage file-sync",
    "without directory sync": "calls --trials 1 --seed 0 --sabotage directory-sync",
}
