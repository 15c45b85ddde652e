#include <stdio.h>

#include "main/main.h"

int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)printf("berth %s (Kubernetes API %s)\n", BERTH_VERSION, BERTH_API_VERSION);
    return 0;
}
