#include <stdio.h>

#include "main/main.h"
#include "main/options.h"

int cmd_version(int argc, char **argv)
{
    struct arena *a cleanup_arena = arena_new();
    struct options o;
    int code = options_parse(a, 0, "version", argc, argv, &o);
    if (code != 0) {
        return code < 0 ? 2 : 0;
    }
    (void)printf("berth %s (Kubernetes API %s)\n", BERTH_VERSION, BERTH_API_VERSION);
    return 0;
}
