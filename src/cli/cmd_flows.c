// SPDX-License-Identifier: Apache-2.0
#include "view.h"
static int run(int argc, char **argv){(void)argc;(void)argv;return 0;}
const struct wr_cmd wr_cmd_flows = {.name = "flows", .args = "", .help = "", .run = run};
