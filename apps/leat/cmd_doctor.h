/* SPDX-License-Identifier: MIT */
/* leat doctor: what this host grants, and how to get the rest. */
#ifndef LEAT_CMD_DOCTOR_H
#define LEAT_CMD_DOCTOR_H

/* argv[0] is the subcommand's name. Returns the exit status. */
int cmd_doctor(int argc, char **argv);

#endif
