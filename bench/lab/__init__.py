# SPDX-License-Identifier: MIT
"""The laboratory behind bench/lab.py: its room (laboratory), the servers in it (servers), paired
statistics (paired), and one module an experiment."""
