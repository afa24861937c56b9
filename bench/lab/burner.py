# SPDX-License-Identifier: MIT
"""burner.py SHARE: other work. Computes for that share of each 10 ms, and sleeps for the rest; who
wants the core meanwhile gets from the kernel what is fair. Until it is ended."""
import sys
import time

PERIOD_S = 0.01


def main():
    share = float(sys.argv[1])
    begin = time.monotonic()
    while True:
        while time.monotonic() < begin + share * PERIOD_S:
            pass
        begin += PERIOD_S
        now = time.monotonic()
        if begin > now:
            time.sleep(begin - now)
        else:
            begin = now  # what it did not get it does not make up for


if __name__ == "__main__":
    main()
